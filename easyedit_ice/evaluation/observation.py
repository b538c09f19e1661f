"""What a model answers, in batches: under teacher forcing, by probabilities, and when it writes freely."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import nn

from easyedit_ice.evaluation.leading_answer import MOST_TOKENS, leading_answer
from easyedit_ice.evaluation.likelihood import alternatives
from easyedit_ice.evaluation.questions import Question
from easyedit_ice.evaluation.teacher_forced.forced_answers import Forced, forced
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import batches
from easyedit_ice.text.chat import PLAIN, Asking
from easyedit_ice.text.rows import prefix_ids
from easyedit_ice.text.sampling import write
from easyedit_ice.text.tokens import ends_of_text

BATCH = 64

Context = Callable[[str], str]
"""Turns a question's prompt into the text that a model is asked with."""


@dataclass(frozen=True)
class Observation:
    """A model's answer to one question.

    Attributes:
        expected: tokens of the expected answer.
        predicted: the likeliest token at each of their places, given the prompt and the expected ones before it.
        generated: what the model writes after the prompt, greedily, until it stops by itself or by the limit; none
            if it was not let write.
        log_prob: mean log-probability of the answer's tokens, in nats per token; none if not asked for, or if the
            question has no other answer.
        other_log_prob: the same of the answer it competes with.
        leading: the leading answer in the generated text; see :mod:`easyedit_ice.evaluation.leading_answer`.
        stopped: whether the generated text ended by itself.
    """

    expected: tuple[int, ...]
    predicted: tuple[int, ...]
    generated: str | None = None
    log_prob: float | None = None
    other_log_prob: float | None = None
    leading: str | None = None
    stopped: bool | None = None

    @property
    def token_accuracy(self) -> float | None:
        """Share of the expected tokens that are the likeliest: EasyEdit's ``rewrite_acc`` and its kin."""
        return _agreement(self.expected, self.predicted)

    def agrees_with(self, other: Observation) -> float | None:
        """Share of places with the same likeliest token: EasyEdit's locality."""
        return _agreement(self.predicted, other.predicted)


def observe(
    model: nn.Module,
    tok: Tokenizer,
    facts: Sequence[Sequence[Question]],
    *,
    contexts: Sequence[Context | None] | None = None,
    asking: Asking = PLAIN,
    max_length: int = 512,
    max_new_tokens: int = 16,
    probability: bool = False,
) -> list[tuple[Observation, ...]]:
    """Ask a model all questions of some facts; it is left as it was.

    Teacher-forced answers to plain prompts are those of EasyEdit's head, which pads on the left whatever the tokenizer
    does. Where ``asking`` puts questions into a chat, answers begin where the model's own would.

    Args:
        model: a causal language model; in evaluation mode while it is asked.
        tok: its tokenizer.
        facts: the questions of each fact; those of one measure stand together.
        contexts: for each fact what its questions' prompts are turned into before they are asked.
        asking: how that is put to the model, such as :func:`~easyedit_ice.text.chat.in_chat`; by default as it is.
        max_length: longest question with its answer, in tokens.
        max_new_tokens: where free writing is cut off; 0 for none.
        probability: whether to compare the answers with those they compete with.
    """
    asked = [
        asking.text((context or str)(question.prompt))
        for of_fact, context in zip(facts, contexts or [None] * len(facts), strict=True)
        for question in of_fact
    ]
    flat = [question for of_fact in facts for question in of_fact]
    answers = _forced(model, tok, facts, asked, asking, max_length)
    written = _written(model, tok, asked, max_new_tokens)
    likelihoods = _likelihoods(model, tok, flat, asked, asking) if probability else {}
    observations = iter(
        Observation(answer.expected, answer.predicted, text, *likelihoods.get(index, (None, None)), *rest)
        for index, (answer, (text, *rest)) in enumerate(zip(answers, written, strict=True))
    )
    return [tuple(next(observations) for _ in of_fact) for of_fact in facts]


def _forced(
    model: nn.Module,
    tok: Tokenizer,
    facts: Sequence[Sequence[Question]],
    asked: Sequence[str],
    asking: Asking,
    max_length: int,
) -> list[Forced]:
    prompts, gap = iter(asked), " " if asking.gap is None else asking.gap
    groups = [
        [(next(prompts), question.answer) for question in group] for of_fact in facts for group in _by_measure(of_fact)
    ]
    answers = forced(model, tok, groups, max_length=max_length, host="head", gap=gap)
    return [answer for group in answers for answer in group]


def _by_measure(questions: Sequence[Question]) -> Iterator[list[Question]]:
    """The questions that EasyEdit asks together."""
    for _, group in groupby(questions, key=lambda question: question.measure):
        yield list(group)


FreeAnswer = tuple[str, str, bool] | tuple[None, None, None]
"""A text, its leading answer, and whether it ended by itself."""


def _written(model: nn.Module, tok: Tokenizer, asked: Sequence[str], max_new_tokens: int) -> list[FreeAnswer]:
    if not max_new_tokens:
        return [(None, None, None)] * len(asked)
    prefixes = {prompt: prefix_ids(tok, prompt) for prompt in asked}
    order = sorted(prefixes, key=lambda prompt: len(prefixes[prompt]))
    ends = ends_of_text(model, tok)
    texts: dict[str, Any] = {}
    with preserved(model, tok), torch.no_grad():
        for batch in batches(order, BATCH):
            tokens = write(model, tok, [prefixes[prompt] for prompt in batch], length=max_new_tokens)
            texts |= {prompt: _read(tok, ids, ends, max_new_tokens) for prompt, ids in zip(batch, tokens, strict=True)}
    return [texts[prompt] for prompt in asked]


def _read(tok: Tokenizer, tokens: Sequence[int], ends: Sequence[int], limit: int) -> FreeAnswer:
    """What some tokens say; ends of text, which need not be special tokens, are no part of it."""

    def text(tokens: Sequence[int]) -> str:
        return str(tok.decode([token for token in tokens if token not in ends], skip_special_tokens=True).strip())

    stopped = len(tokens) < limit or tokens[-1] in ends
    return text(tokens), leading_answer(text(tokens[:MOST_TOKENS])), stopped


def _likelihoods(
    model: nn.Module, tok: Tokenizer, questions: Sequence[Question], asked: Sequence[str], asking: Asking
) -> dict[int, tuple[float, float]]:
    """Mean log-probabilities of each answer and of the other one, for the questions that have another one."""
    competing = {index: question.other for index, question in enumerate(questions) if question.other is not None}
    pairs = [(asked[index], (questions[index].answer, other)) for index, other in competing.items()]
    likelihoods = alternatives(model, tok, pairs, asking)
    return {index: (answer, other) for index, (answer, other) in zip(competing, likelihoods, strict=True)}


def _agreement(one: Sequence[int], other: Sequence[int]) -> float | None:
    """Share of equal places; none where there is no place."""
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one) if one else None
