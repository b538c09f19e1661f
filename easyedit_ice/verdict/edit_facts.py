"""From facts to an update and a verdict on it: what the command, and whatever else edits for a user, calls.

The model is left exactly as it was; committing the update is the caller's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from easyedit_ice.edit.apply import Requests, prepare, solve
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.plain_statements import Movement
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.progress import progress
from easyedit_ice.verdict.check import check
from easyedit_ice.verdict.verdict import Verdict

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EditOutcome:
    """What came of an edit.

    Attributes:
        update: of all facts, not committed.
        verdict: on it.
        facts: those that are in the update, in their order.
        one_by_one: whether each was written after the others, rather than all together.
        seconds: that the solving took, without the verdict and without what is done once for a model.
        preparing: seconds of that.
    """

    update: WeightUpdate
    verdict: Verdict
    facts: tuple[EditRequest, ...]
    one_by_one: bool
    seconds: float
    preparing: float


class EditsInterrupted(KeyboardInterrupt):
    """Ctrl-C while facts were edited one by one.

    Attributes:
        done: what is there of the facts before; none if no fact was done.
        asked: how many facts there were.
    """

    def __init__(self, done: EditOutcome | None, asked: int) -> None:
        super().__init__()
        self.done, self.asked = done, asked


def edit_facts(
    model: nn.Module,
    tok: Tokenizer,
    requests: Requests,
    hparams: EditHyperParams,
    *,
    one_by_one: bool | None = None,
    notes: Mapping[str, Any] | None = None,
) -> EditOutcome:
    """Find an update that writes some facts, and look at what it does; the model is left as it was.

    Args:
        model: any causal language model of transformers.
        tok: its tokenizer.
        requests: facts, as for :func:`easyedit_ice.solve`.
        hparams: settings of a registered algorithm.
        one_by_one: solve each fact on a model that has those before it, rather than all together; by default only
            where the algorithm does not write several at once.
        notes: kept in the update's ``info``.

    Raises:
        RequestError: a fact cannot be edited; as for ``solve``.
        EditsInterrupted: Ctrl-C, while facts were edited one by one; it holds what was done.
    """
    spec = ALGORITHMS[hparams.alg_name]
    facts = EditRequest.prepare(requests, spec.needs_subject)
    apart = len(facts) > 1 and (not spec.batchable if one_by_one is None else one_by_one)
    begun = time.perf_counter()
    prepare(model, tok, facts, hparams)
    started = time.perf_counter()
    if apart:
        update, done = _in_turn(model, tok, facts, hparams)
    else:
        update = solve(model, tok, facts, hparams)
        done = [fact for fact in facts if [fact.prompt, fact.target_new] in update.info["facts"]]
    seconds = time.perf_counter() - started
    if not done:
        raise EditsInterrupted(None, len(facts))
    update = replace(update, info=update.info | dict(notes or {}))
    verdict = check(model, tok, update, done, drift=None if apart else _measured(update))
    edited = EditOutcome(update, verdict, tuple(done), apart, seconds, started - begun)
    if len(done) < len(facts):
        raise EditsInterrupted(edited, len(facts))
    return edited


def _in_turn(
    model: nn.Module, tok: Tokenizer, facts: Sequence[EditRequest], hparams: EditHyperParams
) -> tuple[WeightUpdate, Sequence[EditRequest]]:
    """Updates of facts, each solved on a model that has those before it, as one; and the facts that it has.

    After Ctrl-C these are fewer than were given.
    """
    updates: list[WeightUpdate] = []
    try:
        with progress(logger, "facts", len(facts), "fact") as advance:
            for fact in facts:
                updates.append(solve(model, tok, [fact], hparams))
                updates[-1].commit(model)
                advance(1)
    except KeyboardInterrupt:
        updates = [update for update in updates if update.committed(model)]
    finally:
        for update in reversed(updates):
            if update.committed(model):
                update.revert(model)
    if not updates:
        return WeightUpdate({}), ()
    return _as_one(updates, hparams), facts[: len(updates)]


def _as_one(updates: Sequence[WeightUpdate], hparams: EditHyperParams) -> WeightUpdate:
    total = WeightUpdate.total(updates)
    info = {
        "algorithm": hparams.alg_name,
        "hparams": hparams.to_dict(),
        "facts": [fact for update in updates for fact in update.info["facts"]],
        "edits": [update.info for update in updates],
    }
    return WeightUpdate(total.deltas, info, total.keys)


def _measured(update: WeightUpdate) -> Movement | None:
    """What ``solve`` has found out already."""
    drift = update.info.get("drift")
    return None if drift is None else Movement(**drift)
