"""``easyedit-ice abilities``: which models are scored, and what is printed of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from easyedit_ice import EditBook, WeightUpdate, factworld
from easyedit_ice.cli import main
from easyedit_ice.edit.delta import DenseDelta
from easyedit_ice.evaluation import abilities as package
from easyedit_ice.evaluation.abilities import Ability

NAME = "transformer.h.2.mlp.c_proj"
WORLD = str(factworld.model_path())


class Sums:
    """Scores a model by the sum of one weight, in place of lm-eval."""

    def __init__(self, names: list[str], limit: int | None, **_: Any) -> None:
        self.names, self.limit = names, limit

    def measure(self, model: Any, tok: Any) -> tuple[Ability, ...]:
        value = round(model.get_submodule(NAME).weight.sum().item(), 3)
        return tuple(Ability(name, "sum", value, True) for name in self.names)


@pytest.fixture
def sums(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(package, "Tasks", Sums)
    return Sums(["one"], None).measure(*factworld.load())[0].value


@pytest.fixture
def update() -> WeightUpdate:
    model, _ = factworld.load()
    weight = model.get_submodule(NAME).weight
    return WeightUpdate({NAME: DenseDelta(torch.full(weight.T.shape, 1 / weight.numel()))})


def test_a_model_alone_has_its_scores(sums: float, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["abilities", "--model", WORLD, "--tasks", "one", "other", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["edited"] is None
    assert [(own["task"], own["value"]) for own in found["unedited"]] == [("one", sums), ("other", sums)]
    assert main(["abilities", "--model", WORLD, "--tasks", "one"]) == 0
    assert "one sum ↑" in capsys.readouterr().out


def test_an_edit_book_is_scored_without_and_with_its_edits(
    sums: float, update: WeightUpdate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, _ = factworld.load()
    EditBook.create(tmp_path / "book", model, name=WORLD).add("one", update, check_base=False)
    assert main(["abilities", str(tmp_path / "book"), "--tasks", "one", "--other-base", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unedited"][0]["value"] == sums
    assert found["edited"][0]["value"] == pytest.approx(sums + 1, abs=0.01)
    assert main(["abilities", str(tmp_path / "book"), "--tasks", "one", "--other-base"]) == 0
    assert "+1.0" in capsys.readouterr().out


def test_an_update_is_put_on_the_model_that_is_named(
    sums: float, update: WeightUpdate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    update.save(tmp_path / "update")
    assert main(["abilities", str(tmp_path / "update"), "--model", WORLD, "--tasks", "one", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["edited"][0]["value"] == pytest.approx(found["unedited"][0]["value"] + 1, abs=0.01)


def test_the_worlds_tasks_are_written_for_lm_evals_own_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["abilities", "--write-tasks", str(tmp_path / "tasks")]) == 0
    assert "--include_path" in capsys.readouterr().out
    definition = json.loads((tmp_path / "tasks" / "factworld_choice.yaml").read_text())
    assert Path(definition["dataset_kwargs"]["data_files"]["test"]) == tmp_path / "tasks" / "factworld_choice.jsonl"


def test_what_lacks_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["abilities", "--tasks", "one"]) == 2
    assert main(["abilities", "--model", WORLD]) == 2
    assert capsys.readouterr().err.count("RunConfigError: give a model and what to score it in") == 2
