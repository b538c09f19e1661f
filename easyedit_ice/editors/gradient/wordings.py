"""Which wordings of a new fact a model follows when it reads them: ICE has no teacher without one.

The share of facts answered anew after each wording is measured once, on plain facts that the model knows, and kept in
the cache by the hash of its weights. In a chat wordings stand in the user's turn, and other ones may be followed.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient.contexts import TEMPLATES, filled
from easyedit_ice.model.baseline import as_first_seen, baseline_of
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.cache import made_once
from easyedit_ice.runtime.progress import progress
from easyedit_ice.runtime.store import Store
from easyedit_ice.text.chat import PLAIN, Asking
from easyedit_ice.text.likely_answers import answers_right
from easyedit_ice.text.plain_facts import PLAIN_FACTS
from easyedit_ice.text.tokens import tokens

WORDINGS = (
    *TEMPLATES,
    "{fact}. {fact}. ",
    "Fact: {fact}. ",
    "Imagine that {fact}. In this world, {fact}. ",
    "Fact: {fact}. Question: complete the sentence according to the fact. ",
)
"""What is tried, each before the question; a text after the question would change what is asked."""
MOST_FACTS = 16
"""Facts that each wording is tried on."""
FEWEST_KNOWN = 4
"""Where the model knows fewer, it is tried on facts that it need not know."""
NEAR_BEST = 0.8
"""Wordings are taken whose share is at least this part of the best one's."""

_SHARES = Store(name="wordings", format="1", remedy="to have it measured again", pattern="*.json")

logger = logging.getLogger(__name__)


def followed_wordings(model: nn.Module, tok: Tokenizer, asking: Asking = PLAIN) -> list[str]:
    """The wordings that this model follows, the best first: those near the best one, or all if it follows none.

    Args:
        model: before any edit; edits that add up in it later change nothing.
        tok: its tokenizer.
        asking: how prompts are put to the model.
    """
    shares = wording_shares(model, tok, asking)
    if not any(shares.values()):
        logger.warning("the model follows a new fact in its context under no wording; ICE learns little from it")
    return near_best(shares)


def wording_shares(model: nn.Module, tok: Tokenizer, asking: Asking = PLAIN) -> dict[str, float]:
    """Share of plain facts told anew that the model answers as told, by wording; measured once."""
    baseline = baseline_of(model)
    cache = baseline.tables["wordings"]
    if asking not in cache:
        begins = tokens(tok, asking.text(PLAIN_FACTS[0].prompt))
        tried = repr((WORDINGS, PLAIN_FACTS, MOST_FACTS, FEWEST_KNOWN, begins))
        name = hashlib.sha256(f"{baseline.weights} {tried}".encode()).hexdigest()[:16]
        path = _SHARES.folder / f"{name}.json"
        if path.exists() or as_first_seen(model):
            made_once(path, lambda path: _measured_to(path, model, tok, asking))
            cache[asking] = _SHARES.read_json(path, _shares)
        else:
            cache[asking] = _measured(model, tok, asking)
    return dict(cache[asking])


def _shares(content: Any) -> dict[str, float]:
    if not isinstance(content, dict) or content.keys() != set(WORDINGS):
        raise ValueError("the share of each wording is expected")
    return content


def near_best(shares: Mapping[str, float]) -> list[str]:
    """Wordings whose share of facts answered anew is at least 80 % of the best one's, the best first."""
    best = max(shares.values())
    return [wording for wording in sorted(shares, key=lambda one: -shares[one]) if shares[wording] >= NEAR_BEST * best]


def shares_followed(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], wordings: Sequence[str] = WORDINGS
) -> dict[str, float]:
    """Share of new facts that the model answers as stated in its context, exactly and greedily, by wording.

    Args:
        model: a causal language model; it is left as it was.
        tok: its tokenizer.
        requests: the new facts, one at least, put to the model in one way.
        wordings: texts with ``{fact}``, or ``{prompt}`` and ``{target}``, that the prompt follows.
    """
    shares = {}
    with progress(logger, "trying wordings", len(wordings), "wording") as advance:
        for wording in wordings:
            asked = [(request.asked(filled(wording, request)), request.target_new) for request in requests]
            right = answers_right(model, tok, asked, requests[0].asking)
            shares[wording] = sum(right) / len(right)
            advance(1)
    return shares


def plain_requests(model: nn.Module, tok: Tokenizer, asking: Asking = PLAIN) -> list[EditRequest]:
    """Plain facts to tell the model anew, with their true answers as what was there before.

    They are of those it knows, since following a statement against what one knows is what a teacher must do.
    """
    knows = answers_right(model, tok, [(fact.prompt, fact.answer) for fact in PLAIN_FACTS], asking)
    familiar = [fact for fact, right in zip(PLAIN_FACTS, knows, strict=True) if right]
    chosen = _spread(familiar if len(familiar) >= FEWEST_KNOWN else PLAIN_FACTS)
    return [replace(EditRequest.from_dict(fact.request()), asking=asking) for fact in chosen]


def _spread(facts: Sequence[Any]) -> list[Any]:
    """At most so many facts as are tried, from the whole of the list and so of every kind."""
    count = min(MOST_FACTS, len(facts))
    return [facts[place * len(facts) // count] for place in range(count)]


def _measured_to(path: Path, model: nn.Module, tok: Tokenizer, asking: Asking) -> None:
    path.write_text(json.dumps(_measured(model, tok, asking)), encoding="utf-8")


def _measured(model: nn.Module, tok: Tokenizer, asking: Asking) -> dict[str, float]:
    return shares_followed(model, tok, plain_requests(model, tok, asking))
