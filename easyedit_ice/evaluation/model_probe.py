"""A look at a model before it is edited: what it knows, how far it follows a new fact, and whether it stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import nn

from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient.contexts import filled
from easyedit_ice.editors.gradient.wordings import (
    FEWEST_KNOWN,
    near_best,
    plain_requests,
    shares_followed,
    wording_shares,
)
from easyedit_ice.errors import DataError
from easyedit_ice.evaluation.knowledge import Knowledge
from easyedit_ice.evaluation.leading_answer import MOST_TOKENS, leads_with
from easyedit_ice.evaluation.observation import Observation, observe
from easyedit_ice.evaluation.questions import Question
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.chat import PLAIN, Asking
from easyedit_ice.text.likely_answers import answers_right
from easyedit_ice.text.plain_facts import PLAIN_FACTS

QUESTIONS = ("Fact: {fact}. Question: complete the sentence according to the fact. {prompt} Answer:",)
"""Whole questions, with text after the prompt; methods that put a fact before the prompt cannot use them."""
TOLD = 32
"""Most facts of a file that are told anew, and most texts that the model writes."""
GOOD, FAIR = 0.5, 0.25
"""Shares of facts answered anew from which a model counts as a good or a fair teacher of itself."""
STOPS = 0.5
"""Share of texts ended by itself from which a model counts as one that stops."""


@dataclass(frozen=True)
class Probe:
    """What was found.

    Attributes:
        facts: how many facts were asked.
        known: how many of them the model answers right: greedily, exactly.
        told: how many were told anew, of those it knows; of all where it knows fewer than four.
        followed: share of these answered as told, by wording before the prompt.
        asked_otherwise: the same for whole questions.
        wordings: those that ICE takes, judged by plain facts; the best first.
        written: how many texts the model wrote after prompts.
        stops: share of them that it ended by itself within 32 tokens.
        leads: share of them that begin with the old answer.
    """

    facts: int
    known: int
    told: int
    followed: dict[str, float]
    asked_otherwise: dict[str, float]
    wordings: tuple[str, ...]
    written: int
    stops: float
    leads: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with what they mean for each algorithm."""
        return asdict(self) | {"meaning": self.meaning()}

    def meaning(self) -> dict[str, str]:
        """One line for each algorithm, and for methods that put the fact before the question."""
        lines = {name: "; ".join(self._for(spec.hparams_class())) for name, spec in ALGORITHMS.items()}
        best = max(self.followed.values())
        return lines | {"Prompt, IKE": f"{best:.0%} of new facts are answered as told, under the best wording"}

    def _for(self, hparams: EditHyperParams) -> list[str]:
        said = [self._teacher() if hparams.teaches_itself else "needs no teacher"]
        if self.stops < STOPS:
            said.append("the edited model goes on after the answer: read leading answers")
        else:
            said.append("the edited model should stop after the answer, as this one does")
        return said

    def _teacher(self) -> str:
        best = max(self.followed.values())
        if best >= GOOD:
            return f"has a good teacher: {best:.0%} of new facts are followed"
        if best >= FAIR:
            return f"has a fair teacher: {best:.0%} of new facts are followed, so expect less to follow from an edit"
        return f"has hardly a teacher: {best:.0%} of new facts are followed, so expect no more than from LoRA-BF"


def probe(
    model: nn.Module, tok: Tokenizer, records: Sequence[Mapping[str, Any]] | None = None, asking: Asking = PLAIN
) -> Probe:
    """Look at a model; it is left as it was, and what it knows is kept in the cache.

    Args:
        model: a causal language model before any edit.
        tok: its tokenizer.
        records: facts with ``prompt``, ``target_new`` and ``ground_truth``, as :func:`~easyedit_ice.data.load_records`
            reads them, or as EasyEdit's requests; by default 40 plain facts, which need no file.
        asking: how prompts are put to the model, such as :func:`~easyedit_ice.text.chat.in_chat`; by default as they
            are.

    Raises:
        DataError: no record has an old answer.
        RequestError: a record is no fact.
    """
    requests = [
        replace(EditRequest.from_dict(record, index), asking=asking) for index, record in enumerate(_records(records))
    ]
    asked = [request for request in requests if request.ground_truth and request.ground_truth.strip()]
    if not asked:
        raise DataError("no record has a ground_truth, so it cannot be told what the model knows; give some that have")
    knowledge = Knowledge(model, tok, asking)
    places, _ = knowledge.first([(fact.prompt, fact.ground_truth or "") for fact in asked], None)
    rights, plain = [asked[place] for place in places], wording_shares(model, tok, asking)
    if records is None:
        told, followed = plain_requests(model, tok, asking), plain
    else:
        told = (rights if len(rights) >= FEWEST_KNOWN else asked)[:TOLD]
        followed = shares_followed(model, tok, told)
    (texts,) = observe(model, tok, [[_question(fact) for fact in told]], asking=asking, max_new_tokens=MOST_TOKENS)
    return Probe(
        facts=len(asked),
        known=len(rights),
        told=len(told),
        followed=followed,
        asked_otherwise={text: _share(model, tok, text, told) for text in QUESTIONS},
        wordings=tuple(near_best(plain)),
        written=len(texts),
        stops=sum(bool(text.stopped) for text in texts) / len(texts),
        leads=sum(map(_leads, texts, told)) / len(texts),
    )


def _records(records: Sequence[Mapping[str, Any]] | None) -> Sequence[Mapping[str, Any]]:
    return [fact.request() for fact in PLAIN_FACTS] if records is None else records


def _leads(text: Observation, request: EditRequest) -> bool:
    return leads_with(text.leading or "", [request.ground_truth or ""])


def _question(request: EditRequest) -> Question:
    answer = request.ground_truth or ""
    return Question("written", request.prompt, answer, (answer,))


def _share(model: nn.Module, tok: Tokenizer, template: str, requests: Sequence[EditRequest]) -> float:
    asked = [(filled(template, fact), fact.target_new) for fact in requests]
    right = answers_right(model, tok, asked, requests[0].asking)
    return sum(right) / len(right)
