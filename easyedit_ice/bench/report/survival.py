"""What of an edit survives other questions, other text around them, and a stream: the first thing a report says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from easyedit_ice.bench.report.analysis import Results
from easyedit_ice.bench.report.paired_tests import Facts
from easyedit_ice.bench.report.phrases import KNOWN, STYLES, listed
from easyedit_ice.bench.report.probes import asked, can_answer
from easyedit_ice.bench.report.reading_runs import FactKey
from easyedit_ice.bench.report.reported_scores import Scored
from easyedit_ice.bench.storage.line import PROBED
from easyedit_ice.evaluation import Interval
from easyedit_ice.evaluation.intervals import share_interval
from easyedit_ice.evaluation.probes import PROBES

BASE = "choice"
"""The probe that the others are measured by: it asks the fact's own prompt, and is itself measured by rewrite."""
HOLDS = 0.8
"""Share of what it is measured by that a method has where its knowledge is said to hold."""
WHOSE = {"context": "in the question", "retrieval": "in the question", "ours": "easyedit_ice", "easyedit": "EasyEdit"}
"""Groups of methods, in their order."""
HEADINGS = {
    "rewrite": "own prompt",
    "rephrase": "other words",
    "choice": "choice of four",
    "letters": "A to D",
    "negation": "negation",
    "yes_no": "yes or no",
    "leaning": "leaning to yes",
    "reversed": "reversed",
    "irrelevant": "after other facts",
    "contradicting": "contradicted",
    "long": "long context",
    "dialogue": "in a dialogue",
    "stream": "after a stream",
    KNOWN: "others kept",
}
WRITTEN = ("rewrite", "rephrase")
STREAM = "stream"


@dataclass(frozen=True)
class Test:
    """A column.

    Attributes:
        name: of the measure.
        heading: in two or three words.
        asks: what is asked, for a reader who points at it.
        judged: whether methods are said to hold, fade or fail in it.
        says: whether the unedited model can answer it; else the column says nothing of edits.
        chance: share of right answers by guessing.
    """

    name: str
    heading: str
    asks: str
    judged: bool
    says: bool
    chance: float


@dataclass(frozen=True)
class Cell:
    """A method in a test.

    Attributes:
        share: of right answers.
        verdict: ``holds``, ``fades`` or ``gone``; empty where the test judges nothing.
    """

    share: Interval
    verdict: str


@dataclass(frozen=True)
class Row:
    """A method.

    Attributes:
        label: of the method.
        whose: its group.
        cells: by test, those it was asked.
        undo: whether its undo left no logit changed; none where that was not checked.
    """

    label: str
    whose: str
    cells: Mapping[str, Cell]
    undo: bool | None


@dataclass(frozen=True)
class Survival:
    """What survives what.

    Attributes:
        tests: the columns.
        rows: the methods, group by group.
        before: shares of the unedited model, by test.
        first: the verdict, in a sentence.
        sentences: the tests one by one, and how to read them.
        circumstances: what the numbers are of.
    """

    tests: tuple[Test, ...]
    rows: tuple[Row, ...]
    before: Mapping[str, Interval]
    first: str
    sentences: tuple[str, ...]
    circumstances: str

    @property
    def undo(self) -> bool:
        """Whether undo was checked."""
        return any(row.undo is not None for row in self.rows)

    @property
    def parts(self) -> tuple[tuple[str, tuple[Row, ...]], ...]:
        """The rows by group."""
        groups = dict.fromkeys(row.whose for row in self.rows)
        return tuple((name, tuple(row for row in self.rows if row.whose == name)) for name in groups)


def survival(results: Sequence[Results]) -> Survival | None:
    """What of the edits survives, over all modes of a comparison; none where its runs were asked no probes."""
    alike = [result for result in results if result.group.alike and result.probes]
    if not alike:
        return None
    streams = [result for result in alike if "retained" in result.probes]
    single = next((result for result in alike if "retained" not in result.probes), alike[0])
    probes = single.probes["immediate"]
    tests = tuple(_tests(single, probes, streams))
    rows = tuple(_rows(tests, single, streams, alike))
    unedited = next(method for method in single.scored["immediate"] if not method.edited)
    before = _written(single, unedited) | {
        probe: share for probe, share in probes[0].means[PROBED].items() if not probes[0].edited
    }
    return Survival(tests, rows, before, _first(tests, rows), tuple(_sentences(tests, rows)), _about(single, streams))


def _tests(single: Results, probes: tuple[Scored, ...], streams: Sequence[Results]) -> Iterator[Test]:
    style = single.main_style("immediate")
    asks = {"rewrite": "the fact's own prompt", "rephrase": "the same in other words"}
    for name in WRITTEN:
        if any(name in method.means.get(style, {}) for method in single.scored["immediate"]):
            yield Test(name, HEADINGS[name], f"{asks[name]}; {STYLES[style]}", False, True, 0.0)
    for name in asked(probes):
        says = can_answer(probes, name) != "no"
        yield Test(name, HEADINGS[name], PROBES[name].asks, True, says, PROBES[name].chance)
    if streams and BASE in asked(probes):
        says = can_answer(probes, BASE) != "no"
        what = "choice once more, after all facts were written"
        yield Test(STREAM, HEADINGS[STREAM], what, True, says, PROBES[BASE].chance)
    if any(KNOWN in method.means.get("teacher_forced", {}) for method in _last(single, streams)):
        when = "after the stream" if streams else "after each edit"
        yield Test(KNOWN, HEADINGS[KNOWN], f"other facts that the model knew, {when}", False, True, 0.0)


def _rows(
    tests: Sequence[Test], single: Results, streams: Sequence[Results], alike: Sequence[Results]
) -> Iterator[Row]:
    kinds = {run.label: run.manifest.get("kind", "ours") for result in alike for run in result.group.runs}
    by_whose = sorted(kinds, key=lambda label: list(WHOSE.values()).index(WHOSE[kinds[label]]))
    for label in by_whose:
        shares = dict(_shares(label, single, streams))
        cells = {test.name: Cell(shares[test.name], _verdict(test, shares)) for test in tests if test.name in shares}
        undone = [result.undone[label] for result in alike if label in result.undone]
        ways = [undo.method for undo in undone if undo.method.tried] or [undo.run for undo in undone]
        yield Row(label, WHOSE[kinds[label]], cells, all(way.is_exact for way in ways) if ways else None)


def _shares(label: str, single: Results, streams: Sequence[Results]) -> Iterator[tuple[str, Interval]]:
    for method in single.scored["immediate"]:
        if method.label == label:
            yield from _written(single, method).items()
    for method in single.probes["immediate"]:
        if method.label == label:
            yield from method.means[PROBED].items()
    after = [
        method.values[PROBED] for result in streams for method in result.probes["retained"] if method.label == label
    ]
    if over_orders := _mean_by_fact([values[BASE] for values in after if BASE in values]):
        yield STREAM, share_interval(list(over_orders.values()))
    forced = [method.values["teacher_forced"] for method in _last(single, streams) if method.label == label]
    if by_fact := _mean_by_fact([values[KNOWN] for values in forced if KNOWN in values]):
        yield KNOWN, share_interval(list(by_fact.values()))


def _written(result: Results, method: Scored) -> dict[str, Interval]:
    means = method.means.get(result.main_style("immediate"), {})
    return {name: means[name] for name in WRITTEN if name in means}


def _last(single: Results, streams: Sequence[Results]) -> list[Scored]:
    """Scores at the end of the streams, or of single edits where there are no streams."""
    return [
        method
        for result in (streams or [single])
        for method in result.scored[result.final_phase]
        if method.edited and "teacher_forced" in method.values
    ]


def _mean_by_fact(orders: Sequence[Facts]) -> Facts:
    """A fact's mean over the orders in which it was asked."""
    by_fact: dict[FactKey, list[float]] = {}
    for facts in orders:
        for fact, value in facts.items():
            by_fact.setdefault(fact, []).append(value)
    return {fact: fmean(values) for fact, values in by_fact.items()}


def _verdict(test: Test, shares: Mapping[str, Interval]) -> str:
    if not test.judged or not test.says:
        return ""
    share, base = shares[test.name], shares.get("rewrite" if test.name == BASE else BASE)
    if share.low <= test.chance:
        return "gone"
    return "holds" if base is None or share.mean >= HOLDS * base.mean else "fades"


def _first(tests: Sequence[Test], rows: Sequence[Row]) -> str:
    """Which methods hold in every test, and in which tests none does."""
    judged = [test for test in tests if test.judged and test.says]
    if not judged:
        return "This model can answer none of the probes, so nothing is said of what survives."
    whole = [row.label for row in rows if all(_in(row, test) == "holds" for test in judged)]
    nobody = [test.heading for test in judged if all(_in(row, test) in ("gone", "") for row in rows)]
    who = f"{listed(whole)} hold{'s' * (len(whole) == 1)}" if whole else "No method holds"
    every = f"{'all' if whole else 'each'} of the {len(judged)} tests" if len(judged) > 1 else "the one test"
    told = f"{who} in {every} that this model can answer."
    if nobody:
        told += f" In {listed(nobody)} nobody is better than by guessing."
    return told


def _sentences(tests: Sequence[Test], rows: Sequence[Row]) -> Iterator[str]:
    words = {"holds": "holds for", "fades": "fades for", "gone": "no better than guessing for"}
    for test in tests:
        if test.judged and test.says:
            by_verdict = {verdict: [row.label for row in rows if _in(row, test) == verdict] for verdict in words}
            told = [f"{words[verdict]} {listed(labels)}" for verdict, labels in by_verdict.items() if labels]
            yield f"{_beginning(test.heading)}: {'; '.join(told)}."
    silent = [test.heading for test in tests if not test.says]
    if silent:
        yield (
            f"{_beginning(listed(silent))}: say{'s' * (len(silent) == 1)} nothing here, since the unedited model "
            "cannot answer such questions, told the fact or of old facts."
        )
    yield (
        f"Holds: at least {100 * HOLDS:.0f} % of what the method has in the choice of four answers (and there of what "
        "it has with its own prompt), and better than guessing by the whole 95 % interval. Fades: better than "
        "guessing, but less than that. No better than guessing may also mean too few facts to tell."
    )


def _beginning(words: str) -> str:
    """Words at the beginning of a sentence."""
    return words[0].upper() + words[1:]


def _in(row: Row, test: Test) -> str:
    return row.cells[test.name].verdict if test.name in row.cells else ""


def _about(single: Results, streams: Sequence[Results]) -> str:
    facts = max(run.written for run in single.group.runs)
    told = f"{facts} facts, {single.group.name}"
    if streams:
        orders = len(streams)
        told += "; a stream" if orders == 1 else f"; streams in {orders} orders, mean over them"
    return f"{told}. {single.group.runs[0].manifest['model'].get('name', '?')}"
