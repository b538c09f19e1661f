import logging
import warnings

import pytest

from easyedit_ice.bench.telemetry.logs import LOG, logging_to

OURS, THEIRS = logging.getLogger("easyedit_ice.bench.running.one_run"), logging.getLogger("other.library")


def say_everything():
    OURS.info("our news")
    logging.getLogger("easyedit_ice.data.load").info("our detail")
    logging.getLogger("easyedit_ice.data.load").warning("our warning")
    THEIRS.warning("their warning")
    THEIRS.error("their error")
    warnings.warn(" ".join(["a", "python", "warning"]), stacklevel=1)
    print("said aloud")


@pytest.mark.parametrize(
    ("verbosity", "shown", "hidden"),
    [
        ("quiet", ["their error"], ["our news", "our warning", "their warning", "said aloud"]),
        (
            "normal",
            ["our news", "our warning", "their error"],
            ["our detail", "their warning", "a python warning", "said aloud"],
        ),
        ("verbose", ["our news", "our detail", "their warning", "a python warning", "said aloud"], []),
    ],
)
def test_the_terminal_shows_what_was_asked_for_and_the_file_has_everything(verbosity, shown, hidden, tmp_path, capsys):
    with logging_to(tmp_path, verbosity):
        say_everything()

    printed = capsys.readouterr()
    assert not printed.out
    assert all(printed.err.count(text) == 1 for text in shown)
    assert not any(text in printed.err for text in hidden)
    logged = (tmp_path / LOG).read_text()
    assert all(logged.count(text) == 1 for text in [*shown, *hidden])


def test_afterwards_logging_is_as_it_was(tmp_path):
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("easyedit_ice").level

    with pytest.raises(ZeroDivisionError), logging_to(tmp_path, "verbose"):
        raise ZeroDivisionError

    assert (root.handlers[:], root.level, logging.getLogger("easyedit_ice").level) == before


def test_a_resumed_run_adds_to_the_log(tmp_path):
    for text in ("first", "second"):
        with logging_to(tmp_path, "quiet"):
            OURS.info(text)

    assert [line.rpartition(" ")[2] for line in (tmp_path / LOG).read_text().splitlines()] == ["first", "second"]
