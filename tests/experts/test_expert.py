"""An expert: made of an update, bound to its base model, saved and loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_experts import BF16, FP32, REQUESTS, expert, update

from easyedit_ice.edit.delta import DenseDelta
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.algorithms.svf import SVFHyperParams
from easyedit_ice.errors import DamagedFileError, ExpertError
from easyedit_ice.experts import Expert
from easyedit_ice.experts.expert import Elements

EACH = pytest.mark.parametrize("shape", [*FP32, *BF16], ids=lambda shape: shape.name)


@EACH
def test_a_saved_expert_changes_the_model_to_the_same_bits(shape, tmp_path):
    model = shape.build()
    made = update(model)
    Expert.of(made, model, "one", REQUESTS, SVFHyperParams()).save(tmp_path / "one")
    loaded = Expert.load(tmp_path / "one").update(shape.build())
    for name, delta in made.deltas.items():
        assert torch.equal(loaded.deltas[name].matrix(), delta.matrix())
        assert torch.equal(loaded.deltas[name].values, delta.values)


def test_a_loaded_expert_has_all_that_was_saved(tmp_path):
    model = FP32[0].build()
    made = Expert.of(
        update(model), model, "one", REQUESTS[:1], SVFHyperParams(lr=0.5), {"rewrite": 1.0}, relations=["capital"]
    )
    made.save(tmp_path / "one")
    loaded = Expert.load(tmp_path / "one")
    assert (loaded.name, loaded.fingerprint, loaded.svd, loaded.svd_rank) == ("one", made.fingerprint, "exact", None)
    assert loaded.facts == made.facts
    assert (loaded.facts[0].relation, loaded.facts[0].target_new) == ("capital", "Lodel")
    assert loaded.settings == SVFHyperParams(lr=0.5).to_dict()
    assert loaded.scores == {"rewrite": 1.0}


@pytest.mark.parametrize(("form", "numbers", "runs"), [("diagonal", 2 * 32, 2 * 1), ("banded", 2 * 94, 2 * 3)])
def test_an_expert_holds_elements_and_never_the_models_directions(form, numbers, runs, tmp_path):
    made = expert(FP32[0].build(), form=form)
    made.save(tmp_path / "one")
    assert made.size.numbers == numbers
    assert made.size.bytes == 4 * numbers + 3 * 4 * runs, "places are kept as runs along diagonals"
    assert (tmp_path / "one" / "expert.safetensors").stat().st_size < made.size.bytes + 2000


@pytest.mark.parametrize(
    "places",
    [([0, 1, 2], [0, 1, 2]), ([1, 2, 0, 1], [0, 1, 1, 2]), ([3, 0, 2], [1, 3, 0]), ([0, 1, 3], [0, 1, 3]), ([2], [5])],
    ids=str,
)
def test_places_anywhere_are_saved_as_they_are(places, tmp_path):
    rows, columns = map(torch.tensor, places)
    made = expert(FP32[0].build())
    own = replace(made, elements={"transformer.h.0.mlp.c_proj": Elements(rows, columns, torch.rand(len(rows)))})
    own.save(tmp_path / "one")
    loaded = Expert.load(tmp_path / "one").elements["transformer.h.0.mlp.c_proj"]
    assert (loaded.rows.tolist(), loaded.columns.tolist()) == places


def test_another_base_is_refused_with_both_fingerprints():
    made, other = expert(FP32[0].build()), FP32[0].build()
    with torch.no_grad():
        other.transformer.h[0].mlp.c_proj.weight[0, 0] += 1e-3
    with pytest.raises(
        ExpertError, match=rf"{made.fingerprint[:16]}.*[0-9a-f]{{16}}.*load the model it was trained on"
    ):
        made.update(other)


def test_a_model_of_another_architecture_is_refused():
    with pytest.raises(ExpertError, match="another architecture"):
        expert(FP32[0].build()).update(FP32[1].build())


def test_an_edited_model_is_still_the_base_it_was():
    model = FP32[0].build()
    first, second = expert(model, seed=0), expert(model, seed=1)
    first.update(model).commit(model)
    assert first.fingerprint == expert(model, seed=2).fingerprint
    expected = second.update(FP32[0].build())
    for name, delta in second.update(model).deltas.items():
        assert torch.equal(delta.matrix(), expected.deltas[name].matrix())


def test_updates_of_other_kinds_are_no_experts():
    model = FP32[0].build()
    name = "transformer.h.0.mlp.c_proj"
    with pytest.raises(ExpertError, match=rf"{name}.*use an SVF update"):
        Expert.of(WeightUpdate({name: DenseDelta(torch.zeros(32, 128))}), model, "one", REQUESTS, SVFHyperParams())


@pytest.mark.parametrize("name", ["", "../one", "a/b", ".hidden", "-x"])
def test_names_that_are_no_folders_are_refused(name):
    with pytest.raises(ExpertError, match="cannot be called"):
        expert(FP32[0].build(), name)


def test_saving_again_replaces_the_expert_as_a_whole(tmp_path):
    model = FP32[0].build()
    expert(model, seed=0).save(tmp_path / "one")
    expert(model, seed=1).save(tmp_path / "one")
    delta = next(iter(Expert.load(tmp_path / "one").update(model).deltas.values()))
    assert torch.equal(delta.values, next(iter(update(model, seed=1).deltas.values())).values)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_an_interrupted_save_leaves_the_expert_that_was_there(tmp_path, monkeypatch):
    model = FP32[0].build()
    expert(model, seed=0).save(tmp_path / "one")
    before = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    rename, calls = Path.rename, []

    def interrupted(path, target):
        calls.append(path.name)
        if path.name == "made":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        expert(model, seed=1).save(tmp_path / "one")
    assert "made" in calls
    assert {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_folder_of_something_else_is_not_written_to(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ExpertError, match="holds no expert"):
        expert(FP32[0].build()).save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def _spoil(folder: Path, how: str) -> None:
    weights, about = folder / "expert.safetensors", folder / "expert.json"
    match how:
        case "no weights":
            weights.unlink()
        case "no notes":
            about.unlink()
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-7])
        case "flipped":
            data = bytearray(weights.read_bytes())
            data[-1] ^= 1
            weights.write_bytes(data)
        case "other notes":
            about.write_text(about.read_text().replace("Lodel", "Brinn"))
        case "not text":
            about.write_bytes(b"\xff\xfe\x00")
        case _:
            weights.write_bytes(b"something else")


@pytest.mark.parametrize("how", ["no weights", "no notes", "cut", "flipped", "other notes", "not text", "foreign"])
def test_a_damaged_expert_is_refused_by_its_path(how, tmp_path):
    expert(FP32[0].build()).save(tmp_path / "one")
    _spoil(tmp_path / "one", how)
    with pytest.raises((ExpertError, DamagedFileError), match="one"):
        Expert.load(tmp_path / "one")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ExpertError, match="holds no expert"):
        Expert.load(tmp_path / "none")
