"""Runs put side by side, if they may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from easyedit_ice.bench.report.answers import as_shown
from easyedit_ice.bench.report.runs import Run
from easyedit_ice.bench.report.wording import mode_name, mode_order
from easyedit_ice.errors import IncomparableRunsError

PROTOCOL = ("model.fingerprint", "model.dtype", "data.hash", "evaluation")
"""Entries that all runs of a report must share."""
WITHIN_MODE = ("data.untouched", "data.untouched_hash")
"""Entries that runs of one mode must share besides."""
IRRELEVANT = ("evaluation.answers",)
"""Entries that change no number."""
NOTED = ("host", "versions", "git", "seed", "threads", "model.device", "model.name", "data.source")
"""Entries that may differ; a report says so."""
NOTED_WITHIN_MODE = ("mode.retain_every",)


@dataclass(frozen=True)
class Group:
    """Runs of one mode, which share tables.

    Attributes:
        mode: its name, and how many facts an edit writes.
        runs: in the order in which they were given.
        alike: whether they share the protocol, and so the scores before any edit.
    """

    mode: tuple[str, int]
    runs: tuple[Run, ...]
    alike: bool

    @property
    def name(self) -> str:
        """The mode in words."""
        return mode_name(self.mode)

    @property
    def slug(self) -> str:
        """The mode in names of files."""
        name, size = self.mode
        return name if size == 1 else f"{name}-{size}"


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
        answers: what generated scores are of, as :func:`~easyedit_ice.bench.report.answers.as_shown` takes it.

    Raises:
        RunConfigError: ``answers`` is no such choice, or the runs lack what it asks for.
        IncomparableRunsError: there are none, or they differ in what must be the same; the message lists every such
            entry with its values and their runs.
    """
    if not runs:
        raise IncomparableRunsError("there are no runs to compare; give at least one folder of a run")
    named, shown = as_shown(_told_apart(runs), answers)
    modes = sorted({run.mode for run in named}, key=mode_order)
    by_mode = {mode: [run for run in named if run.mode == mode] for mode in modes}
    differences = _differences(named, PROTOCOL)
    differences += [entry for members in by_mode.values() for entry in _differences(members, WITHIN_MODE)]
    if differences and not anyway:
        raise IncomparableRunsError(
            f"the runs cannot be compared, since they differ in {'; '.join(differences)}. Leave some out, or give "
            "--anyway (anyway=True) to see them side by side all the same"
        )
    groups = tuple(
        Group(mode, tuple(members), not _differences(members, (*PROTOCOL, *WITHIN_MODE)))
        for mode, members in by_mode.items()
    )
    notes = _differences(named, NOTED)
    notes += [note for members in by_mode.values() for note in _differences(members, NOTED_WITHIN_MODE)]
    return Comparison(groups, tuple(differences), (*notes, *_shortcomings(named), *shown))


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
        entry
        for entry in dict.fromkeys(entry for manifest in flat for entry in manifest)
        if entry not in IRRELEVANT and any(entry == path or entry.startswith(f"{path}.") for path in paths)
    ]
    found = []
    for entry in wanted:
        holders: dict[str, list[str]] = {}
        for run, manifest in zip(runs, flat, strict=True):
            holders.setdefault(_shown(manifest.get(entry)), []).append(f"{run.label} ({mode_name(run.mode)})")
        if len(holders) > 1:
            found.append(f"{entry}: " + " and ".join(f"{value} in {', '.join(own)}" for value, own in holders.items()))
    return found


def _shown(value: Any) -> str:
    """A value of a manifest; of a long hash the beginning."""
    text = "none" if value is None else str(value)
    return f"{text[:12]}…" if len(text) >= 40 and " " not in text else text


def _told_apart(runs: Sequence[Run]) -> list[Run]:
    """Runs of which no two of one mode have the same label."""
    namesakes: dict[object, list[Run]] = {}
    for run in runs:
        namesakes.setdefault((run.mode, run.label), []).append(run)
    found = []
    for run in runs:
        paths = [other.path for other in namesakes[run.mode, run.label]]
        folder = run.path.name if len({path.name for path in paths}) == len(paths) else run.path
        found.append(replace(run, label=f"{run.label} ({folder})") if len(paths) > 1 else run)
    return found


def _shortcomings(runs: Sequence[Run]) -> Iterator[str]:
    for run in runs:
        who = f"{run.label} ({mode_name(run.mode)})"
        if run.state != "finished":
            alone = ", and not compared with those of longer streams" if run.is_sequential else ""
            yield f"{who} is {run.state}; its means are over what it has{alone}"
        if run.cut_off:
            yield f"{who}: the last line of its ledger was cut off and is left out"
        if run.failed:
            errors = Counter(line["error"].partition(":")[0] for line in run.at("failed"))
            kinds = ", ".join(f"{kind} {count}×" for kind, count in sorted(errors.items()))
            yield f"{who} failed on {run.failed} of {run.facts} facts, which are left out of its means: {kinds}"
