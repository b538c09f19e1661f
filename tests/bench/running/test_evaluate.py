"""Edited models asked without editing."""

import json

import pytest

from easyedit_ice import ALGORITHMS, EditHyperParams, WeightUpdate, factworld, load_model, solve
from easyedit_ice.bench.config import DataConfig, EvaluationConfig
from easyedit_ice.bench.running.checkpoint import load_checkpoint
from easyedit_ice.bench.running.evaluate import evaluate_checkpoint
from easyedit_ice.cli import main
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.errors import LoadingError

BASE = "gpt2-factworld"


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    """An update of two facts, saved in every form there is."""
    folder = tmp_path_factory.mktemp("edited")
    hparams = ALGORITHMS["LoRA-BF"].hparams_class.from_hparams(f"LoRA-BF/{BASE}", model_name=BASE, num_steps=40)
    model, tok = load_model(hparams)
    update = solve(model, tok, to_requests(load_records("factworld", size=2)), hparams)
    update.save(folder / "update")
    update.to_peft(model, folder / "adapter")
    update.to_hf(model, tok, folder / "gpt2-edited")
    return folder


@pytest.mark.parametrize(("name", "kind"), [("update", "update"), ("adapter", "adapter"), ("gpt2-edited", "model")])
def test_every_form_of_an_edit_gives_the_same_scores_and_they_are_the_edits(edited, name, kind):
    found = evaluate_checkpoint(edited / name, DataConfig(size=2), EvaluationConfig(), base=BASE, device="cpu")
    whole = evaluate_checkpoint(edited / "update", DataConfig(size=2), EvaluationConfig(), base=BASE, device="cpu")

    assert found["checkpoint"]["kind"] == kind
    assert [line["scores"] for line in found["facts"]] == [line["scores"] for line in whole["facts"]]
    assert found["summary"]["teacher_forced"]["rewrite"]["mean"] == 1.0
    assert found["summary"]["teacher_forced"]["locality"]["mean"] > 0.5


def test_without_the_unedited_model_locality_is_scored_by_probabilities_alone(edited):
    found = evaluate_checkpoint(edited / "gpt2-edited", DataConfig(size=2), EvaluationConfig(), device="cpu")

    assert "locality" not in found["summary"]["teacher_forced"]
    assert "locality" in found["summary"]["probability"]
    assert found["summary"]["generated"]["rewrite"]["mean"] == 1.0


def test_any_model_can_be_evaluated_an_unedited_one_too(tmp_path, capsys):
    out = tmp_path / "e.json"

    assert main(["eval", "--checkpoint", str(factworld.model_path()), "--size", "3", "--out", str(out)]) == 0

    found = json.loads(out.read_text())
    assert found["data"]["facts"] == 3
    assert found["base"] is None
    assert "rewrite" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["update", "adapter"])
def test_a_change_without_its_model_is_refused(edited, name):
    with pytest.raises(LoadingError, match="--model") as refused:
        load_checkpoint(edited / name, None)
    assert (str(BASE) in str(refused.value)) == (name == "update")


def test_a_folder_of_nothing_is_refused_with_what_was_looked_for(tmp_path):
    with pytest.raises(LoadingError, match=r"config\.json.*update\.json.*adapter_config\.json"):
        load_checkpoint(tmp_path, BASE)


PROBED = ("choice", "negation")


def test_a_saved_update_is_asked_the_probes_beside_what_the_unedited_model_can_answer(edited, tmp_path, capsys):
    typed = ["--model", BASE, "--size", "2", "--teacher-forced-only", "--probes", ",".join(PROBED)]

    assert main(["eval", "--checkpoint", str(edited / "update"), *typed, "--out", str(tmp_path / "e.json")]) == 0

    found = json.loads((tmp_path / "e.json").read_text())["probes"]
    assert list(found) == ["edited", "unedited", "unedited, told", "unedited, of old facts"]
    assert all(list(own) == list(PROBED) for own in found.values())
    assert [own["choice"]["mean"] for own in found.values()] == [1, 0, 1, 1]
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["choice", "100.0", "0.0", "100.0", "100.0", "25"] in rows


def test_a_book_is_asked_with_the_edits_that_are_on_and_names_its_base_itself(edited, tmp_path):
    from easyedit_ice.book import EditBook

    book = EditBook.create(tmp_path / "book", load_model(EditHyperParams(model_name=BASE))[0], name=BASE)
    book.add("both", WeightUpdate.load(edited / "update"))
    asked = EvaluationConfig(generate=False, probability=False, probes=["choice"])

    found = evaluate_checkpoint(tmp_path / "book", DataConfig(size=2), asked)
    whole = evaluate_checkpoint(edited / "update", DataConfig(size=2), asked, base=BASE)
    book.switch("both", on=False)
    without = evaluate_checkpoint(tmp_path / "book", DataConfig(size=2), asked)

    assert (found["checkpoint"]["kind"], found["base"]) == ("book", BASE)
    assert found["facts"] == whole["facts"]
    assert found["probes"]["edited"]["choice"]["mean"] == 1
    assert without["probes"]["edited"]["choice"]["mean"] == 0


def test_an_unknown_probe_is_refused_before_any_model_is_loaded(edited, tmp_path, capsys):
    typed = ["--probes", "choise", "--out", str(tmp_path / "e.json"), "--model", "/nowhere"]

    assert main(["eval", "--checkpoint", str(edited / "update"), *typed]) == 2

    assert "Did you mean 'choice'?" in capsys.readouterr().err
