"""Load a model and its tokenizer as the hyperparameters say.

The architecture comes from the checkpoint's own configuration; the folder's name plays no part.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyedit_ice.checkpoints.hub_access import hub_options
from easyedit_ice.checkpoints.names import NAMES, checkpoint_of
from easyedit_ice.errors import AnatomyError, LoadingError, did_you_mean
from easyedit_ice.model.device import resolve_device
from easyedit_ice.runtime.extras import require
from easyedit_ice.runtime.progress import waiting

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from easyedit_ice.edit.hparams import EditHyperParams


def load_model(hparams: EditHyperParams) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load ``hparams.model_name`` in evaluation mode, with a tokenizer that can pad.

    A name is a folder, a ``.gguf`` file, a hub name, or one of :data:`easyedit_ice.checkpoints.names.NAMES`.

    Args:
        hparams: ``model_name``, ``device``, ``model_parallel``, ``dtype`` and ``quantization_bit`` are used.

    Raises:
        LoadingError: no model is named; it cannot be loaded, or not whole, or not without running code of its own; or
            it does not fit on the device.
        ModelPackageError: it is in a package that is not installed.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from easyedit_ice.model.unusual_weights import keep_differentiable

    device = resolve_device(hparams.device)
    options: dict[str, Any] = {_dtype_keyword(): _dtype(hparams.dtype)}
    if hparams.quantization_bit is not None:
        options |= {"quantization_config": _quantization(hparams), "device_map": {"": device}}
    if hparams.model_parallel:
        options["device_map"] = "auto"
    checkpoint = _checkpoint(hparams)
    where: dict[str, Any] = {"trust_remote_code": False} | hub_options(checkpoint)
    try:
        with waiting(f"loading {Path(str(hparams.model_name)).name}", aloud=not Path(checkpoint).exists()):
            loaded: Any = AutoModelForCausalLM.from_pretrained(  # a pair, by output_loading_info
                checkpoint, output_loading_info=True, **where, **options
            )
            model, told = loaded
            tok = AutoTokenizer.from_pretrained(checkpoint, **where)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    # transformers meets files of strangers with whatever its parsing stumbles over.
    except Exception as error:
        raise _unreadable(
            hparams.model_name, error, "cannot be loaded", "folder of a transformers checkpoint with its tokenizer"
        ) from error
    _refuse_unlike(hparams.model_name, model, told)
    if "device_map" not in options:
        model.to(device)
    if tok.pad_token is None and tok.eos_token is not None:
        tok.pad_token = tok.eos_token
    keep_differentiable(model)
    return model.eval(), tok


def load_shapes(hparams: EditHyperParams) -> PreTrainedModel:
    """The model :func:`load_model` would load, without its weights: on torch's meta device, and not quantized.

    Args:
        hparams: ``model_name`` and ``dtype`` are used; of the checkpoint its configuration alone is read.

    Raises:
        LoadingError: no model is named, or it has no configuration of a causal language model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    checkpoint = _checkpoint(hparams)
    where: dict[str, Any] = {"trust_remote_code": False} | hub_options(checkpoint)
    try:
        config = AutoConfig.from_pretrained(checkpoint, **where)
        stored = getattr(config, "dtype", None) or torch.float32
        dtype = stored if hparams.dtype == "auto" else _dtype(hparams.dtype)
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForCausalLM.from_config(
                config, trust_remote_code=False, **{_dtype_keyword(): dtype}
            )
            model.eval()
            return model
    except MemoryError:
        raise
    # As above.
    except Exception as error:
        raise _unreadable(
            hparams.model_name,
            error,
            "has no configuration that can be read",
            "folder with the config.json of a causal language model",
        ) from error


def load_tokenizer(hparams: EditHyperParams) -> PreTrainedTokenizerBase:
    """The tokenizer that :func:`load_model` would load, as it is in the checkpoint.

    Raises:
        LoadingError: no model is named, or its checkpoint has no tokenizer that can be read.
    """
    from transformers import AutoTokenizer

    checkpoint = _checkpoint(hparams)
    try:
        return AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False, **hub_options(checkpoint))
    except MemoryError:
        raise
    # As above.
    except Exception as error:
        raise _unreadable(
            hparams.model_name, error, "has no tokenizer that can be read", "folder with a tokenizer"
        ) from error


def _checkpoint(hparams: EditHyperParams) -> str:
    """Where transformers finds the model.

    Raises:
        LoadingError: no model is named, or it is an adapter, or a file that cannot be converted.
    """
    name = hparams.model_name
    if not name:
        raise LoadingError("model_name is not set; give a model's folder, its .gguf file, or its name")
    try:
        if (Path(name).expanduser() / "adapter_config.json").is_file():
            raise LoadingError(
                f"{name!r} holds an adapter of peft's, not a model; merge it into its model and save that "
                f"(AutoPeftModelForCausalLM.from_pretrained({name!r}).merge_and_unload().save_pretrained(...)), and "
                "give the folder of the merged model"
            )
        if Path(name).expanduser().is_file() and not name.lower().endswith(".gguf"):
            raise LoadingError(f"{name} is a file; give the folder of a transformers checkpoint, or a .gguf file")
        return checkpoint_of(name)
    except (OSError, ValueError) as error:
        raise LoadingError(f"{name[:80]!r} is no name of a model or folder ({error})") from error


def _unreadable(name: str | None, error: Exception, what: str, wanted: str) -> LoadingError:
    if "trust_remote_code" in str(error):
        return LoadingError(
            f"{name!r} {what}: its architecture is code in the checkpoint (auto_map), which is never run here; "
            "give a model whose architecture transformers has itself"
        )
    kind = "" if isinstance(error, (OSError, ValueError, ImportError)) else f"{type(error).__name__}: "
    return LoadingError(
        f"{name!r} {what} ({kind}{error}); give the {wanted}, a .gguf file, one of {', '.join(NAMES)}, or a hub name "
        f"while online.{did_you_mean((name or '').lower(), NAMES)}"
    )


def _refuse_unlike(name: str | None, model: PreTrainedModel, told: Mapping[str, Any]) -> None:
    """Refuse what transformers has loaded in part."""
    from easyedit_ice.model.unusual_weights import refuse_offloaded

    if absent := sorted(told.get("missing_keys", ())):
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise LoadingError(
            f"{name!r} has no weights for {', '.join(absent[:3])}{more}, which would be random numbers; give a whole "
            "checkpoint of a causal language model"
        )
    try:
        refuse_offloaded(model)
    except AnatomyError as error:
        raise LoadingError(f"{name!r} does not fit: {error}") from error


def _dtype_keyword() -> str:
    """``dtype``, which transformers before 4.56 called ``torch_dtype``."""
    import transformers
    from packaging.version import Version

    return "dtype" if Version(transformers.__version__) >= Version("4.56") else "torch_dtype"


def _dtype(name: str) -> Any:
    import torch

    return name if name == "auto" else getattr(torch, name)


def _quantization(hparams: EditHyperParams) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    require("quant", "a model in 4 or 8 bits")

    if hparams.quantization_bit == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    compute = torch.bfloat16 if hparams.dtype == "auto" else _dtype(hparams.dtype)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute)
