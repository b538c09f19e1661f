"""Single edits: one fact at a time, scored on all its probes, then restored."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from easyedit_ice import EditRequest
from easyedit_ice.evaluation import FactScore, Interval, edit_scores, observe, questions, summarize

Apply = Callable[[dict[str, Any]], dict[str, torch.Tensor]]
"""Edits the model in place with one request and returns the original weights by name."""


@dataclass(frozen=True)
class Result:
    """Scores of one method.

    Attributes:
        scores: one for each fact.
        seconds: mean time of an edit, scoring left out.
    """

    scores: list[FactScore]
    seconds: float

    def intervals(self) -> dict[str, dict[str, Interval]]:
        """Means over facts with 95 % bootstrap intervals, by mode and measure."""
        return summarize(self.scores)


def score(model: Any, tok: Any, requests: Sequence[dict[str, Any]], apply: Apply, name: str) -> Result:
    """Edit, score and restore each fact.

    Raises:
        RuntimeError: a method did not restore the model to the same bits.
    """
    original = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    scores, seconds = [], 0.0
    for request in tqdm(requests, desc=name, unit="fact", disable=None):
        asked = questions(EditRequest.from_dict(request))
        before = observe(model, tok, asked)
        started = time.perf_counter()
        weights = apply(request)
        seconds += time.perf_counter() - started
        after = observe(model, tok, asked)
        with torch.no_grad():
            for key, value in weights.items():
                model.get_parameter(key).copy_(value)
        scores.append(edit_scores(asked, before, after))
    if not all(tensor.equal(original[key]) for key, tensor in model.state_dict().items()):
        raise RuntimeError(f"{name} did not restore the model")
    return Result(scores, seconds / len(requests))
