"""How far a command's work has come: bars with the time left on a terminal, and elsewhere a line now and then.

All of it goes to stderr. Bars are without colour if ``NO_COLOR`` is set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from easyedit_ice.runtime.progress import Phase, Watch, in_minutes, lines, silent, watched

if TYPE_CHECKING:
    from rich.progress import Progress, Task

_A_SECOND = 4
"""How often bars are drawn anew."""


@contextmanager
def watching(shown: bool = True) -> Iterator[None]:
    """Show on stderr how far the phases within have come.

    Args:
        shown: whether at all; not for scripts, such as with ``--json``.
    """
    told = partial(print, file=sys.stderr, flush=True)
    with _bars() if shown and on_a_terminal() else watched(lines(told) if shown else silent):
        yield


def on_a_terminal() -> bool:
    """Whether bars can be drawn."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def _bars() -> Iterator[None]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn
    from rich.text import Text

    class Left(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(_left(task))

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=30), Left())
    bars = Progress(
        *columns,
        console=Console(file=sys.stderr),
        refresh_per_second=_A_SECOND,
        transient=True,
        redirect_stdout=False,
    )
    with bars, watched(_drawn_by(bars)):
        yield


def _drawn_by(bars: Progress) -> Watch:
    @contextmanager
    def watch(phase: Phase) -> Iterator[Callable[[], None]]:
        task = bars.add_task(phase.what, total=phase.total, unit=phase.unit)
        try:
            yield lambda: bars.update(task, completed=phase.done)
        finally:
            bars.remove_task(task)

    return watch


def _left(task: Task) -> str:
    """How much is done, and the time left, or where that cannot be told the time since it began."""
    unit = task.fields["unit"]
    counted = "" if not unit else f"{task.completed:.0f} {unit}s" if task.total is None else _of(task, unit)
    seconds = task.time_remaining
    if seconds is None:
        return f"{counted}  {in_minutes(task.elapsed or 0.0)} so far".strip()
    return f"{counted}  {in_minutes(seconds)} left"


def _of(task: Task, unit: str) -> str:
    return f"{task.completed:.0f} of {task.total:.0f} {unit}s"
