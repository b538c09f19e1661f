"""Runs put side by side, if they may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from easyedit_ice.bench.report.phrases import Mode, mode_name, mode_order, mode_slug
from easyedit_ice.bench.report.reading_runs import Run
from easyedit_ice.bench.report.shown_answers import as_shown
from easyedit_ice.bench.storage.line import SCORED
from easyedit_ice.errors import IncomparableRunsError

PROTOCOL = (
    "model.fingerprint",
    "model.dtype",
    "data.hash",
    "data.probes",
    "data.abilities",
    "data.judge",
    "evaluation",
)
"""Entries that all runs of a report must share."""
WITHIN_MODE = ("data.untouched", "data.untouched_hash")
"""Entries that runs of one mode must share besides."""
IRRELEVANT = ("evaluation.answers", "evaluation.undo")
"""Entries that change no number."""
NOTED = ("host", "versions", "git", "seed", "threads", "model.device", "model.name", "data.source")
"""Entries that may differ; a report says so."""
MANY = 3
"""Runs that are counted and not named."""
NOTED_WITHIN_MODE = ("mode.retain_every",)


@dataclass(frozen=True)
class Group:
    """Runs of one mode, which share tables.

    Attributes:
        mode: its name, how many facts an edit writes, and in which order.
        runs: in the order in which they were given.
        alike: whether they share the protocol, and so the scores before any edit.
    """

    mode: Mode
    runs: tuple[Run, ...]
    alike: bool

    @property
    def name(self) -> str:
        """The mode in words."""
        return mode_name(self.mode)

    @property
    def slug(self) -> str:
        """The mode in names of files."""
        return mode_slug(self.mode)


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        groups: runs by mode.
        differences: what keeps the runs from being comparable; empty unless they were compared anyway.
        notes: what else a reader should know: other hosts, versions or seeds, unfinished runs, failed facts, what
            generated scores are of.
    """

    groups: tuple[Group, ...]
    differences: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, group by group."""
        return tuple(run for group in self.groups for run in group.runs)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the methods, each once: a method that ran in two modes has one."""
        return tuple(dict.fromkeys(run.label for run in self.runs))


def compare(runs: Sequence[Run], anyway: bool = False, answers: str = "auto") -> Comparison:
    """Put runs side by side.

    Args:
        runs: one at least. Those of other modes get tables of their own; two of one mode and one label are told
            apart by their folders.
        anyway: also if they are of different models, facts or ways to measure.
        answers: what generated scores are of, as :func:`~easyedit_ice.bench.report.shown_answers.as_shown` takes it.

    Raises:
        RunConfigError: ``answers`` is no such choice, or the runs lack what it asks for.
        IncomparableRunsError: there are none, or they differ in what must be the same; the message lists every such
            entry with its values and their runs.
    """
    if not runs:
        raise IncomparableRunsError("there are no runs to compare; give at least one folder of a run")
    empty = [run for run in runs if not any(run.at(phase) for phase in SCORED)]
    begun = [run for run in runs if run not in empty]
    if not begun:
        raise IncomparableRunsError(
            f"none of the runs has scores yet ({', '.join(str(run.path) for run in empty)}); run them first, by the "
            "commands in their manifests"
        )
    named, shown = as_shown(_told_apart(begun), answers)
    modes = sorted({run.mode for run in named}, key=mode_order)
    by_mode = {mode: [run for run in named if run.mode == mode] for mode in modes}
    differences = _differences(named, PROTOCOL)
    differences += [entry for members in by_mode.values() for entry in _differences(members, WITHIN_MODE)]
    if differences and not anyway:
        raise IncomparableRunsError(
            f"the runs cannot be compared, since they differ in {'; '.join(differences)}. "
            f"{_comparable(named, by_mode)} Leave some out, or give --anyway (anyway=True) to see them side by side "
            "all the same"
        )
    groups = tuple(
        Group(mode, tuple(members), not _differences(members, (*PROTOCOL, *WITHIN_MODE)))
        for mode, members in by_mode.items()
    )
    notes = _differences(named, NOTED)
    notes += [note for members in by_mode.values() for note in _differences(members, NOTED_WITHIN_MODE)]
    notes += [f"{run.label} ({mode_name(run.mode)}) in {run.path} has no scores yet, and is left out" for run in empty]
    return Comparison(groups, tuple(differences), (*notes, *_shortcomings(named), *shown))


def _comparable(runs: Sequence[Run], by_mode: Mapping[Mode, Sequence[Run]]) -> str:
    """Which of the runs may be compared with each other."""
    sets: dict[str, list[str]] = {}
    for run in runs:
        within = WITHIN_MODE if len(by_mode[run.mode]) > 1 else ()
        entries = dict(_entries(run.manifest, ""))
        shared = [(path, value) for path, value in sorted(entries.items()) if _is_at(path, (*PROTOCOL, *within))]
        sets.setdefault(repr(shared), []).append(f"{run.label} ({mode_name(run.mode)})")
    told = (f"{', '.join(labels)}{'' if len(labels) > 1 else ' alone'}" for labels in sets.values())
    return f"What may be compared: {'; '.join(told)}."


def _is_at(entry: str, paths: Sequence[str]) -> bool:
    """Whether an entry that changes numbers is one of these, or below one."""
    return entry not in IRRELEVANT and any(entry == path or entry.startswith(f"{path}.") for path in paths)


def _entries(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings below a path, as ``("versions.torch", "2.13.0")``."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _entries(below, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _differences(runs: Sequence[Run], paths: Sequence[str]) -> list[str]:
    """Entries that differ, as ``seed: 0 in A, B and 1 in C``."""
    flat = [dict(_entries(run.manifest, "")) for run in runs]
    wanted = [
        entry for entry in dict.fromkeys(entry for manifest in flat for entry in manifest) if _is_at(entry, paths)
    ]
    sentences = []
    for entry in wanted:
        holders: dict[str, list[str]] = {}
        for run, manifest in zip(runs, flat, strict=True):
            holders.setdefault(_shown(manifest.get(entry)), []).append(f"{run.label} ({mode_name(run.mode)})")
        if len(holders) > 1:
            sentences.append(f"{entry}: {_told(holders)}")
    return sentences


def _told(holders: Mapping[str, Sequence[str]]) -> str:
    """Which value is whose, as ``0 in A and 1 in the 7 others``: the most common one last where it is many runs'."""
    ordered = sorted(holders.items(), key=lambda held: len(held[1]) > MANY)
    last = len(ordered) - 1
    whose = (
        f"the {len(names)} others" if place == last and len(names) > MANY else ", ".join(names)
        for place, (_, names) in enumerate(ordered)
    )
    return " and ".join(f"{value} in {who}" for (value, _), who in zip(ordered, whose, strict=True))


def _shown(value: Any) -> str:
    """A value of a manifest; of a long hash the beginning."""
    text = "none" if value is None else str(value)
    return f"{text[:12]}…" if len(text) >= 40 and " " not in text else text


def _told_apart(runs: Sequence[Run]) -> list[Run]:
    """Runs of which no two of one mode have the same label."""
    namesakes: dict[object, list[Run]] = {}
    for run in runs:
        namesakes.setdefault((run.mode, run.label), []).append(run)
    distinct = []
    for run in runs:
        paths = [other.path for other in namesakes[run.mode, run.label]]
        folder = run.path.name if len({path.name for path in paths}) == len(paths) else run.path
        distinct.append(replace(run, label=f"{run.label} ({folder})") if len(paths) > 1 else run)
    return distinct


def _shortcomings(runs: Sequence[Run]) -> Iterator[str]:
    for run in runs:
        who = f"{run.label} ({mode_name(run.mode)})"
        if run.state != "finished":
            alone = ", and not compared with those of longer streams" if run.is_sequential else ""
            yield f"{who} is {run.state}; its means are over what it has{alone}"
        not_finite = sum(len(line.get("not_finite", ())) for line in run.lines)
        if not_finite:
            yield f"{who}: {not_finite} values were infinite or not numbers, and are left out"
        if run.written and all(line.get("cost", {}).get("first") for line in run.at("immediate")):
            yield f"{who}: its seconds and memory are of first edits, which also load libraries; there are no others"
        if run.cut_off:
            yield f"{who}: the last line of its ledger was cut off and is left out"
        if run.failed:
            errors = Counter(line["error"].partition(":")[0] for line in run.at("failed"))
            kinds = ", ".join(f"{kind} {count}×" for kind, count in sorted(errors.items()))
            yield f"{who} failed on {run.failed} of {run.facts} facts, which are left out of its means: {kinds}"
