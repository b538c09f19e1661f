"""The state of a stream of edits, on the disk: where a run that was killed goes on."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from easyedit_ice.bench.ledger import write_atomically
from easyedit_ice.bench.methods import Method
from easyedit_ice.errors import LedgerError

STATE = "stream.safetensors"


class StreamState:
    """One file with the tensors that differ from the base model, and after how many facts.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / STATE

    def save(self, method: Method, step: int) -> None:
        """Save the state after ``step`` facts, if the method's state is plain tensors; else it is edited anew.

        Raises:
            LedgerError: it could not be written; the earlier state stays.
        """
        tensors = method.state()
        if tensors is not None:
            whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            write_atomically(self._path, save(whole, {"step": str(step)}))

    def restore(self, method: Method) -> int:
        """Bring the method to the state saved last; returns after how many facts that was.

        Raises:
            LedgerError: the file is not what was saved.
        """
        if not self._path.exists():
            return 0
        try:
            with safe_open(self._path, "pt") as file:
                step = int(file.metadata()["step"])
                method.load_state({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - not a dict
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise LedgerError(f"{self._path} is not the state of a stream ({error}); delete it to edit anew") from error
        return step
