"""``easyedit-ice edit`` on a copy of the embedded model."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from easyedit_ice import LoraHyperParams, WeightUpdate, factworld
from easyedit_ice.cli import main

SUBJECT = "Faeso Faerkov"
PROMPT, OLD, NEW = "Faeso Faerkov has a job at", "Balmax Group", "Rinex Brothers"
OTHER = "Larkin Fussen lives in"


@pytest.fixture(autouse=True, scope="module")
def _wide_terminal():
    """Nothing is wrapped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "1000")
        yield


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory, _wide_terminal: None) -> SimpleNamespace:
    """A fact edited once, with everything saved that can be."""
    folder = tmp_path_factory.mktemp("edit")
    model = Path(shutil.copytree(factworld.model_path(), folder / "gpt2-factworld"))
    arguments = ["edit", "--model", str(model), "--algorithm", "LoRA-BF", "--prompt", PROMPT, "--target", NEW]
    arguments += ["--subject", SUBJECT, "--rephrase", "Faeso Faerkov works for"]
    arguments += ["--ask", OTHER, "--save", str(folder / "update"), "--save-model", str(folder / "gpt2-edited")]
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(arguments)
    return SimpleNamespace(
        folder=folder, model=model, status=status, text=out.getvalue(), lines=out.getvalue().splitlines(), err=err
    )


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
    assert line.split()[:-4] == [*PROMPT.split(), *OLD.split(), *NEW.split(), "written"]


def test_further_questions_are_shown(edited):
    assert any(line.startswith(OTHER) for line in edited.lines)


def test_nothing_else_is_written_to_the_terminal(edited):
    assert edited.err.getvalue() == ""


def test_the_model_on_disk_is_left_as_it_was(edited):
    for file in factworld.model_path().iterdir():
        assert (edited.model / file.name).read_bytes() == file.read_bytes()


def test_a_saved_update_edits_the_model_again(edited):
    model, tok = load(edited.model)
    assert answer(model, tok) == OLD
    WeightUpdate.load(edited.folder / "update").commit(model)
    assert answer(model, tok) == NEW


def test_a_saved_model_answers_as_edited(edited):
    assert answer(*load(edited.folder / "gpt2-edited")) == NEW


def test_the_verdict_says_what_holds_and_what_moved(edited):
    found = " ".join(edited.text.split())
    assert "written 1 of 1 fact after other openings" in found
    assert "in your other wordings 1 of 1 neighbours moved" in found
    assert "likeliest words kept" in found
    assert sum(line.rstrip().endswith(("neighbour: kept", "neighbour: MOVED")) for line in edited.lines) == 5


def test_an_edit_that_moves_neighbours_is_warned_of_with_the_setting_to_turn(edited):
    assert "WARNING: " in edited.text and "neighbours have another answer" in edited.text
    assert LoraHyperParams.gentler in edited.text


def test_seconds_stand_beside_the_threads(edited):
    assert re.search(r"LoRA-BF changed 6 weights in [\d.]+ s; .* \(1 thread of the CPU", edited.text)


def test_how_the_algorithm_was_chosen_is_saved_with_the_update(edited):
    chosen = WeightUpdate.load(edited.folder / "update").info["chosen"]
    assert chosen == {"algorithm": "LoRA-BF", "settings": "LoRA-BF/gpt2-factworld", "by": "user"}


FACT = ["--prompt", PROMPT, "--target", NEW, "--subject", SUBJECT]
WEAK = ["--algorithm", "LoRA-BF", "--set", "num_steps=1", "--set", "lr=1e-9"]


def test_a_fact_that_does_not_take_is_status_3_and_nothing_is_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    update = tmp_path / "update"
    assert main(["edit", *FACT, *WEAK, "--save", str(update)]) == 3
    out = capsys.readouterr().out
    assert "NOT written" in out and "Nothing is saved" in out
    assert f"Next: The fact is not written: with LoRA-BF, {LoraHyperParams.stronger}" in out
    assert list(tmp_path.iterdir()) == []
    assert main(["edit", *FACT, *WEAK, "--save", str(update), "--force"]) == 0
    assert WeightUpdate.load(update).deltas


def test_json_is_one_object_and_all_of_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    update = str(tmp_path / "update")
    assert main(["edit", *FACT, "--json", "--ask", OTHER, "--save", update]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["status"], found["took"], found["threads"], found["saved"]) == (0, True, 1, [update])
    assert found["verdict"]["facts"][0]["after"] == NEW
    assert found["answers"] == [{"prompt": OTHER, "before": "Quouthburg", "after": "Quouthburg"}]
    assert found["chosen"]["by"] == "auto" and found["chosen"]["doc"] == "docs/real_models.md"


@pytest.mark.parametrize(
    ("more", "taken", "quick"),
    [
        (["--subject", SUBJECT], "FastMEMIT", []),
        ([], "GoRA", ["--set", "num_steps=1", "--set", "protection=none", "--set", "init=zero"]),
    ],
)
def test_the_usual_algorithm_follows_from_whether_there_is_a_subject(
    more: list[str], taken: str, quick: list[str], capsys: pytest.CaptureFixture[str]
):
    main(["edit", "--prompt", PROMPT, "--target", NEW, *more, *quick])
    out = capsys.readouterr().out
    assert out.startswith(f"{taken} for ") and f"{taken} changed" in out


@pytest.fixture
def facts(tmp_path: Path) -> str:
    path = tmp_path / "facts.csv"
    path.write_text(f"prompt,subject,target\n{PROMPT},{SUBJECT},{NEW}\n{OTHER},Larkin Fussen,Brethdale\n")
    return str(path)


def test_facts_of_a_file_are_edited_together(facts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["edit", "--facts", facts, "--save", str(tmp_path / "update")]) == 0
    out = capsys.readouterr().out
    assert "2 facts, all together." in out and "2 of 2 facts" in out
    assert len(WeightUpdate.load(tmp_path / "update").info["facts"]) == 2


def test_ctrl_c_says_what_is_kept(
    facts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from easyedit_ice.verdict import edit_facts

    solve = edit_facts.solve

    def interrupted(model, tok, facts, hparams):
        if facts[0].prompt == OTHER:
            raise KeyboardInterrupt
        return solve(model, tok, facts, hparams)

    monkeypatch.setattr(edit_facts, "solve", interrupted)
    arguments = ["edit", "--facts", facts, "--one-by-one", "--algorithm", "FastMEMIT"]
    assert main([*arguments, "--save", str(tmp_path / "update")]) == 130
    printed = capsys.readouterr()
    assert "interrupted: 1 of 2 facts were edited" in printed.err and "The update is saved" in printed.out
    assert [prompt for prompt, _ in WeightUpdate.load(tmp_path / "update").info["facts"]] == [PROMPT]

    monkeypatch.setattr(edit_facts, "solve", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["edit", *FACT, "--save", str(tmp_path / "none")]) == 130
    assert "nothing was saved" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--prompt", PROMPT], ["RequestError", "--target missing", "--facts FILE"]),
        (["--facts", "nowhere.csv"], ["DataError", "no such file"]),
        (["--facts", "{taken}", *FACT], ["RequestError", "a fact besides"]),
        ([*FACT, "--save", "{taken}"], ["SaveError", "exists", "--overwrite"]),
        ([*FACT, "--save", "{taken}/deeper"], ["SaveError", "is a file"]),
        ([*FACT, "--save-model", "{model}", "--overwrite"], ["SaveError", "folder of the model"]),
        ([*FACT, "--save-gguf", "{model}/x.gguf"], ["SaveError", "folder of the model"]),
        ([*FACT, "--for", "sped"], ["HyperParamsError", "Jobs: fact"]),
    ],
)
def test_what_would_fail_later_is_refused_before_the_model_is_loaded(
    arguments: list[str],
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("easyedit_ice.checkpoints.loading.load_model", lambda _: pytest.fail("the model is loaded"))
    (tmp_path / "taken").write_text("[]")
    model = Path(shutil.copytree(factworld.model_path(), tmp_path / "gpt2-factworld"))
    given = [text.format(taken=tmp_path / "taken", model=model) for text in arguments]
    assert main(["edit", "--model", str(model), *given]) == 2
    printed = capsys.readouterr()
    assert not printed.out and all(word in printed.err for word in words), printed.err


def test_help_tells_the_exit_status(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["edit", "--help"])
    assert "3 a fact did not take" in " ".join(capsys.readouterr().out.split())


def test_choose_lists_jobs_and_recommends(facts: str, capsys: pytest.CaptureFixture[str]):
    assert main(["choose"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("ICE-LoRA", "QLoRA-BF", "docs/gora.md"))
    assert main(["choose", "--facts", facts, "--stream", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["algorithm"] == "GoRA"


@pytest.mark.real
@pytest.mark.slow
def test_a_fact_of_a_real_model_is_written_and_its_neighbours_stay(smollm2: str, capsys: pytest.CaptureFixture[str]):
    prompt, subject = "The mother tongue of Danielle Darrieux is", "Danielle Darrieux"
    few = ["--set", "dynamic_multiplier=1"]
    fact = ["--prompt", prompt, "--subject", subject, "--target", "English"]
    assert main(["edit", "--model", smollm2, *fact, *few, "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)["verdict"]
    assert verdict["facts"][0]["before"] == "French" and verdict["facts"][0]["after"] == "English"
    assert len(verdict["facts"][0]["neighbours"]) == 5 and verdict["warnings"] == []
