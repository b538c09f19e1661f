"""Tiny random models of every decoder that transformers has, made from its own configurations and by no list of names.

A default configuration is shrunk by what its fields are called: widths, heads, layers, experts, vocabularies. Where it
does not hold together afterwards, a few other ways to shrink it are tried.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from easyedit_ice.errors import LoadingError
from easyedit_ice.testing.tiny_models import tokenizer

LAYERS, WIDTH, MOST = 4, 32, 20_000_000
"""Of the models, with the most parameters they may have."""
_CONTEXT = 128
_RULES = (
    (r"vocab", None),
    (r"hidden_size_per_layer|laurel", 4),
    (r"mamba_d_head|mamba_head_dim", 16),
    (r"head_dim|head_size|d_kv$|dim_head|d_head$", 8),
    (r"rotary_dim|rotary_ndims", 4),
    (r"intermediate|ffn|n_inner|d(im)?_?ff$|d_inner|mlp_dim|feed_forward|ff_dim|mlp_hidden", 48),
    (r"^((attention_|output_)?hidden_size|d_model|n_embd|dim|(model|embed|hidden|emb|word_embed_proj)_dim)$", WIDTH),
    (r"^(embedding_size|input_size|d_embed|lru_width|mamba_d_ssm)$", WIDTH),
    (r"^(num_(hidden_|decoder_|encoder_|local_|global_)?layers|n_(dec_)?layers?|num_blocks|depth)$", LAYERS),
    (r"^(encoder|decoder)_layers$", LAYERS),
    (r"first_k_dense|num_dense_layers|num_nextn|num_kv_shared|layer_offset", 1),
    (r"layer_period|layers?_interval|full_attention_interval", 2),
    (r"key_value_heads|kv_heads|n_head_kv|num_query_groups|n_kv_head|kv_n_heads", 2),
    (r"(^|_)heads?$|n_head$", 4),
    (r"max_position|n_positions|n_ctx|max_seq|seq_length|max_target|max_source", _CONTEXT),
    (r"(n|num)(_\w+)?_experts$|expert_num", 4),
    (r"n_group$", 2),
    (r"experts_per_tok|top_?k|moe_k$|topk_group", 2),
    (r"rank$|rank_\w+$|_lora", 8),
    (r"d_state|state_size|n_groups$|ssm_state|d_conv", 4),
)
_DERIVED = {"transformers_version", "model_type", "architectures", "dtype", "_name_or_path"}

_EXTRAS: tuple[dict[str, Any], ...] = (
    {},
    {"num_key_value_heads": 4},
    {"num_key_value_heads": 4, "num_experts_per_tok": 2, "n_routed_experts": 4},
    {"head_dim": 8},
    {"head_dim": 16},
    {"mamba_d_head": 8},
    {"attn_layer_indices": [1]},
    *(
        {"layer_types": [one, other] * (LAYERS // 2)}
        for one in ("mamba", "conv")
        for other in ("attention", "full_attention")
    ),
)
"""What is tried besides, where a configuration leaves open what its default sizes do not tell."""

Values = dict[str, Any]


def decoders() -> tuple[str, ...]:
    """Kinds of models, as their configurations call them, for which transformers has a causal language model."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return tuple(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def tiny_decoder(kind: str) -> nn.Module:
    """A model of a kind, with the same random weights each time, in fp32 and evaluation mode; it has read a text.

    Raises:
        LoadingError: none of the ways to shrink it gives a model that reads text; the message has the last reason.
    """
    reason: Exception = LoadingError("transformers has no such configuration")
    with torch.random.fork_rng(devices=[]):
        for config in _configurations(kind):
            try:
                return _read_once(_built(config()))
            # What does not hold together fails in as many ways as there are models.
            except Exception as error:
                reason = error
    raise LoadingError(
        f"{kind} cannot be made small ({type(reason).__name__}: {str(reason).strip()[:200]}); take a checkpoint of it"
    ) from reason


def in_dtype(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy of a model with all of its weights in one type.

    Raises:
        LoadingError: it does not read text so, since some of its modules work in a type of their own.
    """
    model = copy.deepcopy(model).to(dtype)
    try:
        return _read_once(model)
    except RuntimeError as error:
        raise LoadingError(f"{type(model).__name__} reads no text in {dtype} ({error}); take another type") from error


def _built(config: Any) -> nn.Module:
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in AutoModelForCausalLM.from_config(config).parameters())
    if size > MOST:
        raise LoadingError(f"it still has {size:,} parameters; at most {MOST:,} are tiny")
    torch.manual_seed(0)
    model: nn.Module = AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not parameter.isfinite().all():
                raise LoadingError(f"{name} is left without a start")
    return model


@torch.no_grad()
def _read_once(model: nn.Module) -> nn.Module:
    ids = torch.arange(1, 13)[None]
    if not model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.isfinite().all():
        raise LoadingError("its first logits are no numbers")
    return model


def _configurations(kind: str) -> Iterator[Any]:
    """Ways to shrink a kind's default configuration, the plainest first, to be made one after the other."""
    from transformers import CONFIG_MAPPING

    if kind not in CONFIG_MAPPING:
        return
    cls = CONFIG_MAPPING[kind]
    try:
        default = cls().to_dict()
    # A few cannot be made by default.
    except Exception as error:
        raise LoadingError(f"{kind} cannot be made small: it has no default configuration ({error})") from error
    whole = {name: value for name, value in _shrunk(default).items() if name not in _DERIVED}
    if "is_decoder" in whole:
        whole["is_decoder"] = True
    changed = {name: value for name, value in whole.items() if value != default.get(name)}
    numbers = {name: value for name, value in changed.items() if not isinstance(value, Mapping)}
    fewer = {name: value for name, value in numbers.items() if not isinstance(value, list)}
    for base in (whole, changed, numbers, fewer):
        for extra in _EXTRAS:
            yield lambda base=base, extra=extra: cls(**{**base, **extra})
        yield lambda base=base: cls(**{name: value for name, value in base.items() if "head_dim" not in name})


def _shrunk(values: Mapping[str, Any]) -> Values:
    told = (values.get(name) for name in ("num_hidden_layers", "n_layer", "n_layers", "num_layers"))
    layers = next((count for count in told if isinstance(count, int)), None)
    result: Values = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            if not all(str(key).isdigit() for key in value):  # settings of single layers, which may be there no longer
                result[name] = _shrunk(value)
        elif isinstance(value, list) and layers and len(value) >= layers > LAYERS:
            result[name] = [_smaller(name, entry) for entry in _of_every_kind(value)]
        else:
            result[name] = _smaller(name, value)
    return result


def _smaller(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    words = len(tokenizer())
    for pattern, most in _RULES:
        if re.search(pattern, name):
            return min(value, words if most is None else most) if value > 0 else value
    if re.search(r"token_id|_index$", name):
        return value if 0 <= value < words else 0
    return value


def _of_every_kind(layers: list[Any]) -> list[Any]:
    """As many entries as there are layers now, with every kind there is among them as far as they go."""
    kinds = list({str(entry): entry for entry in layers}.values())[:LAYERS]
    return kinds + [layers[-1]] * (LAYERS - len(kinds))
