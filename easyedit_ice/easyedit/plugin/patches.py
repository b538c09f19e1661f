"""What is patched in a loaded EasyEdit, the same way whether it was imported before this package or after.

Every patch of the editors follows from an :class:`~easyedit_ice.edit.registry.Algorithm`. Patched functions
carry the original as ``__wrapped__``; applying the patches again does nothing.
"""

from __future__ import annotations

import copy as copying
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from importlib import import_module
from inspect import signature
from types import FunctionType, SimpleNamespace
from typing import Any, cast

from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.checkpoints.names import is_known
from easyedit_ice.easyedit.locate import PACKAGE
from easyedit_ice.easyedit.methods.catalogue import HOST_METHODS
from easyedit_ice.easyedit.moment_files import provide_statistics
from easyedit_ice.easyedit.plugin.restoring import WeightsCopy
from easyedit_ice.easyedit.plugin.undo_on_failure import remember, undoing_failures
from easyedit_ice.edit.apply import apply_to_model
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import ALGORITHMS, Algorithm
from easyedit_ice.model.tokenizer import Tokenizer


def apply_patches(register: Callable[[], None]) -> None:
    """Patch EasyEdit's editors and repair its LoRA. Idempotent.

    Args:
        register: called before an editor is made, for algorithms that have come into the table since.
    """
    editor = import_module(f"{PACKAGE}.editors.editor").BaseEditor
    if hasattr(editor.__init__, "__wrapped__"):
        return
    editor.__init__ = _loading_by_type(editor.__init__, register)
    if hasattr(editor, "_prepare_requests"):
        editor._prepare_requests = _without_absent_probes(editor._prepare_requests)
    for name in ("edit", "edit_requests", "batch_edit"):
        setattr(editor, name, undoing_failures(getattr(editor, name)))
    batch = import_module(f"{PACKAGE}.editors.batch_editor").BatchEditor
    batch.is_batchable_method = staticmethod(_knowing_ours(batch.is_batchable_method))
    _write_no_logs()
    _repair_lora()
    nethook: Any = import_module(f"{PACKAGE}.util.nethook")
    nethook.get_parameter = _also_tied(nethook.get_parameter)


def adapter_for(spec: Algorithm) -> Callable[..., tuple[Any, dict[str, Any]]]:
    """The entry of EasyEdit's ``ALG_DICT`` for an algorithm, with the loaded EasyEdit's meaning of restoring.

    In the release, ``edit(keep_original_weight=True)`` restores after each edit and anything else accumulates; it
    restores what the algorithm returns, so the algorithm must return nothing if edits are to stay. At head, the
    algorithm returns the originals and ``edit(sequential_edit=...)`` decides.
    """
    edit = import_module(f"{PACKAGE}.editors.editor").BaseEditor.edit
    accumulates_by_default = "keep_original_weight" in signature(edit).parameters

    def apply(
        model: Any,
        tok: Tokenizer,
        requests: list[dict[str, Any]],
        hparams: Any,
        copy: bool = False,
        return_orig_weights: bool = False,
        keep_original_weight: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, dict[str, Any]]:
        wanted = return_orig_weights and (keep_original_weight or not accumulates_by_default)
        edited, originals = apply_to_model(spec, model, tok, requests, hparams, copy=copy, return_orig_weights=wanted)
        remember(edited, originals)
        return edited, WeightsCopy(edited, originals)

    cast("Any", apply).spec = spec
    return apply


def _loading_by_type(original: Callable[[Any, Any], None], register: Callable[[], None]) -> Callable[[Any, Any], None]:
    """``BaseEditor.__init__`` that loads our models by ``config.model_type`` and takes ``(model, tok)`` fully.

    EasyEdit tells architectures by substrings of the model's path, and its evaluation asks the path again; given
    ``(model, tok)`` the evaluation fails. The editor works on a copy of the hyperparameters.

    For EasyEdit's own methods, models whose names mean nothing to it are loaded too, and second moments are laid down
    where they look, if their ``mom2_dataset`` is one of ours.
    """

    @wraps(original)
    def __init__(self: Any, hparams: Any) -> None:
        spec = ALGORITHMS.get(getattr(hparams, "alg_name", ""))
        named = isinstance(getattr(hparams, "model_name", None), (str, type(None)))
        if spec is None and named and not (hparams.model_name and is_known(hparams.model_name)):
            original(self, hparams)
            if self.model is not None:
                provide_statistics(self.model, self.tok, self.hparams)
            return
        register()
        with_model = copying.copy(hparams)
        model, tok = with_model.model_name = load_model(_loading(hparams, spec)) if named else hparams.model_name
        with _staying(model):
            original(self, with_model)
        self.model_name = with_model.model_name = _name_for_host(hparams.model_name if named else None, model)
        if spec is not None:
            with_model.device = str(model.device)
            tok.padding_side = spec.padding_side
        elif named:
            tok.padding_side = (
                HOST_METHODS[with_model.alg_name].padding_side if with_model.alg_name in HOST_METHODS else "left"
            )
            provide_statistics(model, tok, with_model)

    return __init__


def _loading(hparams: Any, spec: Algorithm | None) -> EditHyperParams:
    """What to load: ours say it themselves; EasyEdit's methods as EasyEdit would, in fp32 unless they ask for less."""
    if spec is not None:
        return cast("EditHyperParams", hparams)
    return EditHyperParams(
        model_name=hparams.model_name,
        device=getattr(hparams, "device", None),
        model_parallel=bool(getattr(hparams, "model_parallel", False)),
        dtype="float16" if getattr(hparams, "fp16", False) else "float32",
        quantization_bit=getattr(hparams, "quantization_bit", None),
    )


@contextmanager
def _staying(model: Any) -> Iterator[None]:
    """Keep EasyEdit from moving a model that is quantised or spread over devices: it may not be moved."""
    if not (getattr(model, "is_quantized", False) or hasattr(model, "hf_device_map")):
        yield
        return
    model.to = lambda *args, **kwargs: model
    try:
        yield
    finally:
        del model.to


def _name_for_host(name: str | None, model: Any) -> str:
    """A name of the model that EasyEdit's evaluation does not mistake for a T5's, or a T5's for another's."""
    kind: str = model.config.model_type
    name = str(name or getattr(model.config, "_name_or_path", "") or kind)
    for candidate in (name, name.replace("\\", "/").rstrip("/").rpartition("/")[2]):
        if ("t5" in candidate.lower()) == ("t5" in kind):
            return candidate
    return kind


def _without_absent_probes(original: Callable[..., list[dict[str, Any]]]) -> Callable[..., list[dict[str, Any]]]:
    """The release wants every kind of probe from every fact; as at head, ``None`` shall mean that one has none."""

    @wraps(original)
    def _prepare_requests(*args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        requests = original(*args, **kwargs)
        for request in requests:
            for section in ("locality", "portability"):
                request[section] = {
                    kind: probes for kind, probes in request[section].items() if probes["prompt"] is not None
                }
        return requests

    return _prepare_requests


def _knowing_ours(original: Callable[[str], bool]) -> Callable[[str], bool]:
    @wraps(original)
    def is_batchable_method(alg_name: str) -> bool:
        return ALGORITHMS[alg_name].batchable if alg_name in ALGORITHMS else original(alg_name)

    return is_batchable_method


def _write_no_logs() -> None:
    """EasyEdit's editors add handlers to their loggers each time one is made, and write into ``./logs``."""
    for module in _host_modules():
        names = vars(module)
        if "make_logs" in names:
            names["make_logs"] = _make_no_logs
        if isinstance(summary := names.get("summary_metrics"), FunctionType):
            names["summary_metrics"] = _without_files(summary)


def _make_no_logs() -> None:
    """Stands for EasyEdit's ``make_logs``."""


def _without_files(function: FunctionType) -> FunctionType:
    """The function, with ``open`` and ``os.makedirs`` that lead nowhere."""
    blind = {
        "open": lambda *args, **kwargs: io.StringIO(),
        "os": SimpleNamespace(path=os.path, makedirs=lambda *args, **kwargs: None),
    }
    return FunctionType(function.__code__, {**function.__globals__, **blind}, function.__name__, function.__defaults__)


def _repair_lora() -> None:
    """Current peft demands a length of AdaLoRA's rank schedule; EasyEdit gives none, and never runs the schedule."""
    module = import_module(f"{PACKAGE}.models.lora.lora_main")
    cast("Any", module).AdaLoraConfig = partial(module.AdaLoraConfig, total_step=1)
    settings = import_module(f"{PACKAGE}.models.lora").LoRAHyperParams
    if not hasattr(settings, "model_parallel"):
        settings.model_parallel = False


def _also_tied(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """The parameter of a name, also by the second name of one that two modules share, as tied embeddings do."""

    @wraps(original)
    def get_parameter(model: Any, name: str) -> Any:
        try:
            return original(model, name)
        except LookupError:
            named = dict(model.named_parameters(remove_duplicate=False))
            if name not in named:
                raise
            return named[name]

    return get_parameter


def _host_modules() -> list[Any]:
    return [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == PACKAGE]
