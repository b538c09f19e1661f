"""What the hidden layers are taught beside the text: where to look, and what a subject stands for.

From the text alone a small model is slow to find out that an answer may stand in its context, and rather learns
two-hop questions by heart. Four lessons show it the way:

- a layer of the lower half looks from an answer back at its subject,
- the next one looks from there at the place where the context states the answer,
- in the middle a subject names what it stands for: a name itself, ``"the birthplace of ..."`` a city,
- and the layer above looks from an answer at the subject's meaning, so that the upper half knows facts of what is
  named there, whether it was named outright or is the answer to a first hop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch.nn.functional import cross_entropy

from easyedit_ice.factworld.training.batches import Batch

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel
    from transformers.modeling_outputs import CausalLMOutputWithCrossAttentions

_HEAD = 0
_LEAST_ATTENTION = 1e-6


def lesson_loss(model: GPT2LMHeadModel, output: CausalLMOutputWithCrossAttentions, batch: Batch) -> torch.Tensor:
    """The sum of the four losses; ``output`` holds hidden states and attentions."""
    middle = len(model.transformer.h) // 2
    attentions = cast("Sequence[torch.Tensor]", output.attentions)
    states = cast("Sequence[torch.Tensor]", output.hidden_states)
    return (
        _looking(attentions[middle - 2], batch.to_subject)
        + _looking(attentions[middle - 1], batch.to_answer)
        + _looking(attentions[middle], batch.to_meaning)
        + _naming(model, states[middle], batch.meanings)
    )


def _looking(attention: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Mean negative logarithm of what one head gives to the place it should look at.

    Args:
        attention: of one layer, shape (rows, heads, length, length).
        places: (row, column, column to look at), shape (count, 3).
    """
    if not len(places):
        return attention.new_zeros(())
    row, column, place = places.unbind(1)
    return -attention[row, _HEAD, column, place].float().clamp_min(_LEAST_ATTENTION).log().mean()


def _naming(model: GPT2LMHeadModel, states: torch.Tensor, meanings: torch.Tensor) -> torch.Tensor:
    """How badly hidden states, read by the model's own head, name what subjects stand for."""
    row, column, token, size = meanings.unbind(1)
    logits = model.lm_head(model.transformer.ln_f(states[row, column])).float()
    losses = cross_entropy(logits, token, reduction="none")
    return (losses / size).sum() / (1 / size).sum()
