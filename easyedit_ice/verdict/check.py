"""A verdict on an edit: whether it took, how far it holds, and what it moved besides.

A few batched passes of the model without the edit and of the model with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from easyedit_ice.edit.apply import Requests
from easyedit_ice.edit.plain_statements import MEASURED, Movement, movement, said, statements
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.closed_form.outcome import TargetScores, stated
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.progress import progress
from easyedit_ice.text.chat import asking_for
from easyedit_ice.text.likely_answers import answers_right
from easyedit_ice.verdict.advice import advice
from easyedit_ice.verdict.asked_around import other_names, own_text, with_name
from easyedit_ice.verdict.brief_answers import Brief, brief_answers
from easyedit_ice.verdict.verdict import MOST_DRIFT, FactVerdict, Neighbour, Verdict, Wording

logger = logging.getLogger(__name__)

_FEW = 3
"""So many facts are looked at closely; of more, each gets less."""
_AT_A_TIME = 16
"""Facts whose questions are asked together."""


@dataclass(frozen=True)
class _Effort:
    """How much is asked for each fact."""

    openings: int
    names: int
    neighbours: int


_CLOSELY, _BRIEFLY = _Effort(4, 12, 5), _Effort(2, 4, 2)


def check(
    model: nn.Module,
    tok: Tokenizer,
    update: WeightUpdate,
    requests: Requests,
    *,
    chat: bool | None = None,
    drift: Movement | None = None,
) -> Verdict:
    """Look at what an update does; the model is afterwards as it was, to the bit.

    Args:
        model: with the update committed to it or without. Updates that were committed after it must be taken out first.
        tok: its tokenizer.
        update: of :func:`easyedit_ice.solve`, or a sum of such.
        requests: the facts it is to write, as for ``solve``. Their ``rephrase_prompt``, ``portability`` and
            ``locality`` are asked besides what this finds by itself.
        chat: whether prompts stand in the chat template; by default as the update's own settings say.
        drift: how far plain statements move, where that is measured already, as ``solve`` does.

    Raises:
        RequestError: a request is no fact.
        UpdateError: the update does not fit the model, or another one was committed after it.
    """
    settings = update.info.get("hparams", {})
    asking = asking_for(tok, settings.get("chat", False) if chat is None else chat)
    facts = [replace(fact, asking=asking) for fact in EditRequest.prepare(requests)]
    with preserved(model, tok), torch.no_grad():
        model.eval()
        rows = [] if drift is not None else statements(model, tok, MEASURED, facts)
        with _without(update, model):
            plain = said(model, rows)
            asked, before = _ask_before(model, tok, facts)
        with _within(update, model):
            checks = _ask_after(model, tok, asked, before)
            moved = movement(model, rows, plain) if rows else drift
    algorithm = update.info.get("algorithm")
    verdict = Verdict(algorithm, tuple(checks), moved, settings.get("warn_drift", MOST_DRIFT))
    return replace(verdict, advice=advice(verdict))


@dataclass(frozen=True)
class _Asked:
    """A fact with all that is asked about it."""

    request: EditRequest
    openings: tuple[str, ...]
    neighbours: tuple[tuple[str, str], ...]

    @property
    def further(self) -> list[tuple[str, str, str]]:
        """Kind, prompt and target of the fact's own probes that must change."""
        request = self.request
        rephrase = (
            [] if request.rephrase_prompt is None else [("rephrase", request.rephrase_prompt, request.target_new)]
        )
        kinds = request.portability.items()
        return rephrase + [
            (f"portability.{kind}", one.prompt, one.answer)
            for kind, ones in kinds
            for one in ones
            if one.answer.strip()
        ]

    def texts(self) -> list[str]:
        """All that is answered briefly, as it is put to the model."""
        prompts = [self.request.prompt, *(prompt for _, prompt, _ in self.further), *(p for _, p in self.neighbours)]
        return [self.request.asking.text(prompt) for prompt in prompts]


@dataclass(frozen=True)
class _Before:
    """What the unedited model says."""

    answers: Mapping[str, Brief]
    stated: TargetScores


def _ask_before(model: nn.Module, tok: Tokenizer, facts: Sequence[EditRequest]) -> tuple[list[_Asked], _Before]:
    """Choose what is asked, by what the unedited model is surest about, and have it answered."""
    effort = _CLOSELY if len(facts) <= _FEW else _BRIEFLY
    written = own_text(model, tok)
    answers: dict[Any, Any] = {}
    subjects = {fact.subject for fact in facts if fact.subject is not None}
    names = other_names(written, subjects, _CLOSELY.names)
    asked: list[_Asked] = []
    with progress(logger, "asking the unedited model", len(facts), "fact") as advance:
        for start in range(0, len(facts), _AT_A_TIME):
            part = facts[start : start + _AT_A_TIME]
            candidates = [_candidates(fact, names, start + i, effort) for i, fact in enumerate(part)]
            plain = [_Asked(fact, (), tuple(others)) for fact, others in zip(part, candidates, strict=True)]
            texts = [text for one in plain for text in one.texts()]
            answers |= zip(texts, brief_answers(model, tok, texts), strict=True)
            for fact, candidate in zip(part, candidates, strict=True):
                chosen = _surest(fact, candidate, answers, effort.neighbours)
                asked.append(_Asked(fact, written.openings[: effort.openings], tuple(chosen)))
            advance(len(part))
    return asked, _Before(answers, stated(model, tok, facts))


def _candidates(fact: EditRequest, names: Sequence[str], turn: int, effort: _Effort) -> list[tuple[str, str]]:
    """Kind and prompt of what may be asked as a neighbour: all that the request names, and other names."""
    locality = [(f"locality.{kind}", probe.prompt) for kind, probes in fact.locality.items() for probe in probes]
    turned = [names[(turn * effort.names + step) % len(names)] for step in range(min(effort.names, len(names)))]
    others = [other for name in turned if (other := with_name(fact, name)) is not None]
    return locality + [("name", other.prompt) for other in others]


def _surest(
    fact: EditRequest, candidates: Sequence[tuple[str, str]], answers: Mapping[str, Brief], count: int
) -> Iterator[tuple[str, str]]:
    """All that the request names, and of other names those that the model is surest about.

    An answer that is the target already, or none, cannot be seen to move.
    """
    target = Brief(fact.target_new, 0.0).first
    told = {prompt: answers[fact.asking.text(prompt)] for kind, prompt in candidates if kind == "name"}
    useful = [prompt for prompt, answer in told.items() if answer.first not in ("", target)]
    chosen = sorted(useful, key=lambda prompt: told[prompt].surprise)[:count]
    return ((kind, prompt) for kind, prompt in candidates if kind != "name" or prompt in chosen)


def _ask_after(model: nn.Module, tok: Tokenizer, asked: Sequence[_Asked], before: _Before) -> list[FactVerdict]:
    """What the edited model says, beside what was said before."""
    after, verdicts = stated(model, tok, [one.request for one in asked]), []
    with progress(logger, "asking the edited model", len(asked), "fact") as advance:
        for start in range(0, len(asked), _AT_A_TIME):
            part = asked[start : start + _AT_A_TIME]
            texts = [text for one in part for text in one.texts()]
            answers = dict(zip(texts, brief_answers(model, tok, texts), strict=True))
            held = iter(_held(model, tok, part))
            for place, one in enumerate(part, start):
                verdicts.append(_verdict(one, before.answers, answers, held, before.stated.nll[place], after, place))
            advance(len(part))
    return verdicts


def _held(model: nn.Module, tok: Tokenizer, part: Sequence[_Asked]) -> list[bool]:
    """Whether the model answers as the facts say: after each opening, and then each further probe, of each fact."""
    questions = [
        question
        for one in part
        for question in [
            *((one.request.asked(opening), one.request.target_new) for opening in one.openings),
            *((one.request.asking.text(prompt), target) for _, prompt, target in one.further),
        ]
    ]
    return answers_right(model, tok, questions, part[0].request.asking) if questions else []


def _verdict(
    one: _Asked,
    before: Mapping[str, Brief],
    after: Mapping[str, Brief],
    held: Iterator[bool],
    nll_before: float,
    now: TargetScores,
    place: int,
) -> FactVerdict:
    request = one.request

    def answers(prompt: str) -> tuple[Brief, Brief]:
        text = request.asking.text(prompt)
        return before[text], after[text]

    openings = [
        Wording("opening", opening + request.prompt, request.target_new, next(held)) for opening in one.openings
    ]
    further = [
        Wording(kind, prompt, target, next(held), *(answer.text for answer in answers(prompt)))
        for kind, prompt, target in one.further
    ]
    neighbours = []
    for kind, prompt in one.neighbours:
        old, new = answers(prompt)
        neighbours.append(Neighbour(kind, prompt, old.text, new.text, old.first != new.first))
    old, new = answers(request.prompt)
    return FactVerdict(
        prompt=request.prompt,
        target=request.target_new.strip(),
        subject=request.subject,
        written=now.likeliest[place],
        nll=now.nll[place],
        nll_before=nll_before,
        before=old.text,
        after=new.text,
        wordings=(*openings, *further),
        neighbours=tuple(neighbours),
    )


@contextmanager
def _without(update: WeightUpdate, model: nn.Module) -> Iterator[None]:
    """The model as it is without an update that may be committed to it."""
    with _moved(update.revert, update.commit, model) if update.committed(model) else _as_is():
        yield


@contextmanager
def _within(update: WeightUpdate, model: nn.Module) -> Iterator[None]:
    """The model as it is with an update that may be committed to it."""
    with _as_is() if update.committed(model) else _moved(update.commit, update.revert, model):
        yield


@contextmanager
def _moved(there: Callable[[nn.Module], Any], back: Callable[[nn.Module], Any], model: nn.Module) -> Iterator[None]:
    there(model)
    try:
        yield
    finally:
        back(model)


@contextmanager
def _as_is() -> Iterator[None]:
    yield
