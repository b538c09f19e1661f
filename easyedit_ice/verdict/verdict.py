"""What an edit did, as it is told to a person or a script."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from easyedit_ice.edit.plain_statements import Movement
from easyedit_ice.runtime.html import html_table

MOST_MOVED = 0.25
"""Share of neighbours that may have another answer before a verdict warns of it."""
MOST_DRIFT = 0.05
"""Nats per token that plain statements may move by, where the edit's own settings (``warn_drift``) name no bound."""
FEW_WORDINGS = 0.5
"""Share of wordings below which a verdict says how to reach more."""
_SHOWN = 40
"""Facts of which a table shows a line each."""


@dataclass(frozen=True)
class Wording:
    """The fact asked in another way.

    Attributes:
        kind: ``opening``, with a text of the model's own before the prompt; ``rephrase``; or ``portability.<kind>``.
        prompt: what is asked.
        target: what shall follow.
        written: whether each of its tokens is the most probable.
        before: the unedited model's brief answer; none of openings, which are not asked before.
        after: the edited model's.
    """

    kind: str
    prompt: str
    target: str
    written: bool
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True)
class Neighbour:
    """A question that the fact is not about.

    Attributes:
        kind: ``name``, the prompt with another name in the subject's place; or ``locality.<kind>``, of the request.
        prompt: what is asked.
        before: the unedited model's brief answer.
        after: the edited model's.
        moved: whether the first words of the two differ, articles aside.
    """

    kind: str
    prompt: str
    before: str
    after: str
    moved: bool


@dataclass(frozen=True)
class FactVerdict:
    """What became of one fact.

    Attributes:
        prompt: what is asked.
        target: what shall follow.
        subject: what the fact is about, if that was said.
        written: whether each of the target's tokens is the most probable after the prompt and those before it.
        nll: of the target, in nats per token.
        nll_before: the same of the unedited model.
        before: the unedited model's brief answer.
        after: the edited model's.
        wordings: the fact asked in other ways.
        neighbours: what must stay.
    """

    prompt: str
    target: str
    subject: str | None
    written: bool
    nll: float
    nll_before: float
    before: str
    after: str
    wordings: tuple[Wording, ...]
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True)
class Verdict:
    """What an edit did.

    Attributes:
        algorithm: that made it, if the update says so.
        facts: what became of each.
        drift: how far plain statements moved that no fact is about; none if the model can read none of them.
        most_drift: by how much they may move, in nats per token; none for no bound.
        advice: what to try next, a sentence each; nothing where all is well.
    """

    algorithm: str | None
    facts: tuple[FactVerdict, ...]
    drift: Movement | None
    most_drift: float | None
    advice: tuple[str, ...] = ()

    @property
    def took(self) -> bool:
        """Whether every fact is written."""
        return all(fact.written for fact in self.facts)

    @property
    def written(self) -> int:
        """How many facts are."""
        return sum(fact.written for fact in self.facts)

    @property
    def wordings(self) -> tuple[Wording, ...]:
        """Of all facts."""
        return tuple(wording for fact in self.facts for wording in fact.wordings)

    @property
    def neighbours(self) -> tuple[Neighbour, ...]:
        """Of all facts."""
        return tuple(neighbour for fact in self.facts for neighbour in fact.neighbours)

    @property
    def moved(self) -> int:
        """How many neighbours have another answer."""
        return sum(neighbour.moved for neighbour in self.neighbours)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What moved by more than a stated bound, with the figure; nothing where all is well."""
        result = []
        asked = len(self.neighbours)
        if asked and self.moved / asked > MOST_MOVED:
            share = f"{self.moved / asked:.0%}; bound {MOST_MOVED:.0%}"
            result.append(f"{self.moved} of {asked} neighbours have another answer ({share})")
        if self.drift is not None and self.most_drift is not None and not self.drift.kl <= self.most_drift:
            moved = f"{self.drift.kl:.2g} nats a token (bound {self.most_drift:g})"
            result.append(f"plain statements that it is not about move by {moved}")
        return tuple(result)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with what follows from them."""
        return asdict(self) | {"took": self.took, "warnings": list(self.warnings)}

    def summary(self) -> str:
        """One line."""
        return "; ".join(f"{name}: {value}" for name, value in self.figures())

    def figures(self) -> list[tuple[str, str]]:
        """What was found, in a few lines of a name and a value."""
        rows = [("written", f"{self.written} of {len(self.facts)} fact{'s' * (len(self.facts) != 1)}")]
        for name, wordings in (
            ("after other openings", [wording for wording in self.wordings if wording.kind == "opening"]),
            ("in your other wordings", [wording for wording in self.wordings if wording.kind == "rephrase"]),
            ("what follows from it", [wording for wording in self.wordings if wording.kind.startswith("portability")]),
        ):
            if wordings:
                rows.append((name, f"{sum(wording.written for wording in wordings)} of {len(wordings)}"))
        if self.neighbours:
            rows.append(("neighbours moved", f"{self.moved} of {len(self.neighbours)}"))
        if self.drift is not None:
            rows.append(
                (
                    "plain statements",
                    f"moved by {self.drift.kl:.2g} nats a token, {self.drift.kept:.0%} of likeliest words kept",
                )
            )
        return rows

    def rows(self, most: int = _SHOWN) -> list[tuple[str, str, str, str]]:
        """What was asked, answers before and after, and what that means: all of one fact, or a line for each of more.

        Args:
            most: facts of which a line is shown; those that were not written come first.
        """
        if len(self.facts) == 1:
            return _all_of(self.facts[0])
        return [_line_of(fact) for fact in sorted(self.facts, key=lambda fact: fact.written)[:most]]

    def __repr__(self) -> str:
        took = "took" if self.took else "did NOT take"
        return f"<Verdict: {took}; {self.summary()}>"

    def _repr_html_(self) -> str:
        return html_table(repr(self)[1:-1], HEADER, self.rows())


HEADER = ("asked", "before", "after", "")
"""Of :meth:`Verdict.rows`."""


def _all_of(fact: FactVerdict) -> list[tuple[str, str, str, str]]:
    outcome = "written" if fact.written else "NOT written"
    rows = [(fact.prompt, fact.before, fact.after, f"{outcome} ({fact.nll:.2f} nats a token)")]
    for wording in fact.wordings:
        if wording.kind != "opening":
            held = "holds" if wording.written else "does not hold"
            rows.append((wording.prompt, wording.before or "", wording.after or "", f"{wording.kind}: {held}"))
    for neighbour in sorted(fact.neighbours, key=lambda neighbour: not neighbour.moved):
        state = "MOVED" if neighbour.moved else "kept"
        rows.append((neighbour.prompt, neighbour.before, neighbour.after, f"neighbour: {state}"))
    return rows


def _line_of(fact: FactVerdict) -> tuple[str, str, str, str]:
    moved = sum(neighbour.moved for neighbour in fact.neighbours)
    held = sum(wording.written for wording in fact.wordings)
    parts = ["written" if fact.written else f"NOT written ({fact.nll:.2f} nats a token)"]
    parts += [f"{held}/{len(fact.wordings)} wordings"] if fact.wordings else []
    parts += [f"{moved}/{len(fact.neighbours)} neighbours moved"] if fact.neighbours else []
    return fact.prompt, fact.before, fact.after, ", ".join(parts)
