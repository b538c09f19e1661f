"""Logits where they are needed: the head of a large vocabulary costs more than a small model's whole body.

Shapes: b sequences, t tokens, p places, v the vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.capture import watching


def logits_at(model: nn.Module, inputs: Mapping[str, Any], where: Sequence[tuple[int, int]]) -> Tensor:
    """Logits at some places, given as (sequence, token): (p, v).

    The model's output embedding gets the hidden states of these places alone, if the model has one that it calls.

    Args:
        model: a causal language model.
        inputs: all that it is called with; it keeps no keys and values unless told.
        where: the places.

    Raises:
        AnatomyError: the model predicts something else than one next token at each place, as ProphetNet does.
    """
    sequences, places = torch.tensor(where).T
    narrowed = False

    def narrow(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        nonlocal narrowed
        narrowed = True
        hidden = arguments[0]
        if hidden.ndim != 3:
            raise AnatomyError(
                f"{type(model).__name__} gives its output embedding hidden states of shape {tuple(hidden.shape)}; "
                "expected one for each token, of a model that predicts the next token alone"
            )
        return (hidden[None, sequences.to(hidden.device), places.to(hidden.device)], *arguments[1:])

    head = getattr(model, "get_output_embeddings", lambda: None)()
    with watching([] if head is None else [head], before=narrow):
        logits = logits_of(model(**{"use_cache": False, **inputs}))
    return logits[0] if narrowed else logits[sequences.to(logits.device), places.to(logits.device)]


def logits_of(output: Any) -> Tensor:
    """Logits (b, t, v) from what a model returns; some wrappers of EasyEdit return them bare."""
    return output if isinstance(output, Tensor) else output.logits
