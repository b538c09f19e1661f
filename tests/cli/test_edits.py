"""``easyedit-ice edits`` on the embedded model, as a user works with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from easyedit_ice import EditBook, WeightUpdate, factworld
from easyedit_ice.cli import main

FACTS = (
    {"prompt": "Faeso Faerkov has a job at", "subject": "Faeso Faerkov", "target_new": "Rinex Brothers"},
    {"prompt": "The tongue spoken in Plumland is", "subject": "Plumland", "target_new": "Pusese"},
)
OLD = ("Balmax Group", "Flandese")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book of two facts, ``job-1`` and ``job-2``."""
    folder = tmp_path_factory.mktemp("edits")
    (folder / "facts.json").write_text(json.dumps(FACTS), encoding="utf-8")
    arguments = ["--facts", str(folder / "facts.json"), "--each", "--algorithm", "FastMEMIT"]
    assert main(["edits", "add", str(folder / "book"), "job", *arguments]) == 0
    return folder


@pytest.fixture
def edits(made: Path, capsys: pytest.CaptureFixture[str]):
    """Runs an action on the book; its status, and what it printed."""
    EditBook.open(made / "book").switch(None, True)

    def run(action: str, *arguments: object) -> tuple[int, str]:
        status = main(["edits", action, str(made / "book"), *map(str, arguments)])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


def test_the_edits_are_listed_with_whether_they_took(edits):
    status, text = edits("list")
    lines = text.splitlines()
    assert status == 0
    assert lines[2].split() == ["job-1", "on", "FastMEMIT", "1", "yes", "0", lines[2].split()[-1]]
    assert lines[3].split()[:6] == ["job-2", "on", "FastMEMIT", "1", "yes", "1"]
    assert "base: gpt2-factworld (xxh3:" in text
    assert [edit["name"] for edit in json.loads(edits("list", "--json")[1])] == ["job-1", "job-2"]


def test_an_edit_is_shown_with_its_fact_and_its_verdict(edits):
    status, text = edits("show", "job-1")
    assert status == 0
    for part in (*FACTS[0].values(), "FastMEMIT", "1 of 1 fact", "nothing else"):
        assert part in text


def test_undoing_is_kept_and_answers_follow(edits, made):
    status, text = edits("undo", "job-1")
    assert status == 0
    assert "on: job-2\noff: job-1\n" in text
    assert "solved with job-1 in the model, and kept as it is without: job-2" in text
    assert EditBook.open(made / "book").on == ("job-2",)
    asked = [part for fact in FACTS for part in ("--ask", fact["prompt"])]
    rows = edits("ask", *asked)[1].splitlines()
    assert rows[2].endswith(f"{OLD[0]}  {OLD[0]}")
    assert rows[3].split()[-2:] == [OLD[1], FACTS[1]["target_new"]]


def test_any_subset_can_be_asked(edits):
    rows = edits("ask", "--only", "job-1")[1].splitlines()
    assert rows[0].split() == ["prompt", "before", "with", "job-1"]
    assert rows[2].split() == [*FACTS[0]["prompt"].split(), *OLD[0].split(), *FACTS[0]["target_new"].split()]


def test_a_model_an_adapter_and_nothing_twice(edits, made):
    status, text = edits("export", "--without", "job-2", "--peft", made / "adapter")
    assert (status, text) == (0, f"An adapter of 1 edit is in {made / 'adapter'}\n")
    status, text = edits("export", "--peft", made / "adapter")
    assert status == 2
    assert "ExistsError" in text
    edits("undo", "job-2")
    status, text = edits("apply", "job-2", "--save-model", made / "model")
    assert status == 0
    assert "on: job-1, job-2" in text
    assert (made / "model" / "README.md").is_file()


def test_a_contradiction_is_told_and_not_applied(edits, made):
    book = EditBook.open(made / "book")
    update = book["job-1"].update
    told = {"requests": [FACTS[0] | {"target_new": "Balmax Group"}]}
    WeightUpdate(update.deltas, dict(update.info) | told).save(made / "other")
    status, text = edits("add", "other", "--update", made / "other")
    assert status == 0
    assert "contradiction: job-1 and other" in text
    status, text = edits("conflicts")
    assert status == 1
    assert "contradiction" in text
    assert "overlap" in text
    for action, more in (("apply", ()), ("ask", ()), ("export", ("--hf", made / "both"))):
        status, text = edits(action, *more)
        assert status == 2
        assert "BookConflictError: job-1 and other" in text
        assert "--allow-conflicts" in text
    assert not (made / "both").exists()
    assert "writes 100% as much" in edits("diff", "job-1", "other")[1]
    status, text = edits("remove", "other")
    assert "removed other; 2 edits left" in text
    assert edits("conflicts") == (0, "there are no conflicts\n")


def test_an_update_of_another_base_is_refused_with_both_named(edits, made):
    update = EditBook.open(made / "book")["job-1"].update
    other = dict(update.info) | {"base": update.info["base"] | {"name": "elsewhere", "fingerprint": "xxh3:0"}}
    WeightUpdate(update.deltas, other).save(made / "elsewhere")
    status, text = edits("add", "other", "--update", made / "elsewhere")
    assert status == 2
    assert "OtherBaseError" in text
    assert "elsewhere (xxh3:0)" in text
    assert "gpt2-factworld (xxh3:" in text
    assert "--other-base" in text
    data = ["--data", "factworld", "--size", "1", "--teacher-forced-only", "--out", str(made / "eval.json")]
    scored = ["eval", "--checkpoint", str(made / "elsewhere"), "--model", str(factworld.model_path()), *data]
    assert main(scored) == 2
    assert main([*scored, "--other-base"]) == 0


def test_what_was_solved_with_a_removed_edit_is_solved_anew_if_wanted(edits, made):
    import shutil

    copy = shutil.copytree(made / "book", made / "copy")
    kept = EditBook.open(copy)["job-2"].key
    assert main(["edits", "remove", str(copy), "job-1"]) == 0
    assert EditBook.open(copy)["job-2"].key == kept
    assert main(["edits", "remove", str(copy), "--replay"]) == 0
    book = EditBook.open(copy)
    assert (book.names, book.stale) == (("job-2",), ())
    assert book["job-2"].key != kept


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "BOOK", "x"], "give one of --update FOLDER, --facts FILE"),
        (["export", "BOOK"], "give --hf FOLDER"),
        (["show", "BOOK", "job1"], "Did you mean 'job-1'?"),
        (["list", "nowhere"], "holds no edit book"),
        (["apply", "BOOK", "--save-model", "BOOK/x"], "lie in one another"),
    ],
)
def test_wrong_commands_say_what_to_do(made, capsys, arguments, words):
    assert main(["edits", *(own.replace("BOOK", str(made / "book")) for own in arguments)]) == 2
    assert words in capsys.readouterr().err
