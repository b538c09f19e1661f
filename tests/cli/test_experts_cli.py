"""The commands that train, list, show, delete and ask experts, and those of decompositions."""

from __future__ import annotations

import json

import pytest

from easyedit_ice.cli import main
from easyedit_ice.data import load_records
from easyedit_ice.experts import Library

QUICK = ["optimizer=adamw", "lr=2e-2", "num_steps=60", "layers=[0,1,2,3,4]"]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrapped."""
    monkeypatch.setenv("COLUMNS", "1000")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Experts of two facts of different relations."""
    folder = tmp_path_factory.mktemp("experts")
    facts = _facts()
    (folder / "facts.json").write_text(json.dumps(facts))
    settings = [part for setting in QUICK for part in ("--set", setting)]
    assert main(["experts", "train", str(folder / "library"), "--data", str(folder / "facts.json"), *settings]) == 0
    return folder / "library"


def _facts():
    records = load_records("factworld", split="dev").records
    return [next(record for record in records if record["relation"] == kind) for kind in ("employer", "residence")]


def refusal(arguments, capsys):
    """What stands on stderr after a command that the user can mend."""
    capsys.readouterr()
    assert main(arguments) == 2
    return capsys.readouterr().err


def test_trained_experts_are_listed(folder, capsys):
    assert main(["experts", "list", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["expert", "facts", "projections", "numbers", "KiB", "base"]
    assert [line.split()[:4] for line in lines[2:4]] == [["employer", "1", "5", "960"], ["residence", "1", "5", "960"]]


def test_an_expert_is_shown_with_its_facts(folder, capsys):
    assert main(["experts", "show", str(folder), "employer"]) == 0
    shown = capsys.readouterr().out
    assert _facts()[0]["prompt"] in shown and "numbers 960" in shown
    assert main(["experts", "show", str(folder), "employer", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["facts"][0]["relation"] == "employer"
    assert about["settings"]["num_steps"] == 60


def test_a_model_answers_with_fixed_alphas(folder, capsys):
    fact = _facts()[0]
    ask = ["experts", "ask", str(folder), "--prompt", fact["prompt"], "--strategy", "fixed", "--alpha", "employer=1"]
    assert main(ask) == 0
    row = capsys.readouterr().out.splitlines()[2]
    assert row.endswith(fact["target_new"])
    assert "employer 1.00" in row and fact["ground_truth"][0] in row


def test_a_prompt_that_no_expert_is_sure_of_is_answered_by_the_base(folder, capsys):
    fact = _facts()[0]
    ask = ["experts", "ask", str(folder), "--prompt", fact["prompt"], "--template", "{question} Topic:"]
    assert main([*ask, "--margin", "100"]) == 0
    prompt, used, base, answer = (cell.strip() for cell in capsys.readouterr().out.splitlines()[2].split("  ") if cell)
    assert (prompt, used, base) == (fact["prompt"], "base", answer)


def test_a_classifier_is_an_expert_that_does_not_answer(folder, capsys):
    ask = ["experts", "ask", str(folder), "--prompt", "x", "--strategy", "classifier"]
    assert "give both" in refusal(ask, capsys)
    assert "no expert 'clasifier'" in refusal([*ask, "--classifier", "clasifier"], capsys)
    assert main([*ask, "--classifier", "residence"]) == 0
    assert "residence" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--strategy", "fixed", "--alpha", "employer"], "write NAME=VALUE"),
        (["--strategy", "fixed", "--alpha", "employer=much"], "'much'; expected a number"),
        (["--label", "nobody=x"], "no expert nobody to label"),
        (["--use", "employr"], "Did you mean 'employer'"),
    ],
)
def test_what_does_not_fit_is_refused(folder, arguments, why, capsys):
    assert why in refusal(["experts", "ask", str(folder), "--prompt", "x", *arguments], capsys)


def test_an_empty_folder_has_no_experts(tmp_path, capsys):
    assert main(["experts", "list", str(tmp_path)]) == 0
    assert "there are none" in capsys.readouterr().out
    assert "no experts to ask" in refusal(["experts", "ask", str(tmp_path), "--prompt", "x"], capsys)


def test_experts_are_deleted_and_nothing_else_is(tmp_path, folder, capsys):
    library = Library(tmp_path)
    library.save(Library(folder).load())
    (tmp_path / "notes").mkdir()
    assert "no expert 'notes'" in refusal(["experts", "delete", str(tmp_path), "notes"], capsys)
    assert main(["experts", "delete", str(tmp_path), "employer"]) == 0
    assert library.names() == ["residence"]


def test_decompositions_are_listed_and_deleted(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["spectra", "list"]) == 0
    assert "there are none" in capsys.readouterr().out
    prompt = ["--prompt", "x", "--strategy", "fixed", "--alpha", "employer=1"]
    assert main(["experts", "ask", str(folder), *prompt]) == 0
    capsys.readouterr()
    assert main(["spectra", "list"]) == 0
    assert capsys.readouterr().out.count("mlp.c_proj") == 5
    [file, *_] = (tmp_path / "easyedit_ice" / "spectra").iterdir()
    file.write_bytes(b"damaged")
    assert "easyedit-ice internals spectra clear" in refusal(["spectra", "list"], capsys)
    assert main(["spectra", "clear"]) == 0
    assert "deleted 5 files" in capsys.readouterr().out
