"""What is known of a model as it was before any edit.

Second moments, spectra and context prefixes belong to the unedited model. They are found when they are first asked for,
and stay with the model object while edits add up in it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from easyedit_ice.cache import fingerprint
from easyedit_ice.updates import checksum


@dataclass
class Known:
    """What was found.

    Attributes:
        mark: tells whether the model object still holds the same model.
        weights: hash of all weights when the model was first seen.
        found: by kind, and then by what it was found with.
    """

    mark: tuple[Any, ...]
    weights: str
    found: defaultdict[str, dict[Any, Any]] = field(default_factory=lambda: defaultdict(dict))


_KNOWN: WeakKeyDictionary[nn.Module, Known] = WeakKeyDictionary()


def known(model: nn.Module) -> Known:
    """What is known of a model: nothing if it was not seen before, or if another model was loaded into it since."""
    mark = _mark(model)
    if model not in _KNOWN or _KNOWN[model].mark != mark:
        _KNOWN[model] = Known(mark, fingerprint(model.named_parameters()))
    return _KNOWN[model]


def _mark(model: nn.Module) -> tuple[Any, ...]:
    """Norms and biases: editors do not write to them, and loading another model changes them."""
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    return tuple((parameter.dtype, *checksum(parameter)) for parameter in vectors)
