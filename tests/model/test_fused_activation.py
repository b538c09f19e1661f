"""GPT-2's activation in one operation says the same, and leaves no trace."""

from __future__ import annotations

import pytest
import torch
from architectures import tiny

from easyedit_ice.model.fused_activation import fused_activations


@pytest.mark.parametrize("name", ["GPT2", "GPTJ", "Llama", "GPTNeoX"])
def test_what_a_model_says_changes_by_rounding_alone(name: str) -> None:
    model = tiny(name)
    ids = torch.arange(1, 13)[None]
    traits = [sorted(vars(module)) for module in model.modules()]
    before = model(input_ids=ids).logits
    with fused_activations(model):
        within = model(input_ids=ids).logits
    torch.testing.assert_close(within, before, rtol=1e-4, atol=1e-5)
    assert torch.equal(model(input_ids=ids).logits, before)
    assert [sorted(vars(module)) for module in model.modules()] == traits


def test_an_exception_leaves_no_trace_either() -> None:
    model = tiny("GPT2")
    traits = [sorted(vars(module)) for module in model.modules()]
    with pytest.raises(RuntimeError), fused_activations(model), fused_activations(model):
        raise RuntimeError
    assert [sorted(vars(module)) for module in model.modules()] == traits


def test_the_operation_is_the_one_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.activations import NewGELUActivation

    def written_out(*args: object) -> None:
        raise AssertionError("the written-out form was run")

    monkeypatch.setattr(NewGELUActivation, "forward", written_out)
    with fused_activations(model := tiny("GPT2")):
        assert model(input_ids=torch.tensor([[1, 2]])).logits.isfinite().all()
