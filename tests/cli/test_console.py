"""What the commands print with."""

from __future__ import annotations

import logging
import sys
import warnings

import pytest

from easyedit_ice.cli.console import quiet, table


def test_columns_line_up_and_numbers_stand_to_the_right(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert table(("what", "score"), [("one", "5.0"), ("three", "12.5")]).splitlines() == [
        "what   score",
        "-----  -----",
        "one      5.0",
        "three   12.5",
    ]


def test_a_narrow_terminal_wraps_the_widest_column_and_loses_no_word(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    words = "a long explanation that does not fit on one line of a narrow terminal"
    lines = table(("name", "meaning"), [("rank", words), ("lr", "short")]).splitlines()
    assert max(map(len, lines)) <= 40
    assert " ".join(" ".join(lines[2:]).split()) == f"rank {words} lr short"


def test_quiet_keeps_chatter_off_the_terminal(capsys):
    with quiet():
        print("chatter")
        print("0it [00:00]", file=sys.stderr)
        warnings.warn("old", stacklevel=1)
        logging.getLogger("transformers").warning("we recommend")
    assert capsys.readouterr() == ("", "")


def test_quiet_ends_with_an_error_too(capsys):
    before = logging.root.manager.disable
    with pytest.raises(ZeroDivisionError), quiet():
        _ = 1 / 0
    print("heard")
    assert logging.root.manager.disable == before
    assert capsys.readouterr().out == "heard\n"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed goes to a terminal, 60 columns wide."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


VERDICT = (
    ("asked", "verdict"),
    [("The capital of France is", "NOT written (5.00 nats a token)"), ("日本", "[b]kept[/b]")],
)


def test_on_a_terminal_what_is_amiss_is_red_and_no_text_is_markup(terminal):
    shown = table(*VERDICT)
    assert "\x1b[31mNOT written" in shown
    assert "[b]kept[/b]" in shown


def test_no_color_takes_the_colours_away(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    shown = table(*VERDICT)
    assert "\x1b[31m" not in shown
    assert "NOT written (5.00 nats a token)" in shown


def test_elsewhere_and_on_a_dumb_terminal_a_table_is_plain(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in table(*VERDICT)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert "\x1b" not in table(*VERDICT)
