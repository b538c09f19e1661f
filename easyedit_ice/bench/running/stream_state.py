"""The state of a stream of edits, on the disk: where a run that was killed goes on."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from easyedit_ice.bench.methods import Method
from easyedit_ice.bench.storage.ledger import Ledger
from easyedit_ice.bench.storage.run_folder import write_atomically
from easyedit_ice.errors import LedgerError, UpdateError

logger = logging.getLogger(__name__)

STATE = "stream.safetensors"
_CHECKSUM = "checksum"


@dataclass(frozen=True)
class Saved:
    """A state.

    Attributes:
        step: after how many facts; 0 for the base model.
        tensors: that differ from the base model's.
    """

    step: int = 0
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


class StreamState:
    """One file with the tensors that differ from the base model, after how many facts, and what the ledger then held.

    Args:
        folder: of the run.
        ledger: of the run.
    """

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self._path = folder / STATE
        self._ledger = ledger

    def save(self, method: Method, step: int) -> None:
        """Save the state after ``step`` facts, if the method's state is plain tensors; else it is edited anew.

        Raises:
            LedgerError: it could not be written; the earlier state stays.
        """
        tensors = method.state()
        if tensors is None:
            return
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        lines, check = self._ledger.end
        notes = {"step": str(step), "lines": str(lines), "check": check}
        write_atomically(self._path, save(whole, notes | {_CHECKSUM: _checksum(whole, notes)}))

    def read(self) -> Saved:
        """The state saved last; that of the base model, so that the stream is edited anew, where there is none.

        So it is as well where the ledger lacks lines that it had when the state was saved, or where an earlier version
        saved it without saying so. Facts that have their lines are not asked again.

        Raises:
            LedgerError: the file is not what was saved.
        """
        if not self._path.exists():
            return Saved()
        try:
            with safe_open(self._path, "pt") as file:
                notes = dict(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (OSError, SafetensorError, ValueError) as error:
            raise self._damaged(str(error)) from error
        if set(notes) == {"step"}:
            logger.warning("%s has no checksum, as of an earlier version: the stream is edited anew", self._path)
            return Saved()
        if notes.pop(_CHECKSUM, None) != _checksum(tensors, notes):
            raise self._damaged("its values are not those that were saved")
        if not self._ledger.was_at(int(notes["lines"]), notes["check"]):
            logger.warning(
                "%s has not the %s lines with which %s was saved: the stream is edited anew, and lines that are gone "
                "are written again",
                self._ledger.path,
                notes["lines"],
                self._path,
            )
            return Saved()
        return Saved(int(notes["step"]), tensors)

    def load(self, saved: Saved, method: Method) -> None:
        """Bring the method to a state.

        Raises:
            LedgerError: it is of another model.
        """
        if not saved.step:
            return
        try:
            method.load_state(saved.tensors)
        except UpdateError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, why: str) -> LedgerError:
        return LedgerError(
            f"{self._path} is not the state of this stream ({why}); delete it, and the same command edits the stream "
            "anew and ends with the same lines"
        )


def _checksum(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> str:
    """Of names, types, shapes and bits of tensors, and of notes."""
    digest = hashlib.sha256(repr(sorted(notes.items())).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        digest.update(tensor.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
