"""Efficient knowledge editors for EasyEdit.

Importing the package registers its algorithms with EasyEdit, as soon as EasyEdit itself is loaded; torch
and EasyEdit load when first needed. Besides the names in ``__all__``, the hyperparameter class of every
registered algorithm can be imported from here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from easyedit_ice.easyedit import install_hook
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.moved import install as install_earlier_names

if TYPE_CHECKING:  # what ``__getattr__`` finds, for editors and type checkers
    from easyedit_ice.book import EditBook, edited
    from easyedit_ice.checkpoints.loading import load_model
    from easyedit_ice.easyedit import BaseEditor, register, retained
    from easyedit_ice.edit.apply import solve
    from easyedit_ice.edit.hparams import EditHyperParams
    from easyedit_ice.edit.registry import Algorithm
    from easyedit_ice.edit.request import EditRequest
    from easyedit_ice.edit.update import WeightUpdate
    from easyedit_ice.editors.algorithms.adalora import AdaLoraHyperParams as AdaLoraHyperParams
    from easyedit_ice.editors.algorithms.dora import DoraHyperParams as DoraHyperParams
    from easyedit_ice.editors.algorithms.fast_emmet import FastEMMETHyperParams as FastEMMETHyperParams
    from easyedit_ice.editors.algorithms.fast_gate import FastGateHyperParams as FastGateHyperParams
    from easyedit_ice.editors.algorithms.fast_grad import FastGradHyperParams as FastGradHyperParams
    from easyedit_ice.editors.algorithms.fast_ice import FastICEHyperParams as FastICEHyperParams
    from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams as FastMEMITHyperParams
    from easyedit_ice.editors.algorithms.fast_rome import FastROMEHyperParams as FastROMEHyperParams
    from easyedit_ice.editors.algorithms.gora import GoRAHyperParams as GoRAHyperParams
    from easyedit_ice.editors.algorithms.ice_grad import IceGradHyperParams as IceGradHyperParams
    from easyedit_ice.editors.algorithms.ice_lora import IceLoraHyperParams as IceLoraHyperParams
    from easyedit_ice.editors.algorithms.locft import LocFTHyperParams as LocFTHyperParams
    from easyedit_ice.editors.algorithms.lora import LoraHyperParams as LoraHyperParams
    from easyedit_ice.editors.algorithms.qlora import QLoraHyperParams as QLoraHyperParams
    from easyedit_ice.editors.algorithms.svf import SVFHyperParams as SVFHyperParams
    from easyedit_ice.evaluation.model_probe import probe
    from easyedit_ice.verdict.check import check
    from easyedit_ice.verdict.edit_facts import edit_facts
    from easyedit_ice.verdict.verdict import Verdict

__version__ = "0.1.0"

_LAZY = {
    "Algorithm": "easyedit_ice.edit.registry",
    "BaseEditor": "easyedit_ice.easyedit",
    "EditBook": "easyedit_ice.book",
    "EditHyperParams": "easyedit_ice.edit.hparams",
    "EditRequest": "easyedit_ice.edit.request",
    "Verdict": "easyedit_ice.verdict.verdict",
    "WeightUpdate": "easyedit_ice.edit.update",
    "check": "easyedit_ice.verdict.check",
    "edit_facts": "easyedit_ice.verdict.edit_facts",
    "edited": "easyedit_ice.book",
    "load_model": "easyedit_ice.checkpoints.loading",
    "probe": "easyedit_ice.evaluation.model_probe",
    "register": "easyedit_ice.easyedit",
    "retained": "easyedit_ice.easyedit",
    "solve": "easyedit_ice.edit.apply",
}
__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "BaseEditor",
    "EditBook",
    "EditHyperParams",
    "EditRequest",
    "Verdict",
    "WeightUpdate",
    "check",
    "edit_facts",
    "edited",
    "load_model",
    "probe",
    "register",
    "retained",
    "solve",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name[0].isupper():
        for algorithm in ALGORITHMS.values():
            if algorithm.class_name == name:
                return algorithm.hparams_class
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *(algorithm.class_name for algorithm in ALGORITHMS.values())})


install_earlier_names()
install_hook()
