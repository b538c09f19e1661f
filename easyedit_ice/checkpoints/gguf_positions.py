"""How a GGUF file scales rotary positions, which transformers 5.23 reads for gpt-oss and leaves out for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from easyedit_ice.errors import LoadingError

if TYPE_CHECKING:
    from gguf import GGUFReader
    from transformers import PreTrainedModel

_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""As Llama 3.1 and later have it; the file holds what follows from these and the factor, one number a frequency."""


_WHOLE = "full_attention"
"""Those of Gemma 3's blocks that see more than a window."""


def state_scaling(model: PreTrainedModel, metadata: GGUFReader) -> None:
    """Put the file's scaling into the configuration of the model that transformers has read from it.

    Raises:
        LoadingError: the file scales positions in a way that is not known here.
    """
    architecture = _value(metadata, "general.architecture")
    kind, factor = _kind(metadata, f"{architecture}.rope")
    tensors = {tensor.name: tensor.data for tensor in metadata.tensors if tensor.name.startswith("rope_")}
    if architecture == "gpt-oss" or (kind == "none" and not tensors):
        return
    config: Any = model.config
    plain = getattr(config, "rope_parameters", None) or {}
    if "rope_theta" in plain:  # one scaling for all blocks
        if kind == "linear" and not tensors:
            config.rope_parameters = plain | {"rope_type": "linear", "factor": factor}
            return
        if kind == "none" and set(tensors) == {"rope_freqs.weight"}:
            factors = torch.tensor(tensors["rope_freqs.weight"]).float()
            config.rope_parameters = plain | _LLAMA3 | {"rope_type": "llama3", "factor": factors.max().item()}
            if _follows(factors, config):
                return
    if architecture == "gemma3" and kind == "linear" and not tensors:  # of the blocks that see the whole text alone
        whole = {"rope_type": "linear", "factor": factor}
        config.rope_parameters = plain | {_WHOLE: plain[_WHOLE] | whole}
        return
    raise LoadingError(
        f"the file scales rotary positions ({', '.join([kind, *tensors])}) in a way that transformers leaves out and "
        "that is not mended here, so that the model would answer otherwise than the file; load the original checkpoint"
    )


def _kind(metadata: GGUFReader, rope: str) -> tuple[str, float]:
    """The way positions are scaled, and by what factor; as llama.cpp reads it, linearly where no way is named."""
    kind = str(_value(metadata, f"{rope}.scaling.type") or "linear")
    factors = (_value(metadata, f"{rope}.{name}") for name in ("scaling.factor", "scale_linear"))  # now, and once
    factor = next((factor for factor in factors if factor is not None), 0)
    if kind == "linear" and factor in (0, 1):
        return "none", 1.0
    return (kind, float(factor)) if isinstance(factor, (int, float)) else (f"{kind} by {factor}", 1.0)


def _value(metadata: GGUFReader, name: str) -> Any:
    field = metadata.get_field(name)
    return None if field is None else field.contents()


def _follows(factors: torch.Tensor, config: Any) -> bool:
    """Whether a file's factors are those that the configuration gives."""
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, None)
    places = torch.arange(len(scaled)) / len(scaled)
    wanted = config.rope_parameters["rope_theta"] ** -places / scaled
    return factors.shape == wanted.shape and torch.allclose(factors, wanted, rtol=1e-3)
