"""How far work has come."""

from __future__ import annotations

import logging

import pytest

from easyedit_ice.runtime import progress
from easyedit_ice.runtime.threads import threads

logger = logging.getLogger(__name__)


def test_whoever_is_told_gets_lines_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    lines: list[str] = []
    with progress.told(lines.append), progress.progress(logger, "editing", 4, "epoch") as advance:
        advance(1)
        advance(3)
    assert lines[0].startswith("editing: 1 of 4 epochs, about 0 s left")
    assert lines[1] == "editing: 4 of 4 epochs"
    with progress.progress(logger, "editing", 4, "epoch") as advance:
        advance(1)
    assert len(lines) == 2


def test_lines_come_now_and_then_only() -> None:
    lines: list[str] = []
    with progress.told(lines.append):
        assert list(progress.steps(logger, "editing", 100, "epoch")) == list(range(100))
    assert lines == []


def test_torch_has_its_threads_again_afterwards() -> None:
    import torch

    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise RuntimeError
    assert torch.get_num_threads() == before


def test_whoever_wants_lines_more_often_gets_them() -> None:
    lines: list[str] = []
    with progress.told(lines.append, every=0.0), progress.progress(logger, "editing", 2, "epoch") as advance:
        advance(1)
        advance(1)
    assert [line[:19] for line in lines] == ["editing: 1 of 2 epo", "editing: 2 of 2 epo"]
