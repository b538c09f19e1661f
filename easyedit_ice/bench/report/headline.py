"""Who wins, in words: which method writes most among those that leave other facts alone as well as it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from easyedit_ice.bench.report.analysis import Results
from easyedit_ice.bench.report.paired_tests import Facts, differences
from easyedit_ice.bench.report.phrases import PHASES, STYLES, listed, p_value, points
from easyedit_ice.bench.report.reading_runs import FactKey
from easyedit_ice.bench.report.reported_scores import Scored
from easyedit_ice.bench.report.undo import undo_sentence
from easyedit_ice.evaluation import Interval

WRITTEN = ("rewrite", "rephrase", "portability")
"""Sections whose mean is an edit's success."""
MATCHED = 0.05
"""How much lower a score may be and still count as matched."""
FEW = 50
"""Facts below which a report warns of how little it can tell."""


@dataclass(frozen=True)
class Contender:
    """A method with its two scores, by fact.

    Attributes:
        label: of the method.
        success: mean of the sections of :data:`WRITTEN` that were asked.
        locality: share of other answers that stayed.
    """

    label: str
    success: Facts
    locality: Facts


@dataclass(frozen=True)
class Defeat:
    """How a method is beaten.

    Attributes:
        winner: by whom.
        measure: in what the winner is higher: ``success`` or ``locality``.
        difference: the winner's minus its own.
        adjusted: p-value after adjustment over the pairs.
    """

    winner: str
    measure: str
    difference: Interval
    adjusted: float


@dataclass(frozen=True)
class Contest:
    """Methods against each other.

    Attributes:
        contenders: those that are not told which fact a question is about.
        unbeaten: of these, those that no other beats.
        beaten: by label, the clearest defeat of each of the others.
    """

    contenders: tuple[Contender, ...]
    unbeaten: tuple[Contender, ...]
    beaten: Mapping[str, Defeat]


def contenders(results: Results) -> list[Contender]:
    """All methods that have both scores, at the end of their edits and in the style of the plots."""
    phase = results.final_phase
    candidates = (_contender(method, results.main_style(phase)) for method in results.scored[phase] if method.edited)
    return [contender for contender in candidates if contender is not None]


def contest(field: Sequence[Contender]) -> Contest:
    """Every pair compared, in both scores.

    One method beats another if it is higher in one score, after adjustment over the pairs, and matched in the other.
    """
    by_label = {contender.label: contender for contender in field}
    beaten: dict[str, Defeat] = {}
    for measure, matched in (("success", "locality"), ("locality", "success")):
        for pair in differences({contender.label: getattr(contender, measure) for contender in field}):
            winner, loser = (pair.one, pair.other) if pair.interval.mean > 0 else (pair.other, pair.one)
            higher = pair.verdict == f"{winner} higher"
            gap = _gap(getattr(by_label[winner], matched), getattr(by_label[loser], matched))
            defeat = Defeat(winner, measure, _turned(pair.interval, winner == pair.other), pair.adjusted)
            if higher and gap >= -MATCHED and _clearer(defeat, beaten.get(loser)):
                beaten[loser] = defeat
    unbeaten = tuple(contender for contender in field if contender.label not in beaten)
    return Contest(tuple(field), unbeaten, beaten)


def headline(results: Results) -> list[str]:
    """What the runs of one mode say, in sentences; the first is the verdict."""
    return [*_contested(results), *([undo_sentence(results.undone)] if results.undone else [])]


def _contested(results: Results) -> list[str]:
    """Who beats whom."""
    group = results.group
    if not group.alike:
        return ["These runs differ in what must be the same, so no winner is named."]
    context = [run.label for run in group.runs if run.manifest.get("kind") == "context"]
    field = [contender for contender in contenders(results) if contender.label not in context]
    if not field:
        return ["No method that is not told what a question is about has scores of both success and locality."]
    if len(field) == 1:
        sentences = [f"{_scores(field[0])}. There is no other method beside it to compare with."]
    else:
        result = contest(field)
        sentences = [*_verdict(result), *_losers(result)]
    told = [contender for contender in contenders(results) if contender.label in context]
    sentences += [
        f"{_scores(contender)}; it changes no weights and is told which fact a question is about, so it stands apart."
        for contender in told
    ]
    phase = results.final_phase
    sentences.append(
        f"Answers are {STYLES[results.main_style(phase)]}, {PHASES[phase]}. Success is the mean of rewrite, rephrase "
        f"and portability. A method beats another if it is higher in success or locality, and in the other of the two "
        f"not lower by more than {100 * MATCHED:.0f} points."
    )
    return [*sentences, *_warnings(field)]


def _verdict(result: Contest) -> list[str]:
    if len(result.unbeaten) == 1:
        winner = result.unbeaten[0]
        return [f"{winner.label} wins at matched locality.", _all_scores(result.contenders)]
    names = listed([contender.label for contender in result.unbeaten])
    if len(result.unbeaten) == len(result.contenders):
        first = f"No winner: between {names} no difference is proven at matched locality or success."
    else:
        first = f"No single winner: {names} are beaten by no other method."
    return [first, _all_scores(result.contenders)]


def _losers(result: Contest) -> list[str]:
    """By whom each of the others is beaten, in one sentence for each winner."""
    by_winner: dict[str, list[str]] = {}
    for loser, defeat in result.beaten.items():
        by = f"{loser} in {defeat.measure} by {points(defeat.difference)} points (p {_p(defeat.adjusted)})"
        by_winner.setdefault(defeat.winner, []).append(by)
    return [f"{winner} beats {listed(losers)}." for winner, losers in by_winner.items()]


def _warnings(field: Sequence[Contender]) -> list[str]:
    facts = min(len(contender.success) for contender in field)
    if facts >= FEW or len(field) < 2:
        return []
    widths = [(pair.interval.high - pair.interval.low) / 2 for pair in differences({o.label: o.success for o in field})]
    reach = f": the intervals of differences reach {100 * fmean(widths):.0f} points to either side" if widths else ""
    return [f"Few facts ({facts} in the smallest run){reach}. What looks alike here may not be."]


def _contender(method: Scored, style: str) -> Contender | None:
    values = method.values.get(style, {})
    sections = [values[section] for section in WRITTEN if section in values]
    if "rewrite" not in values or "locality" not in values:
        return None
    success: dict[FactKey, float] = {}
    for fact in values["rewrite"]:
        success[fact] = fmean(section[fact] for section in sections if fact in section)
    return Contender(method.label, success, values["locality"])


def _gap(one: Facts, other: Facts) -> float:
    """How much higher the first one is, on the facts both have."""
    shared = [value - other[fact] for fact, value in one.items() if fact in other]
    return fmean(shared) if shared else -1.0


def _turned(interval: Interval, turn: bool) -> Interval:
    """A difference seen from the other side."""
    return Interval(-interval.mean, -interval.high, -interval.low, interval.facts) if turn else interval


def _clearer(one: Defeat, other: Defeat | None) -> bool:
    return other is None or one.difference.mean > other.difference.mean


def _scores(contender: Contender) -> str:
    locality = fmean(contender.locality.values())
    return f"{contender.label}: success {100 * _mean_success(contender):.0f} %, locality {100 * locality:.0f} %"


def _all_scores(field: Sequence[Contender]) -> str:
    """All in one sentence, the most successful first."""
    ranked = sorted(field, key=_mean_success, reverse=True)
    return f"Per cent of success and of locality: {', '.join(_pair(contender) for contender in ranked)}."


def _pair(contender: Contender) -> str:
    return f"{contender.label} {100 * _mean_success(contender):.0f} and {100 * fmean(contender.locality.values()):.0f}"


def _mean_success(contender: Contender) -> float:
    return fmean(contender.success.values())


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"
