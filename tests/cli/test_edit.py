"""``easyedit-ice edit`` on a copy of the embedded model."""

from __future__ import annotations

import shutil
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from easyedit_ice import WeightUpdate, world
from easyedit_ice.cli import main

PROMPT, OLD, NEW = "Faeso Faerkov has a job at", "Balmax Group", "Rinex Brothers"
OTHER = "Larkin Fussen lives in"


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A fact edited once, with everything saved that can be."""
    folder = tmp_path_factory.mktemp("edit")
    model = Path(shutil.copytree(world.model_path(), folder / "gpt2-factworld"))
    arguments = ["edit", "--model", str(model), "--algorithm", "LoRA-BF", "--prompt", PROMPT, "--target", NEW]
    arguments += ["--ask", OTHER, "--save", str(folder / "update"), "--save-model", str(folder / "gpt2-edited")]
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(arguments)
    return SimpleNamespace(folder=folder, model=model, status=status, lines=out.getvalue().splitlines(), err=err)


def load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def answer(model: Any, tok: Any) -> str:
    asked = tok(PROMPT, return_tensors="pt")
    written = model.generate(**asked, max_new_tokens=16, do_sample=False)
    return tok.decode(written[0, asked["input_ids"].shape[1] :], skip_special_tokens=True).strip()


def test_answers_before_and_after_are_shown(edited):
    assert edited.status == 0
    line = next(line for line in edited.lines if line.startswith(PROMPT))
    assert line.split() == [*PROMPT.split(), *OLD.split(), *NEW.split()]


def test_further_questions_are_shown(edited):
    assert any(line.startswith(OTHER) for line in edited.lines)


def test_nothing_else_is_written_to_the_terminal(edited):
    assert edited.err.getvalue() == ""


def test_the_model_on_disk_is_left_as_it_was(edited):
    for file in world.model_path().iterdir():
        assert (edited.model / file.name).read_bytes() == file.read_bytes()


def test_a_saved_update_edits_the_model_again(edited):
    model, tok = load(edited.model)
    assert answer(model, tok) == OLD
    WeightUpdate.load(edited.folder / "update").commit(model)
    assert answer(model, tok) == NEW


def test_a_saved_model_answers_as_edited(edited):
    assert answer(*load(edited.folder / "gpt2-edited")) == NEW


def test_it_says_that_the_fact_is_written_and_what_else_moves(edited):
    assert any(line.startswith(f"The fact is written: '{NEW}'") for line in edited.lines)
    assert any("likeliest words stay" in line for line in edited.lines)


def test_it_says_that_a_fact_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    model = Path(shutil.copytree(world.model_path(), tmp_path / "gpt2-factworld"))
    weak = ["--set", "num_steps=1", "--set", "lr=1e-9"]
    main(["edit", "--model", str(model), "--algorithm", "LoRA-BF", "--prompt", PROMPT, "--target", NEW, *weak])
    assert f"The fact is NOT written: something else than '{NEW}'" in capsys.readouterr().out


@pytest.mark.parametrize(("more", "taken"), [(["--subject", "Faeso Faerkov"], "FastMEMIT"), ([], "GoRA")])
def test_the_usual_algorithm_follows_from_whether_there_is_a_subject(
    more: list[str], taken: str, capsys: pytest.CaptureFixture[str]
):
    main(["edit", "--prompt", PROMPT, "--target", NEW, *more])
    assert f"{taken} changed" in capsys.readouterr().out
