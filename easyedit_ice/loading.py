"""Load a model and its tokenizer as the hyperparameters say.

The architecture comes from the checkpoint's own configuration; the folder's name plays no part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyedit_ice.errors import LoadingError, did_you_mean
from easyedit_ice.extras import require
from easyedit_ice.models.named import NAMES, checkpoint_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from easyedit_ice.hparams import EditHyperParams


def resolve_device(device: int | str | None) -> torch.device:
    """The device meant by EasyEdit's ``device`` setting.

    Args:
        device: ``"cpu"``, ``"cuda:0"``, a GPU's number, or ``None`` for a GPU if there is one.

    Raises:
        LoadingError: a GPU is asked for by name and there is none, or the name is no device.
    """
    import torch

    if device is None or isinstance(device, int) or str(device).isdigit():
        if not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", int(device or 0))
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise LoadingError(f"device is {device!r}; expected 'cpu', 'cuda:0', or a GPU's number") from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise LoadingError(f"device is {device!r}, but torch {torch.__version__} sees no GPU; set device: cpu")
    return resolved


def load_model(hparams: EditHyperParams) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load ``hparams.model_name`` in evaluation mode, with a tokenizer that can pad.

    A name is a folder, a ``.gguf`` file, a hub name, or one of :data:`easyedit_ice.models.named.NAMES`.

    Args:
        hparams: ``model_name``, ``device``, ``model_parallel``, ``dtype`` and ``quantization_bit`` are used.

    Raises:
        LoadingError: no model is named, or it cannot be loaded.
        ModelPackageError: it is in a package that is not installed.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not hparams.model_name:
        raise LoadingError("model_name is not set; give a model's folder, its .gguf file, or its name")
    device = resolve_device(hparams.device)
    options: dict[str, Any] = {_dtype_keyword(): _dtype(hparams.dtype)}
    if hparams.quantization_bit is not None:
        options |= {"quantization_config": _quantization(hparams), "device_map": {"": device}}
    if hparams.model_parallel:
        options["device_map"] = "auto"
    checkpoint = checkpoint_of(hparams.model_name)
    try:
        model = AutoModelForCausalLM.from_pretrained(checkpoint, **options)
        tok = AutoTokenizer.from_pretrained(checkpoint)
    except (OSError, ValueError, ImportError) as error:
        raise LoadingError(
            f"{hparams.model_name!r} cannot be loaded ({error}); give the folder of a transformers checkpoint "
            f"with its tokenizer, a .gguf file, one of {', '.join(NAMES)}, or a hub name while online."
            f"{did_you_mean(hparams.model_name.lower(), NAMES)}"
        ) from error
    if "device_map" not in options:
        model.to(device)
    if tok.pad_token is None:
        tok.pad_token = tok.eos_token
    _keep_differentiable(model)
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

    if not hparams.model_name:
        raise LoadingError("model_name is not set; give a model's folder, its .gguf file, or its name")
    try:
        config = AutoConfig.from_pretrained(checkpoint_of(hparams.model_name))
        kept = getattr(config, "dtype", None) or torch.float32
        dtype = kept if hparams.dtype == "auto" else _dtype(hparams.dtype)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, **{_dtype_keyword(): dtype}).eval()
    except (OSError, ValueError, ImportError) as error:
        raise LoadingError(
            f"{hparams.model_name!r} has no configuration that can be read ({error}); give a folder with the "
            f"config.json of a causal language model, a .gguf file, one of {', '.join(NAMES)}, or a hub name while "
            f"online.{did_you_mean(hparams.model_name.lower(), NAMES)}"
        ) from error


def _keep_differentiable(model: torch.nn.Module) -> None:
    """Keep bitsandbytes from laying 4-bit weights out for inference on a CPU, which loses gradients silently."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


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
