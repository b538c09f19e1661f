"""Conflicts are told before edits are in a model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from easyedit_ice import EditBook, WeightUpdate
from easyedit_ice.book.conflicts import disturbance
from easyedit_ice.edit.base_model import as_info, base_of
from easyedit_ice.edit.delta import DenseDelta, LowRankDelta
from easyedit_ice.edit.gated_delta import ANY_LENGTH, GatedDelta
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import SHAPES


@pytest.fixture
def model() -> torch.nn.Module:
    return SHAPES[0].build()


@pytest.fixture
def book(model: torch.nn.Module, tmp_path: Path) -> EditBook:
    return EditBook.create(tmp_path / "book", model)


def _update(model, reads: list[float], place: int = 0, size: float = 1.0, **info) -> WeightUpdate:
    """Writes a vector where the input points in a direction of the plane of its first two elements."""
    p = ModelAnatomy(model).projections[place]
    a, b = torch.zeros(1, p.in_features), torch.full((p.out_features, 1), size)
    a[0, :2] = torch.tensor(reads)
    return WeightUpdate({p.name: LowRankDelta(a, b)}, {"base": as_info(base_of(model)), **info})


def _fact(target: str, prompt: str = "Avaria has its capital in", **more: str) -> dict:
    return {"requests": [{"prompt": prompt, "target_new": target, **more}]}


def _kinds(book: EditBook) -> dict[tuple[str, str], str]:
    return {conflict.edits: conflict.kind for conflict in book.conflicts()}


def test_one_fact_twice_and_one_question_with_two_targets(book, model):
    book.add("a", _update(model, [1, 0], 0, **_fact("Lodel")))
    book.add("b", _update(model, [1, 0], 1, **_fact(" Lodel", "avaria has  its capital in")))
    book.add("c", _update(model, [1, 0], 2, **_fact("Tarn")))
    assert _kinds(book) == {("a", "b"): "repeat", ("a", "c"): "contradiction", ("b", "c"): "contradiction"}


def test_a_rephrase_is_a_question_too(book, model):
    other = _fact("Tarn", "The capital of Avaria is", rephrase_prompt="Avaria has its capital in")
    book.add("a", _update(model, [1, 0], 0, **_fact("Lodel")))
    book.add("b", _update(model, [1, 0], 1, **other))
    assert _kinds(book) == {("a", "b"): "contradiction"}


def test_edits_that_are_off_have_no_conflicts(book, model):
    for place, (name, target) in enumerate({"a": "Lodel", "b": "Tarn"}.items()):
        book.add(name, _update(model, [1, 0], place, **_fact(target)))
    book.switch("b", False)
    assert book.conflicts() == ()
    assert [conflict.kind for conflict in book.conflicts(["a", "b"])] == ["contradiction"]


def test_edits_that_read_the_same_disturb_each_other_and_others_do_not(book, model):
    book.add("a", _update(model, [1, 0]))
    book.add("b", _update(model, [1, 0.3]))
    book.add("c", _update(model, [0, 1]))
    (found,) = book.conflicts()
    assert (found.kind, found.edits) == ("overlap", ("a", "b"))
    assert "100%" in found.what


def test_a_small_edit_is_disturbed_by_a_great_one_and_not_the_other_way_round(model):
    small, great = _update(model, [1, 0], size=0.1), _update(model, [0.5, 0.5], size=10.0)
    assert disturbance(great, small) == pytest.approx(50)
    assert disturbance(small, great) == pytest.approx(0.01)


def test_disturbance_is_the_same_through_factors_and_through_matrices(model):
    generator = torch.Generator().manual_seed(0)
    p = ModelAnatomy(model).projections[0]
    one, other = (
        LowRankDelta(
            torch.randn(3, p.in_features, generator=generator), torch.randn(p.out_features, 3, generator=generator)
        )
        for _ in range(2)
    )
    dense = [WeightUpdate({p.name: DenseDelta(delta.matrix())}) for delta in (one, other)]
    factors = [WeightUpdate({p.name: delta}) for delta in (one, other)]
    assert disturbance(*factors) == pytest.approx(disturbance(*dense), rel=1e-4)
    assert disturbance(factors[0], factors[0]) == pytest.approx(1)


def test_gates_disturb_only_what_opens_them(model):
    """Whatever they would write if they were open: half open to a like key, a gate writes half of its value."""
    p = ModelAnatomy(model).projections[0]

    def gated(key: list[float], size: float) -> WeightUpdate:
        keys = torch.zeros(1, p.in_features)
        keys[0, :2] = torch.tensor(key)
        bounds = torch.tensor([0.6]), torch.tensor([0.8])
        delta = GatedDelta(keys, torch.full((1,), ANY_LENGTH), torch.full((1, p.out_features), size), *bounds)
        return WeightUpdate({p.name: delta}, keys={p.name: keys})

    one, like, other = gated([1, 0], 1.0), gated([0.7, 0.714], 3.0), gated([0.5, 0.866], 50.0)
    assert disturbance(by=like, of=one) == pytest.approx(1.5, rel=1e-3)
    assert disturbance(by=other, of=one) == 0


def test_edits_made_on_different_weights_that_change_one_matrix(book, model):
    book.add("a", _update(model, [1, 0]))
    other = _update(model, [0, 1])
    other.info["base"]["fingerprint"] = "xxh3:other"
    book.add("b", other, check_base=False)
    (found,) = book.conflicts()
    assert found.kind == "base"
    assert "xxh3:other" in found.what
    assert book.base.fingerprint in found.what


def test_a_difference_states_facts_settings_and_weights(book, model):
    book.add("a", _update(model, [1, 0], **_fact("Lodel"), algorithm="GoRA", hparams={"rank": 2, "lr": 1}))
    book.add("b", _update(model, [3, 4], **_fact("Tarn"), algorithm="GoRA", hparams={"rank": 4, "lr": 1}))
    found = book.diff("a", "b")
    assert found.facts == (
        (("Avaria has its capital in", "Lodel"),),
        (),
        (("Avaria has its capital in", "Tarn"),),
    )
    assert found.settings == {"rank": (2, 4)}
    ((one, other, cosine),) = found.modules.values()
    assert other / one == pytest.approx(5)
    assert cosine == pytest.approx(0.6)
