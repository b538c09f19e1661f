"""What each button of the page does: a workbench, the last trials, and answers in words whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from easyedit_ice.book import EditBook
from easyedit_ice.checkpoints.names import EMBEDDED
from easyedit_ice.errors import BookError, EasyEditIceError, EmptyTextError, ModelInUseError, RequestError, UpdateError
from easyedit_ice.runtime.threads import USUAL
from easyedit_ice.ui import keeping, shown, words
from easyedit_ice.ui.typed_fact import TypedFact
from easyedit_ice.ui.workbench import Tell, Trial, Workbench

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """What the page shows after a button.

    Attributes:
        message: a box with a sentence; empty for none.
        body: HTML of what came of it; none to leave what is there.
        trials: that can be put into the model now, the first one first.
    """

    message: str = ""
    body: str | None = None
    trials: tuple[Trial, ...] = field(default=())


class Desk:
    """The page's one workbench, which all its tabs share.

    Args:
        bench: with the model that is edited first.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    @classmethod
    def load(cls, model: str = EMBEDDED, book: str | None = None, count: int = USUAL) -> Desk:
        """A desk with a model, and with the edits of a book if that is there."""
        bench = Workbench.load(model, count)
        if book is not None and keeping.is_book(book):
            keeping.open_book(bench, book)
        return cls(bench)

    def load_model(self, name: str) -> Seen:
        """Have another model on the desk; refused while an edit would be lost by it."""

        def act() -> Seen:
            with self.bench.alone():
                if lost := self.bench.unkept:
                    raise BookError(words.KEEP_FIRST.format(names=", ".join(lost)))
                self.bench = Workbench.load(name.strip() or EMBEDDED, self.bench.threads)
            return Seen(shown.said(f"{self.bench.name} is loaded.", "good"), "")

        return _in_words(act)

    def edit(self, fact: TypedFact, algorithm: str | None, tell: Tell | None = None) -> Seen:
        """Make an edit, and put it into the model if the fact took."""

        def act() -> Seen:
            _refuse_empty(fact)
            with self.bench.alone():
                trial = self.bench.make(fact, algorithm, tell)
                if not trial.verdict.took:
                    return Seen(shown.said(words.NOT_TAKEN, "bad"), shown.trial(trial), (trial,))
                name = self.bench.put(trial).name
            return Seen(shown.said(f"Done: the edit {name} is in the model.", "good"), shown.trial(trial))

        return _in_words(act, otherwise="")

    def compare(self, fact: TypedFact, algorithms: Sequence[str], tell: Tell | None = None) -> Seen:
        """Make an edit with two methods; neither goes into the model."""

        def act() -> Seen:
            _refuse_empty(fact)
            if len(set(algorithms)) < len(algorithms):
                raise RequestError(f"{algorithms[0]} stands on both sides; choose two methods")
            with self.bench.alone():
                trials = tuple(self.bench.make(fact, algorithm, tell) for algorithm in algorithms)
            return Seen(shown.said("Neither is in the model; take one if you like."), shown.trials(trials), trials)

        return _in_words(act, otherwise="")

    def take(self, trials: Sequence[Trial], place: int) -> Seen:
        """Put one of the trials into the model."""

        def act() -> Seen:
            if place >= len(trials):
                raise UpdateError(words.STALE)
            name = self.bench.put(trials[place]).name
            return Seen(shown.said(f"Done: the edit {name} is in the model.", "good"))

        return _in_words(act)

    def hold(self, names: Sequence[str], book: str, listed: Sequence[str] | None = None) -> Seen:
        """Have exactly these edits in the model; a book that has them follows.

        Args:
            names: of the edits.
            book: its folder, if there is one.
            listed: those that the tab shows as being in the model; where others are, nothing is done.
        """

        def act() -> Seen:
            with self.bench.alone():
                before = self.bench.within
                if listed is not None and tuple(listed) != before:
                    raise UpdateError(words.OUTDATED)
                self.bench.hold(names)
                if any(edit.key for edit in self.bench.edits) and keeping.is_book(book):
                    keeping.follow(self.bench, EditBook.open(book))
            out = [name for name in before if name not in self.bench.within]
            back = [name for name in self.bench.within if name not in before]
            told = [f"Taken out: {', '.join(out)}."] * bool(out) + [f"Put back: {', '.join(back)}."] * bool(back)
            return Seen(shown.said(" ".join(told), "good"))

        return _in_words(act)

    def undo_last(self, book: str, listed: Sequence[str] | None = None) -> Seen:
        """Take out the edit that was put in last; arguments as for :meth:`hold`."""
        within = self.bench.within if listed is None else listed
        return self.hold(within[:-1], book, listed)

    def keep(self, book: str) -> Seen:
        """Write the edits in the model into a book."""

        def act() -> Seen:
            written = keeping.keep(self.bench, book)
            what = f"Kept in {book}: {', '.join(written)}." if written else f"{book} has them all already."
            return Seen(shown.said(f"{what} `easyedit-ice edits list {book}` lists them.", "good"))

        return _in_words(act)

    def ask(self, lines: str) -> Seen:
        """What the model writes without its edits and with them."""

        def act() -> Seen:
            prompts = [line for line in lines.splitlines() if line.strip()]
            if not prompts:
                raise RequestError(words.NOTHING_TO_ASK)
            return Seen("", shown.answered(self.bench.ask(prompts)))

        return _in_words(act)

    @property
    def state(self) -> str:
        """What is in the model, in a box."""
        bench = self.bench
        try:
            with bench.alone():
                untouched = not bench.within and bench.untouched
        except ModelInUseError:
            return shown.said(words.BUSY.format(model=bench.name))
        told = f"{bench.name}: {words.state_of(len(bench.within), untouched)}"
        if bench.unkept:
            told += " Not in a book yet: " + ", ".join(bench.unkept) + "."
        return shown.said(told, "plain" if bench.within or untouched else "bad")

    @property
    def choices(self) -> list[tuple[str, str]]:
        """Label and name of each edit."""
        return [(self._label(edit.name), edit.name) for edit in self.bench.edits]

    def _label(self, name: str) -> str:
        edit = self.bench[name]
        first = edit.facts[0]
        more = f" (and {len(edit.facts) - 1} more)" if len(edit.facts) > 1 else ""
        place = ", in the book" if edit.key else ""
        return f"{first.statement}{more} · {edit.algorithm}{place}"


def _refuse_empty(fact: TypedFact) -> None:
    for text, what in ((fact.prompt, words.PROMPT), (fact.target, words.TARGET)):
        if not text.strip():
            raise EmptyTextError(words.EMPTY.format(what=what))


def _in_words(act: Callable[[], Seen], otherwise: str | None = None) -> Seen:
    """What came of it, or what is wrong, as a sentence.

    Args:
        act: what the button does.
        otherwise: what stands below the sentence; by default what is there.
    """
    try:
        return act()
    except (EasyEditIceError, OSError) as error:
        return Seen(shown.said(str(error).removeprefix("fact 0: "), "bad"), otherwise)
    except Exception as error:
        logger.exception("the page met an error that nobody raised on purpose")
        return Seen(shown.said(f"{words.UNEXPECTED} {type(error).__name__}: {error}", "bad"), otherwise)
