"""The model as its own teacher: as it is, or as it was before the edit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from easyedit_ice.text.rows import Row, predict

REMEMBERED = 2**28
"""Most bytes of distributions to keep; what is beyond is computed again each time."""


class Teacher:
    """Distributions to match, without gradient.

    Args:
        model: the model under training.
        disabled: context manager under which it is as before the edit.
    """

    def __init__(self, model: nn.Module, disabled: Callable[[], AbstractContextManager[None]]) -> None:
        self._model, self._disabled = model, disabled
        self._distributions: dict[Row, Tensor] = {}
        self._bytes = 0

    def now(self, rows: Sequence[Row]) -> Tensor:
        """Log-probabilities of the model as it is, one row's span after the other's: (t, v)."""
        with torch.no_grad():
            return predict(self._model, rows).log_probs

    def before(self, rows: Sequence[Row]) -> Tensor:
        """The same of the model before the edit, which do not change and are remembered."""
        unknown = list(dict.fromkeys(row for row in rows if row not in self._distributions))
        fresh: dict[Row, Tensor] = {}
        if unknown:
            with torch.no_grad(), self._disabled():
                fresh = dict(zip(unknown, predict(self._model, unknown).split(), strict=True))
        self._remember(fresh)
        return torch.cat([fresh[row] if row in fresh else self._distributions[row] for row in rows])

    def _remember(self, fresh: dict[Row, Tensor]) -> None:
        for row, distribution in fresh.items():
            size = distribution.nbytes
            if self._bytes + size <= REMEMBERED:
                self._distributions[row] = distribution.clone()
                self._bytes += size
