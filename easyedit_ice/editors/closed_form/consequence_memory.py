"""What a fact's consequences take beside FastGrad's steps: texts that are drawn and read, and rows in every step.

Only the model can tell how many tokens count. The plan takes as many as the settings allow, so that it is a bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from easyedit_ice.editors.closed_form.closed_form_memory import Beside, plan_steps
from easyedit_ice.editors.closed_form.consequences import ConsequenceSettings
from easyedit_ice.editors.gradient.in_context import OPENING
from easyedit_ice.editors.gradient.training_memory import DRAWN
from easyedit_ice.model.activation_memory import FP32, Pass, cache_per_token, element_size, vocabulary
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.planning.footprint import Device, Footprint, Stage
from easyedit_ice.text.rows import TOGETHER
from easyedit_ice.text.sampling import ROWS

if TYPE_CHECKING:
    from easyedit_ice.editors.algorithms.ice_grad import IceGradHyperParams

TOKEN = 40
"""Bytes of a token of a text in main memory: an integer of Python, and a reference to it."""
_READ = 2
"""Readings of a text side by side: after the new fact and alone; that after the old fact follows."""
_ARRAYS = 3
"""Arrays of v in fp32 for each token that is read: log-probabilities as they are made, and those made before."""


@dataclass(frozen=True)
class _Texts:
    """Texts of one kind.

    Attributes:
        count: of them.
        begun: tokens that they begin with.
        length: tokens that are drawn.
        context: tokens before them.
    """

    count: int
    begun: int
    length: int
    context: int

    @property
    def alone(self) -> int:
        """Tokens of a text."""
        return self.begun + self.length

    @property
    def whole(self) -> int:
        """Tokens of a text after its context."""
        return self.context + self.alone


def plan_consequences(
    model: nn.Module, hparams: IceGradHyperParams, facts: int, tokens: int, device: Device, stated: int
) -> Footprint:
    """The highest of what FastGrad's steps hold, with consequences beside each fact, and of what is held while texts
    are drawn and read."""
    settings = hparams.section(ConsequenceSettings)
    kinds = _kinds(settings, facts, tokens)
    if not kinds:
        return plan_steps(model, hparams, facts, tokens, device, stated)
    readings = 3 if settings.contrast else 2
    in_memory = TOKEN * readings * sum(texts.count * texts.whole for texts in kinds)
    earlier = [
        Stage(of_texts, in_memory)
        for texts in kinds
        for of_texts in (_drawing_bytes(model, texts), _reading_bytes(model, texts))
    ]
    return plan_steps(model, hparams, facts, tokens, device, stated, _rows(settings, kinds, facts), earlier)


def _kinds(settings: ConsequenceSettings, facts: int, tokens: int) -> list[_Texts]:
    """Free texts and continuations, where there are any; a context is as long as a statement."""
    every = (
        _Texts(facts * settings.free_samples, OPENING, settings.free_length, tokens),
        _Texts(facts * settings.continuation_samples, tokens, settings.continuation_length, tokens),
    )
    return [texts for texts in every if texts.count]


def _rows(settings: ConsequenceSettings, kinds: list[_Texts], facts: int) -> Beside:
    """Consequences of a fact, filled up to the longest of their texts; they end midway through what was drawn."""
    texts = sum(own.count for own in kinds)
    count = min(settings.consequences_each, settings.tokens_each * texts // facts)
    read = sum(own.count * (own.begun + own.length // 2) for own in kinds) // texts
    return Beside(Pass(count * max(own.alone for own in kinds), count, 0), count * read)


def _drawing_bytes(model: nn.Module, texts: _Texts) -> int:
    """Keys and values, and logits of the last tokens."""
    return min(texts.count, ROWS) * (texts.whole * cache_per_token(model) + DRAWN * FP32 * vocabulary(model))


def _reading_bytes(model: nn.Module, texts: _Texts) -> int:
    """Log-probabilities of as many tokens as are looked at together, and one block's inner tensors of their texts."""
    anatomy, words = ModelAnatomy(model), FP32 * vocabulary(model)
    rows = min(texts.count * _READ, max(1, TOGETHER // (words * texts.length)))
    widest = max(p.in_features for p in anatomy.projections)
    inner = element_size(model) * (4 * widest + 4 * anatomy.hidden_size)
    return rows * (texts.whole * inner + _ARRAYS * words * texts.length)
