"""How far a change that means nothing moves a model with packed weights."""

import pytest
import torch
from packed import packed_llama

from easyedit_ice import factworld
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.evaluation import Drift
from easyedit_ice.evaluation.rounding_floor import SHARE, barely_changed, packed_projection
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import SHAPES

ASKED = [("The capital of Avaria is", "Lodel"), ("Ommer lies on the river", "Ell")]
MIDDLE = "transformer.h.3.attn.c_proj"
TEXTS = ["The capital of Avaria is Lodel.", "The river that flows through Avaria is the Ell and it is long."]


@torch.no_grad()
def _logits(model) -> torch.Tensor:
    return model(input_ids=torch.tensor([[5, 6, 7]])).logits


@pytest.mark.parametrize("bits", [4, 8])
def test_a_packed_model_has_one_and_answers_as_before_afterwards(bits: int) -> None:
    model = packed_llama(bits)
    before = _logits(model)
    projection = packed_projection(model)
    assert projection is not None and projection.quantized
    with barely_changed(projection):
        assert not torch.equal(_logits(model), before)
    assert torch.equal(_logits(model), before)


def test_in_8_bits_a_change_that_is_nothing_in_32_moves_what_facts_are_answered() -> None:
    pytest.importorskip("bitsandbytes", reason="needs bitsandbytes to pack weights")
    facts = to_requests(load_records("factworld", split="dev", size=8).records)
    asked = [(fact["prompt"], fact["ground_truth"]) for fact in facts]
    moved: dict[int | None, float] = {}
    for bits in (8, None):
        settings = {"model_name": str(factworld.model_path()), "device": "cpu", "quantization_bit": bits}
        model, tok = load_model(EditHyperParams(**settings))
        drift = Drift(model, tok, TEXTS, asked, 512)
        with barely_changed(packed_projection(model) or ModelAnatomy(model).projection(MIDDLE)):
            moved[bits] = drift.point(model).kl
    assert moved[8] > 1e-7 > 10 * (moved[None] or 0)


@pytest.mark.parametrize("shape", SHAPES[::2], ids=[shape.name for shape in SHAPES[::2]])
def test_a_model_that_is_not_packed_has_none(shape) -> None:
    assert packed_projection(shape.build()) is None


@torch.no_grad()
def test_the_change_is_a_thousandth_of_what_is_written_and_the_same_each_time() -> None:
    model = SHAPES[2].build()
    projection = next(own for own in ModelAnatomy(model).projections if own.role == "out")
    states = torch.randn(2, 3, projection.in_features, generator=torch.Generator().manual_seed(0))
    before = projection.module(states)
    with barely_changed(projection):
        first, second = projection.module(states), projection.module(states)
    assert torch.equal(first, second)
    torch.testing.assert_close((first - before).norm(dim=-1), SHARE * before.norm(dim=-1), rtol=1e-2, atol=0)
