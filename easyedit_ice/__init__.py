"""Efficient knowledge editors for EasyEdit.

Importing the package registers its algorithms with EasyEdit, as soon as EasyEdit itself is loaded; torch
and EasyEdit load when first needed. Besides the names in ``__all__``, the hyperparameter class of every
registered algorithm can be imported from here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from easyedit_ice.easyedit import install_hook
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.moved import install as install_earlier_names

__version__ = "0.1.0"

_LAZY = {
    "Algorithm": "easyedit_ice.edit.registry",
    "BaseEditor": "easyedit_ice.easyedit",
    "EditBook": "easyedit_ice.book",
    "EditHyperParams": "easyedit_ice.edit.hparams",
    "EditRequest": "easyedit_ice.edit.request",
    "Verdict": "easyedit_ice.verdict.verdict",
    "WeightUpdate": "easyedit_ice.edit.update",
    "edited": "easyedit_ice.book",
    "check": "easyedit_ice.verdict.check",
    "edit_facts": "easyedit_ice.verdict.editing",
    "load_model": "easyedit_ice.checkpoints.loading",
    "probe": "easyedit_ice.evaluation.probe",
    "register": "easyedit_ice.easyedit",
    "solve": "easyedit_ice.edit.apply",
}
__all__ = ["ALGORITHMS", *_LAZY]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name[0].isupper():
        for algorithm in ALGORITHMS.values():
            if algorithm.class_name == name:
                return algorithm.hparams_class
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


install_earlier_names()
install_hook()
