"""Algorithms of this package as methods of the benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from easyedit_ice.apply import solve
from easyedit_ice.bench.methods.base import Request
from easyedit_ice.hparams import EditHyperParams
from easyedit_ice.preserve import preserved
from easyedit_ice.registry import ALGORITHMS


class PackageEngine:
    """Solves, and commits the update.

    Args:
        model: edited in place.
        tok: its tokenizer; padded on the algorithm's side.
        hparams: of a registered algorithm; its ``seed`` gives way to that of each edit.
    """

    def __init__(self, model: nn.Module, tok: Any, hparams: EditHyperParams) -> None:
        self._spec = ALGORITHMS[hparams.alg_name]
        tok.padding_side = self._spec.padding_side
        self.hparams = hparams
        self.batchable = self._spec.batchable
        self._model, self._tok = model, tok

    def prepare(self) -> None:
        """Do what the algorithm does once, on the unedited model."""
        with preserved(self._model, self._tok):
            self._spec.prepare_model(self._model, self._tok, self.hparams)

    def edit(self, requests: Sequence[Request], seed: int) -> nn.Module:
        """Write facts; the model."""
        solve(self._model, self._tok, requests, self.hparams.replace(seed=seed)).commit(self._model)
        return self._model

    def memory(self, pinned: Mapping[int, Any]) -> None:
        """Edits are in the model alone."""

    def recall(self, memory: None) -> None:
        """Edits are in the model alone."""

    def records(self) -> dict[str, Tensor] | None:
        """Edits are in the weights alone, but stand beside those that are packed."""
        return None if getattr(self._model, "is_quantized", False) else {}

    def load_records(self, records: Mapping[str, Tensor]) -> None:
        """Edits are in the weights alone."""
