"""Which facts the demo shows: of the embedded world to its model, and real ones to any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from torch import nn

from easyedit_ice.checkpoints.names import EMBEDDED
from easyedit_ice.data.easyedit_requests import RequestDict
from easyedit_ice.errors import RequestError
from easyedit_ice.model.tokenizer import Tokenizer

MOST_FACTS = 40
RELATIONS = ("residence", "employer", "headquarters", "capital")
"""Of the embedded world."""


@dataclass(frozen=True)
class Shown:
    """What a demo edits.

    Attributes:
        what: in a sentence.
        requests: the facts, as EasyEdit's dicts.
        methods: that edit them.
    """

    what: str
    requests: Sequence[RequestDict]
    methods: Sequence[str]


@dataclass(frozen=True)
class RealFact:
    """A fact, told anew, with what must stay.

    Attributes:
        prompt: what the answer follows.
        subject: as it stands in the prompt.
        answer: the true one.
        target: the new one.
        rephrase: the prompt in other words.
        neighbour: the same question about another subject, with its answer.
        other: another question, with its answer.
    """

    prompt: str
    subject: str
    answer: str
    target: str
    rephrase: str
    neighbour: tuple[str, str]
    other: tuple[str, str]

    def request(self) -> RequestDict:
        """As EasyEdit's request dicts."""
        return {
            "prompt": self.prompt,
            "subject": self.subject,
            "ground_truth": self.answer,
            "target_new": self.target,
            "rephrase_prompt": self.rephrase,
            "locality": {
                kind: {"prompt": [prompt], "ground_truth": [answer]}
                for kind, (prompt, answer) in (("neighbour", self.neighbour), ("other", self.other))
            },
            "portability": {},
        }


_PARIS = ("The capital of France is", "Paris")
_ROME = ("The capital of Italy is", "Rome")

REAL_FACTS = (
    RealFact(
        "The mother tongue of Danielle Darrieux is",
        "Danielle Darrieux",
        "French",
        "English",
        "Danielle Darrieux's native language is",
        ("The mother tongue of Marcel Proust is", "French"),
        _PARIS,
    ),
    RealFact(
        "Darmstadt is located in the country of",
        "Darmstadt",
        "Germany",
        "Argentina",
        "The country in which Darmstadt lies is",
        ("Kyoto University is located in the country of", "Japan"),
        _ROME,
    ),
    RealFact(
        "The native language of Eduardo Duhalde is",
        "Eduardo Duhalde",
        "Spanish",
        "French",
        "The mother tongue of Eduardo Duhalde is",
        ("The native language of Vladimir Putin is", "Russian"),
        _PARIS,
    ),
    RealFact(
        "Internet Explorer 5 was developed by",
        "Internet Explorer 5",
        "Microsoft",
        "Google",
        "The company that developed Internet Explorer 5 is",
        ("The iPhone was developed by", "Apple"),
        _ROME,
    ),
    RealFact(
        "The mother tongue of Leo Tolstoy is",
        "Leo Tolstoy",
        "Russian",
        "Italian",
        "Leo Tolstoy's native language is",
        ("The mother tongue of Victor Hugo is", "French"),
        ("Namibia is a part of the continent of", "Africa"),
    ),
)
"""In the order in which they are shown."""


def shown_facts(name: str, model: nn.Module, tok: Tokenizer, count: int | None) -> Shown:
    """Facts for a model.

    Args:
        name: of the model.
        model: before any edit.
        tok: its tokenizer.
        count: how many facts; none for a number that does not take long.

    Raises:
        RequestError: there are not so many real facts.
    """
    return _of_the_world(count or len(RELATIONS)) if name == EMBEDDED else _real(model, tok, count or 1)


def _of_the_world(count: int) -> Shown:
    from easyedit_ice import factworld
    from easyedit_ice.data import read_records, to_requests

    requests = to_requests(read_records(choose(factworld.records("test"), count)))
    return Shown("The embedded model knows an invented world.", requests, ("LoRA-BF", "ICE-LoRA"))


def choose(records: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Records of different relations and subjects, those with the most kinds of probes first."""
    ranked = sorted(records, key=lambda record: -len(record["portability"]) - len(record["locality"]))
    chosen: list[dict[str, Any]] = []
    for relation in islice(cycle(RELATIONS), count):
        taken = {record["subject"] for record in chosen}
        chosen.append(next(r for r in ranked if r["relation"] == relation and r["subject"] not in taken))
    return chosen


def _real(model: nn.Module, tok: Tokenizer, count: int) -> Shown:
    """Those that the model answers right come first."""
    from easyedit_ice.text.likely_answers import answers_right

    if count > len(REAL_FACTS):
        raise RequestError(
            f"--facts is {count}, and the demo has {len(REAL_FACTS)} real facts; ask for so many at most"
        )
    rights = answers_right(model, tok, [(fact.prompt, fact.answer) for fact in REAL_FACTS])
    ordered = sorted(zip(rights, REAL_FACTS, strict=True), key=lambda pair: not pair[0])
    return Shown(
        f"Of the demo's {len(rights)} real facts the model answers {sum(rights)} right.",
        [fact.request() for _, fact in ordered[:count]],
        ("ICE-LoRA", "FastMEMIT", "GoRA"),
    )
