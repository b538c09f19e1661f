"""Whether an edit that was taken out has left anything: the same prompts before it and after, logit by logit."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest

import torch
from torch import Tensor, nn

from easyedit_ice.bench.asking.facts import Fact
from easyedit_ice.bench.methods import Edited, Method
from easyedit_ice.bench.storage.finite_lines import with_nulls
from easyedit_ice.bench.storage.line import UNDONE, Line, Spent, Undone
from easyedit_ice.errors import HostEditError, UpdateError
from easyedit_ice.model.logits import logits_at
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import padded
from easyedit_ice.text.chat import Asking
from easyedit_ice.text.rows import prefix_ids

OWN, OTHERS = 8, 4
"""Most prompts of the facts that are edited, and of others, that are compared."""


@dataclass(frozen=True)
class Said:
    """What a model says after some prompts.

    Attributes:
        rows: the prompts' tokens.
        logits: (prompts, vocabulary), of the token after each, on the CPU.
        seconds: that asking took.
    """

    rows: tuple[tuple[int, ...], ...]
    logits: Tensor
    seconds: float

    def gap(self, other: Said) -> float:
        """The largest absolute difference of two logits of one token; 0 where all are alike."""
        return (self.logits - other.logits).abs().max().item()


class UndoCheck:
    """Asks before an edit and after it was undone, in one pass each, and compares every logit.

    Args:
        tok: the model's tokenizer.
        others: prompts that no edit is about, of which the first are asked.
        asking: how prompts are put to the model.
    """

    def __init__(self, tok: Tokenizer, others: Iterable[str], asking: Asking) -> None:
        self._tok, self._asking = tok, asking
        self._others = tuple(islice(others, OTHERS))

    def before(self, model: nn.Module, facts: Sequence[Fact]) -> Said:
        """What the model says before any of these facts is edited: of their own prompts in turn, and of others."""
        turns = zip_longest(*map(_by_section, facts))
        questions = [prompt for turn in turns for prompt in turn if prompt is not None]
        prompts = dict.fromkeys((*questions[:OWN], *self._others))
        return _said(model, tuple(prefix_ids(self._tok, self._asking.text(prompt)) for prompt in prompts))

    def after_edit(self, method: Method, edited: Edited, before: Said, position: int, step: int) -> Line:
        """The line of an edit that is undone here: first in the method's own way, then to the bit by the run's copies.

        Args:
            method: whose last edit it is.
            edited: the edit.
            before: what was said before it.
            position: of its first fact.
            step: how many facts it wrote.
        """
        entry: Undone = {"prompts": len(before.rows)}
        seconds = 0.0
        try:
            left = _said(method.take_out(edited), before.rows)
            entry["own"], seconds = left.gap(before), left.seconds
        except (HostEditError, UpdateError) as error:
            entry["own_error"] = str(error)
        finally:
            method.undo(edited)
        return self._line(method, entry, before, position, step, seconds)

    def after_stream(self, method: Method, before: Said, step: int) -> Line:
        """The line of a stream of so many facts, all of which are undone here by the run's copies."""
        method.reset()
        return self._line(method, {"prompts": len(before.rows)}, before, 0, step, 0.0)

    def _line(self, method: Method, entry: Undone, before: Said, position: int, step: int, seconds: float) -> Line:
        now = _said(method.model, before.rows)
        undo: Undone = {**entry, "run": now.gap(before)}
        cost: Spent = {"evaluation_seconds": before.seconds + seconds + now.seconds}
        return with_nulls({"phase": UNDONE, "position": position, "step": step, "undo": undo, "cost": cost})


def _by_section(fact: Fact) -> list[str]:
    """The first prompt of each kind of question: rewrite, rephrase, portability, locality."""
    prompts: dict[str, str] = {}
    for question in fact.asked:
        prompts.setdefault(question.measure.partition(".")[0], question.prompt)
    return list(prompts.values())


@torch.no_grad()
def _said(model: nn.Module, rows: tuple[tuple[int, ...], ...]) -> Said:
    started = time.perf_counter()
    device = next(model.parameters()).device
    ids, real = padded(rows)
    inputs = {"input_ids": ids.to(device), "attention_mask": real.long().to(device)}
    with preserved(model):
        model.eval()
        logits = logits_at(model, inputs, [(place, len(row) - 1) for place, row in enumerate(rows)])
    return Said(rows, logits.float().cpu(), time.perf_counter() - started)
