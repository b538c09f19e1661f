"""The settings of an algorithm for a model, where nobody names others."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from easyedit_ice.edit.hparams import AUTO, EditHyperParams


def usual_settings(
    hparams_class: type[EditHyperParams],
    model: str,
    source: str | None = None,
    changes: Mapping[str, object] = MappingProxyType({}),
) -> EditHyperParams:
    """Settings for a model: those of the preset named like it, else the defaults, unless ``source`` names others."""
    return hparams_class.from_hparams(source or usual_source(hparams_class, model), **{"model_name": model, **changes})


def usual_source(hparams_class: type[EditHyperParams], model: str) -> str:
    """The preset named like a model, else ``auto``."""
    stem = model.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()
    named = (preset for preset in hparams_class.presets() if preset.rpartition("/")[2] == stem)
    return next(named, AUTO)
