"""Algorithms of this package as methods of the benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from easyedit_ice.data.easyedit_requests import RequestDict
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.beside import gated_in, put_beside
from easyedit_ice.edit.gated_delta import GatedDelta
from easyedit_ice.edit.history import edits_in, recall
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import UpdateError
from easyedit_ice.model.edit_state import Keys
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer

_GATED = "gated:"


class PackageEngine:
    """Solves, and commits the update.

    Args:
        model: edited in place.
        tok: its tokenizer; padded on the algorithm's side.
        hparams: of a registered algorithm; its ``seed`` gives way to that of each edit.
    """

    def __init__(self, model: nn.Module, tok: Tokenizer, hparams: EditHyperParams) -> None:
        self._spec = ALGORITHMS[hparams.alg_name]
        tok.padding_side = self._spec.padding_side
        self.hparams = hparams
        self.batchable = self._spec.batchable
        self._model, self._tok = model, tok
        self._last: WeightUpdate | None = None

    def prepare(self) -> None:
        """Do what the algorithm does once, on the unedited model."""
        with preserved(self._model, self._tok):
            self._spec.prepare_model(self._model, self._tok, self.hparams)

    def edit(self, requests: Sequence[RequestDict], seed: int) -> nn.Module:
        """Write facts; the model."""
        self._last = solve(self._model, self._tok, requests, self.hparams.replace(seed=seed))
        self._last.commit(self._model)
        return self._model

    def take_out(self) -> nn.Module:
        """Revert the last update; the model.

        Raises:
            UpdateError: there is none.
        """
        if self._last is None:
            raise UpdateError("there is no edit to revert; edit first")
        self._last.revert(self._model)
        return self._model

    def memory(self, pinned: Mapping[int, Any]) -> tuple[Keys, ...]:
        """The keys of the edits that are in the model."""
        return edits_in(self._model)

    def recall(self, memory: tuple[Keys, ...]) -> None:
        """Know of these edits, and of no others."""
        self._last = None
        recall(self._model, memory)

    def records(self) -> dict[str, Tensor] | None:
        """The keys of all edits, and those with gates; all others are in the weights, or beside packed ones."""
        if getattr(self._model, "is_quantized", False):
            return None
        edits = edits_in(self._model)
        keys = {f"{index}:{name}": tensor for index, keys in enumerate(edits) for name, tensor in keys.items()}
        gates = {
            f"{_GATED}{path}:{part}": tensor
            for path, deltas in gated_in(self._model).items()
            for part, tensor in GatedDelta.total(deltas).tensors().items()
        }
        return {name: tensor.cpu().contiguous() for name, tensor in (keys | gates).items()}

    def load_records(self, records: Mapping[str, Tensor]) -> None:
        """Know of the edits whose keys these are, and have those with gates in the model, which has none."""
        edits: dict[int, dict[str, Tensor]] = {}
        gates: dict[str, dict[str, Tensor]] = {}
        for label, tensor in records.items():
            if label.startswith(_GATED):
                path, _, part = label.removeprefix(_GATED).rpartition(":")
                gates.setdefault(path, {})[part] = tensor
            else:
                index, _, name = label.partition(":")
                edits.setdefault(int(index), {})[name] = tensor
        for path, tensors in gates.items():
            put_beside(self._model.get_submodule(path), GatedDelta.from_tensors(tensors))
        recall(self._model, tuple(edits[index] for index in sorted(edits)))
