"""A model with edits in it, any of which can be taken out and put back: what the page does, without the page.

Edits are in the model in the order in which they were made, so that the same edits always give the same bits. One
thing happens at a time: whoever comes while an edit is made is refused, and told so.
"""

from __future__ import annotations

import re
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from easyedit_ice.book.conflicts import NamedFacts, contradictions
from easyedit_ice.book.stack import Held, Stack
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.checkpoints.names import EMBEDDED
from easyedit_ice.edit.base_model import base_of, fingerprint_of
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.edit.usual_settings import usual_settings, usual_source
from easyedit_ice.editors.choosing import choose
from easyedit_ice.errors import BookConflictError, BookError, ModelInUseError, UpdateError
from easyedit_ice.evaluation import Question, observe
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.progress import lines, watched
from easyedit_ice.runtime.threads import USUAL, threads
from easyedit_ice.text.chat import asking_for
from easyedit_ice.ui.typed_fact import TypedFact, in_all_wordings
from easyedit_ice.verdict.edit_facts import edit_facts
from easyedit_ice.verdict.verdict import Verdict

Tell = Callable[[str], None]
"""Gets a line now and then, of how far the work has come."""
_OFTEN = 0.5
"""Seconds between two such lines."""


@dataclass(frozen=True)
class Trial:
    """An edit that was made, and is not in the model yet.

    Attributes:
        request: the fact.
        update: that writes it.
        verdict: on it.
        algorithm: that made it.
        settings: where they came from: a preset, or ``auto``.
        seconds: that making it took, without loading.
        made_with: names of the edits that were in the model.
    """

    request: EditRequest
    update: WeightUpdate
    verdict: Verdict
    algorithm: str
    settings: str
    seconds: float
    made_with: tuple[str, ...]


@dataclass(frozen=True)
class KeptEdit:
    """An edit that the workbench can put in and take out.

    Attributes:
        name: by which it is asked for.
        facts: that it writes.
        update: that writes them.
        algorithm: that made it.
        verdict: ``took``, ``figures`` and ``warnings``, as books have them; none if there is none.
        made_with: names of the edits that were in the model.
        key: of the edit in its book; none if it is in no book.
    """

    name: str
    facts: tuple[EditRequest, ...]
    update: WeightUpdate
    algorithm: str
    verdict: dict[str, Any] | None
    made_with: tuple[str, ...] = ()
    key: str | None = None


@dataclass(frozen=True)
class TwoAnswers:
    """What the model writes after a prompt.

    Attributes:
        prompt: what was asked.
        without: without any edit.
        within: with the edits that are in it.
    """

    prompt: str
    without: str
    within: str


class Workbench:
    """A model and its edits.

    Args:
        model: without any edit.
        tok: its tokenizer.
        name: by which it was loaded.
        count: threads of the CPU.
    """

    def __init__(self, model: nn.Module, tok: Tokenizer, name: str, count: int = USUAL) -> None:
        self.model, self.tok, self.name, self.threads = model, tok, name, count
        self.base = base_of(model, name)
        self._stack = Stack()
        self._edits: dict[str, KeptEdit] = {}
        self._lock = threading.RLock()

    @classmethod
    def load(cls, name: str = EMBEDDED, count: int = USUAL) -> Workbench:
        """A model by its name, as for ``easyedit-ice edit --model``."""
        with threads(count):
            return cls(*load_model(EditHyperParams(model_name=name)), name, count)

    @property
    def edits(self) -> tuple[KeptEdit, ...]:
        """All edits, in the order in which they were made."""
        return tuple(self._edits.values())

    @property
    def within(self) -> tuple[str, ...]:
        """Names of those that are in the model."""
        return tuple(held.key for held in self._stack.edits)

    @property
    def unkept(self) -> tuple[str, ...]:
        """Names of those that are in the model and in no book."""
        return tuple(name for name in self.within if self._edits[name].key is None)

    @property
    def untouched(self) -> bool:
        """Whether every weight has the bits with which the model was loaded."""
        return fingerprint_of(self.model) == self.base.fingerprint

    def __getitem__(self, name: str) -> KeptEdit:
        """An edit.

        Raises:
            BookError: there is none of that name.
        """
        if name not in self._edits:
            raise BookError(f"there is no edit {name!r} here; there are: {', '.join(self._edits) or 'none'}")
        return self._edits[name]

    def make(self, fact: TypedFact, algorithm: str | None = None, tell: Tell | None = None) -> Trial:
        """Make an edit on the model as it is, and look at what it does; the model is left as it was.

        Args:
            fact: what was typed.
            algorithm: by default the one that ``choose`` recommends.
            tell: gets a line now and then.

        Raises:
            RequestError: the fact cannot be edited as it was typed.
            BookConflictError: an edit in the model gives the prompt another target.
            ModelInUseError: something else is going on.
        """
        record = fact.record()
        spec = ALGORITHMS[algorithm or choose([record]).algorithm]
        (request,) = EditRequest.prepare([record], spec.needs_subject)
        _refuse_contradictions([*(self[name] for name in self.within), _Asked("this one", (request,))])
        hparams = usual_settings(spec.hparams_class, self.name)
        with self.alone(), threads(self.threads), watched(lines(tell or _silent, every=_OFTEN)):
            started = time.perf_counter()
            edited = edit_facts(self.model, self.tok, [request], hparams)
            verdict = in_all_wordings(self.model, self.tok, edited, fact.otherwise)
            seconds = time.perf_counter() - started
            return Trial(
                request,
                edited.update,
                verdict,
                spec.name,
                usual_source(spec.hparams_class, self.name),
                seconds,
                self.within,
            )

    def put(self, trial: Trial) -> KeptEdit:
        """Put an edit into the model.

        Raises:
            UpdateError: the model has other edits now than when it was made.
            ModelInUseError: something else is going on.
        """
        with self.alone():
            if trial.made_with != self.within:
                raise UpdateError(
                    f"the edit was made with {_listed(trial.made_with)} in the model, which now has "
                    f"{_listed(self.within)}; make it anew"
                )
            edit = KeptEdit(
                self._free_name(trial.request),
                (trial.request,),
                trial.update,
                trial.algorithm,
                {
                    "took": trial.verdict.took,
                    "figures": trial.verdict.figures(),
                    "warnings": list(trial.verdict.warnings),
                },
                trial.made_with,
            )
            self._edits[edit.name] = edit
            try:
                self._hold([*self.within, edit.name])
            except BaseException:
                del self._edits[edit.name]
                raise
            return edit

    def hold(self, names: Sequence[str]) -> None:
        """Have exactly these edits in the model, whatever order they are named in.

        Raises:
            BookError: there is none of a name.
            BookConflictError: two of them give one prompt different targets.
            ModelInUseError: something else is going on.
        """
        with self.alone():
            _refuse_contradictions([self[name] for name in names])
            self._hold(names)

    def ask(self, prompts: Sequence[str], length: int = 24) -> list[TwoAnswers]:
        """What the model writes after prompts, without its edits and with them.

        Args:
            prompts: blank ones are left out.
            length: most tokens of an answer.

        Raises:
            ModelInUseError: something else is going on.
        """
        asked = [prompt.rstrip() for prompt in prompts if prompt.strip()]
        questions = [[Question("shown", prompt, "", ()) for prompt in asked]]
        options: dict[str, Any] = {"asking": asking_for(self.tok, False), "max_new_tokens": length}
        with self.alone(), threads(self.threads):
            (within,) = observe(self.model, self.tok, questions, **options)
            with self.bare():
                (without,) = observe(self.model, self.tok, questions, **options)
        both = zip(asked, without, within, strict=True)
        return [TwoAnswers(prompt, old.generated or "", new.generated or "") for prompt, old, new in both]

    @contextmanager
    def bare(self) -> Iterator[nn.Module]:
        """The model without any edit, for a while."""
        held = self._stack.edits
        self._stack.hold(self.model, ())
        try:
            yield self.model
        finally:
            self._stack.hold(self.model, held, whatever=True)

    def adopt(self, edits: Sequence[KeptEdit]) -> None:
        """Take edits of a book, of which none is put into the model; or note that some are now in one."""
        self._edits |= {edit.name: edit for edit in edits}

    def _hold(self, names: Sequence[str]) -> None:
        chosen = [Held(name, edit.update) for name, edit in self._edits.items() if name in names]
        with threads(self.threads):
            self._stack.hold(self.model, chosen)

    def _free_name(self, request: EditRequest) -> str:
        """Made of subject and target, and of a number where it is taken."""
        told = f"{request.subject or 'fact'}-{request.target_new.strip()}"
        letters = unicodedata.normalize("NFKD", told).encode("ascii", "ignore").decode().lower()
        stem = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:40].strip("-") or "edit"
        numbered = (f"{stem}-{number}" if number > 1 else stem for number in range(1, len(self._edits) + 2))
        return next(name for name in numbered if name not in self._edits)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others from the model; within it, the same thread may do all there is.

        Raises:
            ModelInUseError: another thread is within it.
        """
        if not self._lock.acquire(blocking=False):
            raise ModelInUseError("the model is being edited, perhaps from another tab; try again once that has ended")
        try:
            yield
        finally:
            self._lock.release()


@dataclass(frozen=True)
class _Asked:
    """Facts that are no edit yet."""

    name: str
    facts: tuple[EditRequest, ...]


def _refuse_contradictions(edits: Sequence[NamedFacts]) -> None:
    if conflicts := contradictions(edits):
        raise BookConflictError(f"{'; '.join(map(str, conflicts))}; take one of them out of the model first")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no edit"


def _silent(line: str) -> None:
    pass
