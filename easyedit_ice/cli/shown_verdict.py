"""A verdict on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from easyedit_ice.cli.console import table

if TYPE_CHECKING:
    from easyedit_ice.verdict.edit_facts import EditOutcome


def show_verdict(edited: EditOutcome, threads: int, seconds: float) -> None:
    """What was asked before and after, the figures, what to mind, and what to try next.

    Args:
        edited: what came of the edit.
        threads: it was computed with.
        seconds: that all of it took, with loading and asking.
    """
    verdict, weights = edited.verdict, len(edited.update.deltas)
    rows = verdict.rows()
    print(f"\n{table(('asked', 'before', 'after', 'verdict'), rows)}")
    if len(verdict.facts) > len(rows) > 1:
        print(f"... and {len(verdict.facts) - len(rows)} more facts, all of them in --json")
    figures = verdict.figures()
    widest = max(len(name) for name, _ in figures)
    print()
    for name, value in figures:
        print(f"{name.ljust(widest)}  {value}")
    for warning in verdict.warnings:
        print(f"\nWARNING: {warning}.")
    for sentence in verdict.advice:
        print(f"\nNext: {sentence}")
    beside = any(delta.beside for delta in edited.update.deltas.values())
    did = (
        f"{'wrote beside' if beside else 'changed'} {weights} {'module' if beside else 'weight'}{'s' * (weights != 1)}"
    )
    used = f"{threads} thread{'s' * (threads != 1)}"
    once = f", and {edited.preparing:.1f} s for what is done once for a model" if edited.preparing >= 1 else ""
    print(
        f"\n{verdict.algorithm} {did} in {edited.seconds:.1f} s{once}; with loading and asking "
        f"{seconds:.1f} s ({used} of the CPU, --threads)."
    )


def show_answers(answers: Sequence[tuple[str, str, str]]) -> None:
    """What was asked besides."""
    if answers:
        print(f"\n{table(('asked', 'before', 'after'), answers)}")
