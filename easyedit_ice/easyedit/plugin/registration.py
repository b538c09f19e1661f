"""Registration: EasyEdit is probed for what we build on, then patched, then told of every algorithm.

Nothing is patched unless everything is there. Registering again adds what came into the table since.
"""

from __future__ import annotations

import copy
import inspect
import sys
from importlib import import_module
from typing import Any

from torch import nn

from easyedit_ice.easyedit.loading.import_hook import HostLoader, import_easyeditor
from easyedit_ice.easyedit.loading.inplace import change_loaded_host
from easyedit_ice.easyedit.locate import PACKAGE, TESTED, host_info
from easyedit_ice.easyedit.plugin.patches import adapter_for, apply_patches
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.errors import DuplicateAlgorithmError, HostIncompatibleError
from easyedit_ice.model.tokenizer import Tokenizer

# Module -> what it must have; a function is given with the parameters it is called with.
_REQUIRED: dict[str, dict[str, tuple[str, ...]]] = {
    "editors.editor": {
        "BaseEditor": (),
        "BaseEditor.__init__": ("hparams",),
        "BaseEditor.from_hparams": ("hparams",),
        "BaseEditor.edit": ("prompts", "target_new"),
        "BaseEditor.batch_edit": ("prompts", "target_new"),
        "make_logs": (),
    },
    "editors.batch_editor": {"BatchEditor.is_batchable_method": ("alg_name",)},
    "util.alg_dict": {"ALG_DICT": ()},
    "util.nethook": {"get_parameter": ("model", "name")},
    "models.lora.lora_main": {"AdaLoraConfig": ()},
    "models.lora": {"LoRAHyperParams": ()},
}


def register() -> None:
    """Make EasyEdit's ``BaseEditor`` know every algorithm of :data:`~easyedit_ice.edit.registry.ALGORITHMS`.

    Idempotent.

    Raises:
        HostNotFoundError: there is no EasyEdit.
        HostIncompatibleError: EasyEdit lacks something we build on; it is left as it was.
        DuplicateAlgorithmError: an algorithm has the name of one of EasyEdit's own.
    """
    host = import_easyeditor()
    _probe()
    algorithms = _module("util.alg_dict").ALG_DICT
    taken = [name for name in ALGORITHMS if name in algorithms and not hasattr(algorithms[name], "spec")]
    for name in ALGORITHMS.joined & set(taken):
        ALGORITHMS.leave_out(name, f"{host_info()} has an algorithm of that name")
        taken.remove(name)
    if taken:
        raise DuplicateAlgorithmError(
            f"{host_info()} has algorithms of its own named {', '.join(taken)}; register yours under another name"
        )
    if not isinstance(getattr(host.__spec__, "loader", None), HostLoader):
        change_loaded_host()
    apply_patches(register)
    for name, spec in ALGORITHMS.items():
        if name not in algorithms or algorithms[name].spec != spec:
            algorithms[name] = adapter_for(spec)


def base_editor() -> Any:
    """EasyEdit's own ``BaseEditor``, knowing our algorithms."""
    register()
    return _module("editors.editor").BaseEditor


def editor_of(model: nn.Module, tok: Tokenizer, hparams: Any) -> Any:
    """EasyEdit's ``BaseEditor`` of a model that is loaded already, with a copy of some settings of EasyEdit's class."""
    named = copy.deepcopy(hparams)
    named.model_name, named.device = (model, tok), str(next(model.parameters()).device)
    return base_editor().from_hparams(named)


def _probe() -> None:
    missing = [
        f"{PACKAGE}.{module}.{lack}"
        for module, names in _REQUIRED.items()
        for name, parameters in names.items()
        if (lack := _lack(module, name, parameters))
    ]
    if missing:
        info = host_info()
        raise HostIncompatibleError(
            f"{info} in {info.path} lacks {', '.join(missing)}; this package is tested with {TESTED}"
        )


def _lack(module: str, name: str, parameters: tuple[str, ...]) -> str | None:
    thing: Any = _module(module)
    for part in name.split("."):
        thing = getattr(thing, part, None)
    if thing is None:
        return name
    absent = [parameter for parameter in parameters if parameter not in inspect.signature(thing).parameters]
    return f"{name}({', '.join(absent)})" if absent else None


def _module(name: str) -> Any:
    full = f"{PACKAGE}.{name}"
    try:
        return sys.modules.get(full) or import_module(full)
    except ModuleNotFoundError:
        return None
