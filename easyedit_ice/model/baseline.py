"""What is known of a model as it was before any edit.

Second moments, spectra and context prefixes belong to the unedited model. They are found when they are first asked for,
and stay with the model object while edits add up in it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from easyedit_ice.model.edit_state import state_of
from easyedit_ice.runtime.bits import checksum
from easyedit_ice.runtime.cache import fingerprint


@dataclass
class Baseline:
    """What was measured of a model before any edit.

    Attributes:
        mark: tells whether the model object still holds the same model.
        weights: hash of all weights when the model was first seen.
        tables: what was measured, by kind, and then by what it was measured with.
    """

    mark: tuple[Any, ...]
    weights: str
    tables: defaultdict[str, dict[Any, Any]] = field(default_factory=lambda: defaultdict(dict))

    def copy(self) -> Baseline:
        """The same for a copy of the model; what is found later on one of them is not found on the other."""
        tables = {kind: dict(table) for kind, table in self.tables.items()}
        return Baseline(self.mark, self.weights, defaultdict(dict, tables))


def baseline_of(model: nn.Module) -> Baseline:
    """What is known of a model: nothing if it was not seen before, or if another model was loaded into it since."""
    mark, state = _mark(model), state_of(model)
    if state.baseline is None or state.baseline.mark != mark:
        state.baseline = Baseline(mark, fingerprint(model.named_parameters()))
    return state.baseline


def as_first_seen(model: nn.Module) -> bool:
    """Whether no weight has changed since: what is measured on an edited model is not kept for the unedited one."""
    return baseline_of(model).weights == fingerprint(model.named_parameters())


def _mark(model: nn.Module) -> tuple[Any, ...]:
    """Norms and biases: editors do not write to them, and loading another model changes them."""
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    return tuple((parameter.dtype, *checksum(parameter)) for parameter in vectors)
