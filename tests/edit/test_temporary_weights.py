"""Deltas in a model's weights for a while."""

from __future__ import annotations

import pytest
import torch
from packed import logits, packed_bytes, packed_llama

from easyedit_ice.edit.delta import DenseDelta, LowRankDelta
from easyedit_ice.edit.history import edits_in
from easyedit_ice.edit.temporary_weights import temporarily
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import UpdateError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import SHAPES

EACH = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)


def _update(model: torch.nn.Module) -> WeightUpdate:
    draws = torch.Generator().manual_seed(0)
    return WeightUpdate(
        {
            projection.name: LowRankDelta(
                torch.randn(2, projection.in_features, generator=draws),
                torch.randn(projection.out_features, 2, generator=draws),
            )
            for projection in ModelAnatomy(model).match(["mlp.out"])
        }
    )


def _addresses(model: torch.nn.Module) -> dict[str, int]:
    return {name: parameter.data_ptr() for name, parameter in model.named_parameters()}


@EACH
def test_the_weights_are_those_of_a_commit_and_then_the_tensors_that_they_were(shape) -> None:
    model = shape.build()
    before, addresses, update = state(model), _addresses(model), _update(model)
    with update.applied(model):
        committed = state(model)
    with temporarily(update.targets(model)):
        assert state(model) == committed
        assert not update.committed(model)
        assert edits_in(model) == ()
    assert state(model) == before
    assert _addresses(model) == addresses


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_takes_them_out(error) -> None:
    model = SHAPES[0].build()
    before, addresses = state(model), _addresses(model)
    with pytest.raises(error), temporarily(_update(model).targets(model)):
        raise error
    assert state(model) == before
    assert _addresses(model) == addresses


def test_a_weight_that_would_be_infinite_is_refused_and_those_before_it_taken_out() -> None:
    model = SHAPES[0].build()
    before, update = state(model), _update(model)
    last = list(update.deltas)[-1]
    update = WeightUpdate({**update.deltas, last: DenseDelta(torch.full(update.deltas[last].shape, torch.inf))})
    with pytest.raises(UpdateError, match=last), temporarily(update.targets(model)):
        pytest.fail("it was put in")
    assert state(model) == before


@pytest.mark.parametrize("bits", [4, 8])
def test_a_packed_weight_has_its_delta_beside_it_for_the_while(bits) -> None:
    model = packed_llama(bits)
    said, packed, update = logits(model), packed_bytes(model), _update(model)
    with update.applied(model):
        committed = logits(model)
    with temporarily(update.targets(model)):
        assert torch.equal(logits(model), committed)
        assert packed_bytes(model) == packed
    assert torch.equal(logits(model), said)
    assert not any(module._forward_hooks for module in model.modules())
