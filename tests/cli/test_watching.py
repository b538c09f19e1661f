"""What stands on stderr while a command works."""

from __future__ import annotations

import logging
import re
import sys
import time
from contextlib import redirect_stderr
from io import StringIO

import pytest

from easyedit_ice.cli.console import working
from easyedit_ice.cli.watching import watching
from easyedit_ice.runtime import progress
from easyedit_ice.runtime.progress import steps, waiting

logger = logging.getLogger(__name__)
COLOUR = re.compile(r"\x1b\[[0-9;]*[1-9][0-9;]*m")


class Terminal(StringIO):
    """What a terminal is sent."""

    def isatty(self) -> bool:
        """It is one."""
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Shows colours, and is 120 columns wide."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


def _work() -> None:
    """Of two phases, one within the other, and long enough to be drawn."""
    with waiting("loading tiny"):
        pass
    for step in steps(logger, "facts", 3, "fact"):
        if step == 2:
            _drawn()


def _drawn() -> None:
    time.sleep(0.4)


def test_a_terminal_shows_a_bar_with_what_is_done_and_the_time_left(terminal: Terminal) -> None:
    with redirect_stderr(terminal), watching():
        _work()
    shown = terminal.getvalue()
    assert "facts" in shown and "2 of 3 facts" in shown and "left" in shown and COLOUR.search(shown)


def test_bars_are_gone_when_the_work_is_done(terminal: Terminal) -> None:
    with redirect_stderr(terminal), watching():
        _work()
    assert terminal.getvalue().rstrip().endswith(("\x1b[2K", "\x1b[?25h"))


def test_no_color_leaves_bars_without_colour(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with redirect_stderr(terminal), watching():
        _work()
    shown = terminal.getvalue()
    assert "2 of 3 facts" in shown and not re.search(r"\x1b\[[0-9;]*3[0-9]", shown)


def test_a_dumb_terminal_gets_lines(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with redirect_stderr(terminal), watching():
        _work()
    assert terminal.getvalue().splitlines()[0].startswith("facts: 1 of 3 facts, about")


def test_what_is_no_terminal_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.3)
    with watching():
        for step in steps(logger, "facts", 4, "fact"):
            if step == 1:
                _drawn()
    assert [line[:19] for line in capsys.readouterr().err.splitlines()] == ["facts: 2 of 4 facts"]


@pytest.mark.parametrize("kind", ["terminal", "file"])
def test_nothing_is_shown_where_nothing_is_wanted(
    kind: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    if kind == "file":
        monkeypatch.setattr(Terminal, "isatty", lambda self: False)
    with redirect_stderr(terminal), watching(False):
        _work()
    assert terminal.getvalue() == "" and capsys.readouterr().out == ""


def test_chatter_of_libraries_stays_off_the_bars(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    with redirect_stderr(terminal), working():
        print("chatter")
        print("Loading weights: 100%", file=sys.stderr)
        _work()
    assert "2 of 3 facts" in terminal.getvalue()
    assert "Loading weights" not in terminal.getvalue() and capsys.readouterr().out == ""
