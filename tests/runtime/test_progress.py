"""How far work has come."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from easyedit_ice.runtime import progress
from easyedit_ice.runtime.progress import Phase, lines, steps, waiting, watched
from easyedit_ice.runtime.threads import threads

logger = logging.getLogger(__name__)


def test_whoever_watches_gets_lines_with_the_time_left() -> None:
    told: list[str] = []
    with watched(lines(told.append, every=0.0)), progress.progress(logger, "editing", 4, "epoch") as advance:
        advance(1)
        advance(3)
    assert told == ["editing: 1 of 4 epochs, about 0 s left"]
    with progress.progress(logger, "editing", 4, "epoch") as advance:
        advance(1)
    assert len(told) == 1


def test_lines_come_now_and_then_only() -> None:
    told: list[str] = []
    with watched(lines(told.append)):
        assert list(steps(logger, "editing", 100, "epoch")) == list(range(100))
    assert told == []


def test_what_may_take_long_without_a_sign_is_told_when_it_begins() -> None:
    told: list[str] = []
    with watched(lines(told.append)):
        with waiting("loading a folder"):
            assert told == []
        with waiting("asking the hub", aloud=True):
            assert told == ["asking the hub"]


def test_whoever_watches_sees_phases_begin_move_and_end() -> None:
    seen: list[tuple[str, int]] = []

    @contextmanager
    def watch(phase: Phase) -> Iterator[Callable[[], None]]:
        seen.append((f"begin {phase.what}", phase.done))
        yield lambda: seen.append((phase.what, phase.done))
        seen.append((f"end {phase.what}", phase.done))

    with watched(watch), progress.progress(logger, "facts", 2, "fact") as advance:
        advance(1)
        list(steps(logger, "values", 1, "step"))
        advance(1)
    assert seen == [
        *[("begin facts", 0), ("facts", 1), ("begin values", 0), ("values", 1), ("end values", 1), ("facts", 2)],
        ("end facts", 2),
    ]


def test_times_are_told_in_minutes_and_seconds() -> None:
    assert [progress.in_minutes(seconds) for seconds in (0.4, 59, 61.2, 3600)] == [
        *("0 s", "59 s", "1 min 01 s", "60 min 00 s")
    ]


def test_torch_has_its_threads_again_afterwards() -> None:
    import torch

    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise RuntimeError
    assert torch.get_num_threads() == before
