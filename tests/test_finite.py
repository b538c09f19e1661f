"""Numbers that are infinite or not numbers never reach a weight, and it is said where they come from."""

from __future__ import annotations

import pytest
import torch
from packed import packed_bytes, packed_llama
from quick import FEW_TEXTS
from torch import nn

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.delta import DenseDelta, LowRankDelta
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import EasyEditIceError, TrainingDivergedError, UnsoundModelError, UpdateError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

NAME = "transformer.h.1.mlp.c_proj"
MOST = {torch.float16: "65504", torch.bfloat16: "3.38953e\\+38", torch.float32: "3.40282e\\+38"}
DTYPES = pytest.mark.parametrize("dtype", MOST, ids=[str(dtype).removeprefix("torch.") for dtype in MOST])
TRAINED = ("ICE-LoRA", "LoRA-BF", "DoRA", "QLoRA-BF", "GoRA", "SVF", "LocFT-BF")


def _model(dtype: torch.dtype = torch.float32) -> nn.Module:
    return SHAPES[0].build().to(dtype)


def _low_rank(model: nn.Module, value: float) -> WeightUpdate:
    projection = ModelAnatomy(model).projection(NAME)
    a = torch.full((1, projection.in_features), value)
    return WeightUpdate({NAME: LowRankDelta(a, torch.ones(projection.out_features, 1))})


@DTYPES
def test_an_update_that_would_overflow_is_refused_with_the_value_and_the_limit(dtype: torch.dtype) -> None:
    model = _model(dtype)
    with torch.no_grad():
        model.get_parameter(f"{NAME}.weight")[0, 0] = 0.75 * torch.finfo(dtype).max
        before = state(model)
    update = _low_rank(model, 0.5 * torch.finfo(dtype).max)
    with pytest.raises(UpdateError, match=rf"{NAME}.weight would overflow: .* holds at most {MOST[dtype]}; load the"):
        update.commit(model)
    assert state(model) == before
    assert not update.committed(model)
    _low_rank(model, 0.1 * torch.finfo(dtype).max).commit(model)
    assert model.get_parameter(f"{NAME}.weight").isfinite().all()


def test_what_fits_into_fp32_overflows_when_it_is_rounded_to_fp16() -> None:
    model = _model(torch.float16)
    before = state(model)
    with pytest.raises(
        UpdateError, match=r"its largest element would be 90000(\.\d)?, and float16 holds at most 65504"
    ):
        _low_rank(model, 9e4).commit(model)
    assert state(model) == before


@DTYPES
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_an_update_that_is_not_finite_is_refused(dtype: torch.dtype, value: float) -> None:
    model = _model(dtype)
    before = state(model)
    one_bad = torch.zeros(32, 128)
    one_bad[3, 5] = value
    for update in (_low_rank(model, value), WeightUpdate({NAME: DenseDelta(one_bad)})):
        with pytest.raises(UpdateError, match=rf"{NAME}.weight: the change has elements that are infinite or not num"):
            update.commit(model)
        assert state(model) == before


def test_of_several_weights_none_is_changed_when_one_would_overflow() -> None:
    model = _model(torch.float16)
    before = state(model)
    other = "transformer.h.0.mlp.c_proj"
    update = WeightUpdate({other: DenseDelta(torch.ones(32, 128)), **_low_rank(model, 9e4).deltas})
    with pytest.raises(UpdateError, match=NAME):
        update.commit(model)
    assert state(model) == before


def test_a_weight_that_was_not_finite_before_is_told_apart() -> None:
    model = _model()
    with torch.no_grad():
        model.get_parameter(f"{NAME}.weight")[0, 0] = torch.inf
    with pytest.raises(UpdateError, match=rf"{NAME}.weight has elements that are infinite .* before the edit; load"):
        _low_rank(model, 1.0).commit(model)


def test_nothing_that_is_not_finite_is_attached_to_packed_weights() -> None:
    model = packed_llama(4)
    packed = packed_bytes(model)
    projection = ModelAnatomy(model).match(["mlp.out"], [0])[0]
    delta = DenseDelta(torch.full((projection.out_features, projection.in_features), torch.nan))
    with pytest.raises(UpdateError, match="the change has elements that are infinite or not numbers"):
        WeightUpdate({projection.name: delta}).commit(model)
    assert packed_bytes(model) == packed
    assert not projection.module._forward_hooks


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=["float16", "float32"])
@pytest.mark.parametrize("algorithm", TRAINED)
def test_a_learning_rate_far_too_high_is_an_error_or_a_finite_edit_that_says_how_large_it_is(
    algorithm: str, dtype: torch.dtype
) -> None:
    model = _model(dtype)
    before = state(model)
    settings = {"num_steps": 1, "lr": 1e30} | (FEW_TEXTS if algorithm == "ICE-LoRA" else {})
    hparams = ALGORITHMS[algorithm].hparams_class(**settings)
    try:
        update = solve(model, tokenizer(), [FACTS[0]], hparams)
    except EasyEditIceError as error:
        assert isinstance(error, (TrainingDivergedError, UpdateError))
        assert dtype == torch.float16 or not isinstance(error, UpdateError) or "infinite" in str(error)
    else:
        update.commit(model)
        assert all(parameter.isfinite().all() for parameter in model.parameters())
        assert update.info["size"] > 0.99  # which is all that DoRA's can come to
        assert ("oversized" in update.info) == (update.info["size"] >= 1)
        update.revert(model)
    assert state(model) == before


@pytest.mark.parametrize("algorithm", ["LoRA-BF", "DoRA", "SVF", "LocFT-BF"])
def test_what_the_last_step_makes_is_looked_at(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def overflows(optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.data.fill_(torch.inf)

    monkeypatch.setattr(torch.optim.AdamW, "step", overflows)
    model = _model()
    hparams = ALGORITHMS[algorithm].hparams_class(num_steps=1, lr=1e-2)
    with pytest.raises(TrainingDivergedError, match="infinite or not a number after the last step; lower lr or weight"):
        solve(model, tokenizer(), [FACTS[0]], hparams)


@pytest.mark.parametrize("algorithm", ["LoRA-BF", "FastROME"])
def test_a_model_that_gives_no_numbers_is_not_blamed_on_the_settings(algorithm: str) -> None:
    model = _model(torch.float16)
    with torch.no_grad():
        model.transformer.h[0].mlp.c_proj.weight.mul_(3e5).clamp_(-6e4, 6e4)
        model.transformer.h[0].mlp.c_fc.weight.mul_(1e4).clamp_(-6e4, 6e4)
    settings = {"mom2_adjustment": False, "context_template_length_params": []} if algorithm == "FastROME" else {}
    with pytest.raises(UnsoundModelError, match=r"before any edit.* overflow in float16; load"):
        solve(model, tokenizer(), [FACTS[0]], ALGORITHMS[algorithm].hparams_class(**settings))
