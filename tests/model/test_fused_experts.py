"""Experts that are slices of one parameter are one matrix, whose key says which of them a token is routed to."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.editors.gradient.training_settings import TrainingHyperParams
from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.anatomy import ModelAnatomy, Projection
from easyedit_ice.model.capture import captured
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.matrix import quick_settings
from easyedit_ice.testing.shrinking import tiny_decoder
from easyedit_ice.testing.tiny_models import FACTS, tokenizer

SUCH = ("mixtral", "qwen3_moe", "olmoe", "qwen2_moe", "gpt_oss", "deepseek_v3")
KINDS = pytest.mark.parametrize("kind", SUCH)
TRAINED = [name for name, own in ALGORITHMS.items() if issubclass(own.hparams_class, TrainingHyperParams)]
IDS = torch.tensor([[5, 6, 7, 8, 9], [9, 8, 7, 6, 5]])


def _fused(model: torch.nn.Module) -> Projection:
    (projection,) = ModelAnatomy(model).select("mlp", "out", [-1])
    return projection


def _keys(model: torch.nn.Module, projection: Projection) -> torch.Tensor:
    with torch.no_grad(), captured({"key": projection.module}, "in", stop=True) as seen:
        model(input_ids=IDS)
    return seen["key"]


@KINDS
def test_what_experts_write_is_their_matrix_times_the_key(kind: str) -> None:
    model = tiny_decoder(kind)
    projection = _fused(model)
    assert projection.experts > 1
    if projection.module.has_bias:
        projection.module.down_proj_bias.data.zero_()
    with torch.no_grad(), captured({"wrote": projection.module}, "out", stop=True) as seen:
        model(input_ids=IDS)
    keys = _keys(model, projection)
    assert keys.shape == (IDS.numel(), projection.in_features)
    torch.testing.assert_close(keys @ projection.matrix().T, seen["wrote"].view(IDS.numel(), -1))


@KINDS
def test_a_key_is_zero_for_experts_that_the_token_is_not_routed_to(kind: str) -> None:
    model = tiny_decoder(kind)
    projection = _fused(model)
    used = _keys(model, projection).unflatten(1, (projection.experts, -1)).abs().sum(2) > 0
    assert set(used.sum(1).tolist()) == {model.config.num_experts_per_tok}
    assert model.config.num_experts_per_tok < projection.experts


@KINDS
def test_the_matrix_of_experts_goes_back_to_how_it_is_stored(kind: str) -> None:
    projection = _fused(tiny_decoder(kind))
    matrix = projection.matrix()
    assert matrix.shape == (projection.out_features, projection.in_features)
    assert torch.equal(projection.as_stored(matrix), projection.weight)


@KINDS
def test_algorithms_that_train_still_refuse_experts_and_say_which_do_not(kind: str) -> None:
    for asked in ("mlp.out", "mlp.in", "all"):
        with pytest.raises(AnatomyError, match="FastMEMIT, FastROME and FastICE write to them"):
            ModelAnatomy(tiny_decoder(kind)).match([asked], [-1])


@pytest.mark.parametrize("kind", [*SUCH, "llama4_text"])
@pytest.mark.parametrize("asked", ["down_proj", "gate_up_proj"])
def test_a_bare_name_that_experts_have_is_not_taken_for_what_lies_beside_them(kind: str, asked: str) -> None:
    with pytest.raises(AnatomyError, match="mixture of experts"):
        ModelAnatomy(tiny_decoder(kind)).match(["attention.out", asked], [-1])


@pytest.mark.parametrize("asked", ["gate_proj", "up_proj", "down_proj"])
def test_a_shared_expert_is_trained_where_its_path_is_named_alone(asked: str) -> None:
    anatomy = ModelAnatomy(tiny_decoder("deepseek_v3"))
    with pytest.raises(AnatomyError, match="with what holds them"):
        anatomy.match([asked], [-1])
    assert [p.name for p in anatomy.match([f"shared_experts.{asked}"], [-1])] == [
        f"model.layers.3.mlp.shared_experts.{asked}"
    ]
    assert anatomy.match([asked], [0])


@pytest.mark.parametrize("kind", [*SUCH, "llama4_text"])
@pytest.mark.parametrize("name", [*TRAINED, "FastGrad", "ICE-Grad"])
def test_no_algorithm_that_trains_takes_part_of_a_mixture_for_its_whole(kind: str, name: str) -> None:
    model = tiny_decoder(kind)
    before = state(model)
    hparams = ALGORITHMS[name].hparams_class(layers=[-1], **quick_settings(name))
    with pytest.raises(AnatomyError, match="mixture of experts") as caught:
        solve(model, tokenizer(), FACTS[:1], hparams)
    assert ("FastMEMIT, FastROME and FastICE" in str(caught.value)) == (kind != "llama4_text")
    assert state(model) == before


@pytest.mark.parametrize("kind", ["llama4_text"])
def test_experts_of_another_form_are_refused_by_name(kind: str) -> None:
    model = tiny_decoder(kind)
    with pytest.raises(AnatomyError, match="mixture of experts"):
        ModelAnatomy(model).select("mlp", "out")
