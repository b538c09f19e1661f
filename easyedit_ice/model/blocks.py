"""Where a model's decoder blocks are, how wide their stream is, and how long a text they read."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from torch import nn

from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.pretrained import embedding_weight, pretrained

_CONTEXT = (
    "max_position_embeddings",
    "max_seq_len",
    "max_sequence_length",
    "n_positions",
    "n_ctx",
    "max_target_positions",
)
"""What configurations call the number of positions; one that has none of these sets no limit."""


def find_blocks(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The list of modules that hold attention; of several that nearest to the input embedding, then the longest.

    A model that reads images as well keeps their encoder, with blocks of its own, apart from the embedding of words, or
    further down.

    Raises:
        AnatomyError: there is none, or the model has an encoder that reads the text first.
    """
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        raise AnatomyError(
            f"{type(model).__name__} has an encoder and a decoder; expected a causal language model, which has a "
            "decoder alone"
        )
    lists = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module)
        and any(takes_attention_mask(child) for child in module[0].children())
    ]
    if not lists:
        raise AnatomyError(
            f"no list of decoder blocks was found in {type(model).__name__}; expected a causal language model "
            "of transformers whose blocks are a ModuleList"
        )
    embedding = _embedding_path(model)

    def near(item: tuple[str, nn.ModuleList]) -> tuple[int, int, int]:
        path = item[0].split(".")
        return _shared(path, embedding), -len(path), len(item[1])

    return max(lists, key=near)


def context_length(model: nn.Module) -> int | None:
    """Positions the model can attend to, in tokens.

    ``None`` if its configuration sets no limit, or it has none, as some wrappers of EasyEdit.
    """
    whole = getattr(model, "config", None)
    config = None if whole is None else whole.get_text_config()
    told = (getattr(config, name, None) for name in _CONTEXT)
    return next((length for length in told if isinstance(length, int) and length >= 0), None)


def stream_width(model: nn.Module) -> int:
    """Width of the residual stream, which embeddings may be narrower than (OPT-350m) or wider (RemBERT).

    That of the embeddings for a model whose configuration tells none, or which has none.
    """
    whole = getattr(model, "config", None)
    told = None if whole is None else getattr(whole.get_text_config(), "hidden_size", None)
    return told if isinstance(told, int) else embedding_weight(model).shape[1]


def mixtures(block: nn.Module) -> Iterator[str]:
    """Paths, within a block's MLP, of what holds several experts: parameters with a dimension for them, or lists."""
    for child_name, child in block.named_children():
        if takes_attention_mask(child):
            continue
        for name, module in child.named_modules(prefix=child_name):
            if not isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
                weights = module.named_parameters(prefix=name, recurse=False)
                yield from (path for path, weight in weights if weight.ndim == 3 and min(weight.shape[1:]) > 1)
            if isinstance(module, nn.ModuleList) and sum(map(_multiplies, module)) > 1:
                yield name


def takes_attention_mask(module: nn.Module) -> bool:
    """Whether a module is an attention part, or another that mixes the tokens of a text."""
    try:
        return "attention_mask" in inspect.signature(module.forward).parameters
    except ValueError:  # a function of torch's own has no signature, and no mask
        return False


def _embedding_path(model: nn.Module) -> list[str]:
    embedding = pretrained(model).get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    return next((name.split(".") for name, module in model.named_modules() if module is embedding), [])


def _shared(one: list[str], other: list[str]) -> int:
    """How many of the first parts of two paths are the same."""
    return next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))


def _multiplies(module: nn.Module) -> bool:
    return any(getattr(getattr(inner, "weight", None), "ndim", 0) == 2 for inner in module.modules())
