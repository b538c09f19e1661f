"""Retrieval: of all facts in force the likest to a question is found and put before it; no weight changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from easyedit_ice.bench.methods.context import ContextMethod
from easyedit_ice.bench.methods.method import Edited
from easyedit_ice.bench.methods.searching import BM25, OWN, Search
from easyedit_ice.data.easyedit_requests import RequestDict
from easyedit_ice.edit.hparams import EditHyperParams, setting
from easyedit_ice.errors import HyperParamsError, UpdateError
from easyedit_ice.evaluation.probes.wording import stated
from easyedit_ice.model.tokenizer import Tokenizer


@dataclass
class RetrievalHyperParams(EditHyperParams):
    """Settings of retrieval."""

    alg_name: str = setting("Retrieval", "name of the method")
    search: str = setting(
        BM25, f"how likeness is measured: {BM25}; {OWN}, by the model's own states; or a sentence-transformers model"
    )
    top: int = setting(1, "facts put before a question, the likest last", low=1)
    least: float = setting(0.0, "a fact must be liker than this to be put there: a BM25 score, or a cosine")
    joint: str = setting(". ", "what ends each fact")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.search.strip():
            raise HyperParamsError(
                f"search is {self.search!r}; expected {BM25}, {OWN}, or the folder or name of a model of "
                "sentence-transformers"
            )


class RetrievalMethod(ContextMethod):
    """A :class:`~easyedit_ice.bench.methods.method.Method` that is not told which fact a question is about.

    Every question, about an edited fact or not, is asked after the likest of all facts in force; facts written later
    are found too.

    Args:
        model: asked, and never changed.
        tok: its tokenizer.
        hparams: settings.
        make: a search of texts.
        preset: where the settings come from.
    """

    kind = "retrieval"

    def __init__(
        self,
        model: Any,
        tok: Tokenizer,
        hparams: RetrievalHyperParams,
        make: Callable[[Sequence[str]], Search],
        preset: str | None = None,
    ) -> None:
        super().__init__("Retrieval", model, tok, hparams, hparams.to_dict(), lambda _: self._before, preset)
        self._make = make
        self._facts: list[str] = []
        self._search: Search | None = None
        self._last: Edited | None = None

    def apply(self, requests: Sequence[RequestDict], seed: int) -> Edited:
        """Remember the facts; nothing is random."""
        edited = super().apply(requests, seed)
        self._remember([*self._facts, *(stated(request["prompt"], request["target_new"]) for request in requests)])
        self._last = Edited(edited.model, edited.originals, edited.contexts, self._before)
        return self._last

    def undo(self, edited: Edited) -> None:
        """Forget the facts of the last edit.

        Raises:
            UpdateError: ``edited`` is not what the last :meth:`apply` returned.
        """
        if edited is not self._last:
            raise UpdateError("this is not the last edit, which alone can be undone; undo edits in reverse order")
        self._remember(self._facts[: len(self._facts) - len(edited.contexts)])
        self._last = None

    def reset(self) -> None:
        """Forget all facts."""
        self._remember([])
        self._last = None

    def load_state(self, tensors: Mapping[str, Any]) -> None:
        """Forget all facts: they are in no tensors, and come again by :meth:`apply`."""
        super().load_state(tensors)
        self.reset()

    def _remember(self, facts: list[str]) -> None:
        self._facts, self._search = facts, None

    def _before(self, question: str) -> str:
        """The question after the likest facts, or alone where none is like it."""
        if not self._facts:
            return question
        if self._search is None:
            self._search = self._make(self._facts)
        scores = self._search.scores(question)
        likest = np.argsort(-scores, kind="stable")[: self.hparams.top]
        facts = [self._facts[place] for place in likest if scores[place] > self.hparams.least]
        return "".join(f"{fact}{self.hparams.joint}" for fact in reversed(facts)) + question
