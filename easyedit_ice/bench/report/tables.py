"""The tables of a report, as text that every format can print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from easyedit_ice.bench.report import ability_changes, afterlife, judged
from easyedit_ice.bench.report.analysis import Results
from easyedit_ice.bench.report.paired_tests import LEVEL
from easyedit_ice.bench.report.phrases import (
    FIGURES,
    HEADINGS,
    KNOWN,
    MEASURES,
    MISSING,
    PHASES,
    SCORE,
    SECTIONS,
    STYLES,
    figure,
    measure_order,
    number,
    p_value,
    percent,
    points,
)
from easyedit_ice.bench.report.probes import asked, can_answer, chance, explained
from easyedit_ice.bench.report.survival import Cell, Survival
from easyedit_ice.bench.report.undo import WayBack
from easyedit_ice.bench.storage.line import PROBED

SCORES_NOTE = (
    "Per cent, with 95 % intervals over facts: Wilson's where facts are right or wrong, else bootstrap. A fact counts "
    "once, however many questions it has of a kind. S is the harmonic mean of the probability style's rewrite, "
    "rephrase and locality."
)
KNOWN_NOTE = (
    "Known kept: of other facts that the unedited model answers right, the share that the edited one still does; the "
    "interval is over edits, or after a stream over these facts."
)
PROBES_NOTE = (
    "Per cent, with 95 % intervals over facts, of right answers: of given options the likeliest, by the mean "
    "log-probability of its tokens. The unedited model is also asked when the new fact's sentence stands before the "
    "question, and whether the old facts hold, with old and new exchanged. Where it can do neither better than by "
    "guessing, it cannot answer such questions, and the column says nothing of edits."
)
UNTOUCHED_NOTE = (
    "Nobody edited these facts. Rewrite and rephrase say how often the model gives the new answer all the same, and "
    "should be those of the unedited model."
)
DIFFERENCES_NOTE = (
    "Percentage points on the facts both methods have, with 95 % intervals of paired differences: Newcombe's where "
    "facts are right or wrong, else bootstrap; p by sign-flip "
    "permutation, after Holm's adjustment over the pairs of one measure and style. A tie is a difference whose "
    f"interval holds 0; one that does not hold after adjustment has an adjusted p of {LEVEL} or more."
)
ROUNDING_NOTE = (
    " Rounding alone: the weights are packed, and one projection of the unedited model writes a thousandth more at "
    "each token, in a direction of no meaning. Side effects of edits that are no greater tell of rounding."
)
FIGURES_NOTE = (
    "Means over edits, with 95 % bootstrap intervals where they differ; in a stream, all but seconds and memory are "
    "those after the last edit. Seconds (of the edit, per fact) and peak memory are medians over edits, without the "
    "first after each start of the program, which also loads libraries; they are of so many threads of the processor "
    "as the table says. Update norm and KL are from the unedited model; relative: the most that any one weight changed."
)

UNDO_NOTE = (
    "Largest absolute difference of any logit from the unedited model's, over all edits, or of the whole stream. In "
    "its own way: an update of this package is reverted, and EasyEdit's methods are undone by its editor's code. A run "
    "then copies back whatever differs from its copies of all weights and modules, so no method's residue reaches the "
    "next fact."
)


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        name: fit for file names and anchors.
        title: above it.
        header: of its columns.
        rows: cells.
        texts: how many of the first columns hold words; the others hold numbers.
        note: below it.
        folded: whether it is long, and of use to few readers.
    """

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 2
    note: str = ""
    folded: bool = False


def tables(results: Results) -> list[Table]:
    """All tables of one mode: scores by phase, cost and side effects, scores by kind of question, differences."""
    mode = results.group.slug
    parts = [_scores(results, phase, mode) for phase in results.phases]
    parts += [_probes(results, phase, mode) for phase in results.probes]
    parts.append(_figures(results, mode))
    parts += [_undone(results, mode)] if results.undone else []
    if results.scored:
        parts += _judge(results, results.final_phase, mode)
    parts += [*_abilities(results, mode), *_afterlife(results, mode)]
    parts += [table for phase in results.phases if (table := _kinds(results, phase, mode)).rows]
    parts += [table for phase in results.phases if (table := _differences(results, phase, mode)).rows]
    return parts


def survival_table(survived: Survival) -> Table:
    """The shares behind what a report says of survival, and in words whether they hold."""
    rows = [
        (
            row.whose,
            row.label,
            *(_survives(row.cells.get(test.name), test.says) for test in survived.tests),
            MISSING if row.undo is None else _yes(row.undo),
        )
        for row in survived.rows
    ]
    header = ("whose", "method", *(test.heading for test in survived.tests), "undo exact")
    return Table("survival", f"What survives: {survived.circumstances}", header, _once(rows))


def _survives(cell: Cell | None, says: bool) -> str:
    if cell is None:
        return MISSING
    return f"{number(100 * cell.share.mean)} {cell.verdict}".strip() if says else "says nothing"


def _scores(results: Results, phase: str, mode: str) -> Table:
    has_known = any(KNOWN in measures for method in results.scored[phase] for measures in method.means.values())
    shown = MEASURES if has_known else SECTIONS
    measures = (*shown, SCORE)
    rows = [
        (STYLES[style], method.label, *(percent(method.means[style].get(measure)) for measure in measures))
        for style in results.styles(phase)
        for method in results.scored[phase]
        if style in method.means
    ]
    note = f"{UNTOUCHED_NOTE} {SCORES_NOTE}" if phase == "untouched" else SCORES_NOTE
    note = f"{note} {KNOWN_NOTE}" if has_known else note
    header = ("scored", "method", *(HEADINGS.get(measure, measure) for measure in shown), "S")
    return Table(f"{mode}-{phase}", f"Scores {_when(phase)}", header, _once(rows), note=note)


def _kinds(results: Results, phase: str, mode: str) -> Table:
    scored = results.scored[phase]
    rows = []
    for style in results.styles(phase):
        kinds = {measure for method in scored for measure in method.means.get(style, {}) if "." in measure}
        for measure in sorted(kinds, key=measure_order):
            cells = (percent(method.means.get(style, {}).get(measure)) for method in scored)
            rows.append((STYLES[style], measure, *cells))
    header = ("scored", "measure", *(method.label for method in scored))
    return Table(f"{mode}-{phase}-kinds", f"By kind of question, {_when(phase)}", header, _once(rows), folded=True)


def _probes(results: Results, phase: str, mode: str) -> Table:
    scored = results.probes[phase]
    named = asked(scored)
    rows = [(method.label, *(percent(method.means[PROBED].get(probe)) for probe in named)) for method in scored]
    rows.append(("by guessing", *map(chance, named)))
    rows.append(("can the model answer?", *(can_answer(scored, probe) for probe in named)))
    note = f"{PROBES_NOTE} {explained(named)}"
    return Table(f"{mode}-{phase}-probes", f"Probes, {PHASES[phase]}", ("method", *named), tuple(rows), 1, note)


def _judge(results: Results, phase: str, mode: str) -> Iterator[Table]:
    if rows := judged.judge_rows(results.group, phase):
        title = f"The judge and exact match, {PHASES[phase]}"
        yield Table(f"{mode}-{phase}-judge", title, judged.HEADER, tuple(rows), 1, judged.note(results.group))


def _abilities(results: Results, mode: str) -> Iterator[Table]:
    if rows := ability_changes.ability_rows(results.group):
        yield Table(f"{mode}-abilities", "Abilities", ability_changes.HEADER, _once(rows), note=ability_changes.NOTE)


def _afterlife(results: Results, mode: str) -> Iterator[Table]:
    style = results.main_style(results.final_phase) if results.scored else next(iter(STYLES))
    if rows := afterlife.afterlife_rows(results.group, style):
        note = afterlife.note(STYLES[style], afterlife.treatments(results.group))
        yield Table(f"{mode}-afterlife", "What stays of the edits", afterlife.HEADER, _once(rows), note=note)


def _figures(results: Results, mode: str) -> Table:
    rounding = {f"rounding alone ({label})": floor for label, floor in results.rounding.items()}
    beside = results.unedited | rounding
    every: list[Mapping[str, Any]] = [*results.figures.values(), *beside.values()]
    measured = {name for figures in every for name in figures}
    named = [name for name in FIGURES if name in measured]
    rows = [
        (label, MISSING, MISSING, MISSING, *(number(figures[name]) if name in figures else MISSING for name in named))
        for label, figures in beside.items()
    ]
    for run in results.group.runs:
        figures = results.figures[run.label]
        written = str(run.written) if run.state == "finished" else f"{run.written} of {run.facts}"
        threads = str(run.manifest.get("threads", MISSING))
        rows.append((run.label, written, str(run.failed), threads, *(figure(figures.get(name)) for name in named)))
    header = ("method", "facts", "failed", "threads", *(FIGURES[name] for name in named))
    return Table(
        f"{mode}-cost", "Cost and side effects", header, tuple(rows), texts=1, note=FIGURES_NOTE + _rounding(results)
    )


def _rounding(results: Results) -> str:
    """What a note says of packed weights, where there are any."""
    if not results.rounding:
        return ""
    kept = [f"{label} {100 * floor[KNOWN]:.1f}" for label, floor in results.rounding.items() if KNOWN in floor]
    return ROUNDING_NOTE + (f" It keeps, of known facts, in per cent: {', '.join(kept)}." if kept else "")


def _undone(results: Results, mode: str) -> Table:
    rows = [
        (label, str(undo.run.tried), *(cell for way in (undo.method, undo.run) for cell in (str(way), _exact(way))))
        for label, undo in results.undone.items()
    ]
    header = ("method", "undone", "in its own way", "exact", "by the run's copies", "exact")
    prompts = max(undo.prompts for undo in results.undone.values())
    note = f"{UNDO_NOTE} Up to {prompts} prompts were compared each time, those of the edited facts and others."
    return Table(f"{mode}-undo", "What is left after undoing", header, tuple(rows), texts=1, note=note)


def _exact(way: WayBack) -> str:
    return _yes(way.is_exact) if way.tried else MISSING


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _differences(results: Results, phase: str, mode: str) -> Table:
    rows = [
        (
            STYLES.get(entry.style, entry.style),
            entry.measure,
            f"{entry.difference.one} − {entry.difference.other}",
            entry.difference.verdict,
            points(entry.difference.interval),
            p_value(entry.difference.adjusted),
            str(entry.difference.interval.facts),
        )
        for entry in results.compared
        if entry.phase == phase
    ]
    header = ("scored", "measure", "methods", "in words", "difference", "p", "facts")
    title = f"Differences between methods, {_when(phase)}"
    name = f"{mode}-{phase}-differences"
    return Table(name, title, header, _once(rows, 2), texts=4, note=DIFFERENCES_NOTE, folded=True)


def _when(phase: str) -> str:
    return f"of {PHASES[phase]}" if phase == "untouched" else PHASES[phase]


def _once(rows: Sequence[tuple[str, ...]], columns: int = 1) -> tuple[tuple[str, ...], ...]:
    """Rows whose first columns are blank where they repeat the row above."""

    def blanked() -> Iterator[tuple[str, ...]]:
        above: tuple[str, ...] = ()
        for row in rows:
            same = next((i for i in range(columns) if row[: i + 1] != above[: i + 1]), columns)
            yield ("",) * same + row[same:]
            above = row

    return tuple(blanked())
