"""Ctrl-C in the midst of a command: what it says is kept is kept, and all else is as it was."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from easyedit_ice import EditBook, factworld
from easyedit_ice.bench.running.time_left import Pace
from easyedit_ice.bench.storage.ledger import LEDGER
from easyedit_ice.cli import console, main
from easyedit_ice.runtime.progress import Phase, watched

FACTS = (
    {"prompt": "Faeso Faerkov has a job at", "subject": "Faeso Faerkov", "target_new": "Rinex Brothers"},
    {"prompt": "The tongue spoken in Plumland is", "subject": "Plumland", "target_new": "Pusese"},
)


@pytest.fixture
def facts(tmp_path: Path) -> str:
    """A file of two facts."""
    file = tmp_path / "facts.json"
    file.write_text(json.dumps(FACTS), encoding="utf-8")
    return str(file)


@pytest.fixture
def pressed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Has Ctrl-C pressed in the midst of a phase: the so-manyth of those whose line begins like that."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)

    def arrange(what: str, turn: int = 1) -> None:
        left = turn

        @contextmanager
        def watch(phase: Phase) -> Iterator[Callable[[], None]]:
            nonlocal left
            left -= phase.what.startswith(what)

            def moved() -> None:
                if not left and phase.what.startswith(what):
                    signal.raise_signal(signal.SIGINT)

            yield moved

        monkeypatch.setattr(console, "watching", lambda shown=True: watched(watch))

    yield arrange
    signal.signal(signal.SIGINT, usual)


def _bits(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("phase", ["asking the unedited model", "values", "asking the edited model"])
def test_an_edit_of_a_file_of_facts(
    phase: str, facts: str, pressed: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _bits(factworld.model_path())
    pressed(phase)
    kept = [tmp_path / "update", tmp_path / "gpt2-edited"]
    places = ["--save", str(kept[0]), "--save-model", str(kept[1])]
    assert main(["edit", "--facts", facts, "--algorithm", "FastMEMIT", *places]) == 130
    assert capsys.readouterr().err == "interrupted: the model on disk is as it was, and nothing was saved\n"
    assert not any(path.exists() for path in kept) and _bits(factworld.model_path()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["facts.json"]


def test_a_second_edit_for_a_book_leaves_the_first_in_it(
    facts: str, pressed: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = tmp_path / "book"
    pressed("values", 2)
    assert main(["edits", "add", str(book), "job", "--facts", facts, "--each", "--algorithm", "FastMEMIT"]) == 130
    said = capsys.readouterr().err
    assert said == f"interrupted: the book {book} is whole and has job-1; the model on disk is as it was\n"
    assert EditBook.open(book).names == ("job-1",)


def test_no_book_is_left_that_was_made_for_nothing(
    facts: str, pressed: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = tmp_path / "book"
    pressed("values")
    assert main(["edits", "add", str(book), "job", "--facts", facts, "--algorithm", "FastMEMIT"]) == 130
    assert f"{book} holds no book" in capsys.readouterr().err and not book.exists()


def test_a_run_keeps_the_facts_that_were_done_and_goes_on_after_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    move, turns = Pace.move, []

    def interrupted(pace: Pace, count: int, worked: bool) -> None:
        turns.append(worked)
        if len(turns) == 2:
            signal.raise_signal(signal.SIGINT)
        move(pace, count, worked)

    command = ["run", "algorithm=LoRA-BF", "algorithm.hparams.num_steps=2", "data.size=3", "evaluation.known_facts=0"]
    command += ["evaluation.generate=false", "evaluation.probability=false", "out=kept"]
    with monkeypatch.context() as patch:
        patch.setattr(Pace, "move", interrupted)
        assert main(command) == 130
    signal.signal(signal.SIGINT, usual)
    said = capsys.readouterr().err
    assert "interrupted: the facts that were done are kept, and the same command goes on after them" in said
    done = (tmp_path / "kept" / LEDGER).read_text(encoding="utf-8")
    assert done
    assert main(command) == 0
    assert (tmp_path / "kept" / LEDGER).read_text(encoding="utf-8").startswith(done)


def test_a_look_changes_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("easyedit_ice.cli.hparams.run", interrupted)
    assert main(["hparams"]) == 130
    assert capsys.readouterr() == ("", "interrupted: nothing was changed\n")
