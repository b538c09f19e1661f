"""Weights that no update can be added to are refused by name, and before anything is changed."""

from __future__ import annotations

import pytest
import torch
from architectures import tiny
from packed import packed_llama
from torch import nn
from torch.nn.utils import parametrizations

from easyedit_ice import solve
from easyedit_ice.edit.delta import DenseDelta
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

QUICK = {"LoRA-BF": {"num_steps": 2, "lr": 1e-3}, "FastROME": {"mom2_adjustment": False, "v_num_grad_steps": 2}}


def _solve(algorithm: str, model: nn.Module) -> WeightUpdate:
    return solve(model, tokenizer(), FACTS[:1], ALGORITHMS[algorithm].hparams_class(**QUICK[algorithm]))


@pytest.mark.parametrize("algorithm", QUICK)
def test_a_model_with_an_adapter_is_asked_to_be_merged_first(algorithm):
    from peft import LoraConfig, get_peft_model

    tuned = get_peft_model(SHAPES[2].build(), LoraConfig(r=2, target_modules=["down_proj"], task_type="CAUSAL_LM"))
    with pytest.raises(AnatomyError, match=r"down_proj carries an adapter.*merge_and_unload"):
        _solve(algorithm, tuned.eval())
    assert _solve(algorithm, tuned.merge_and_unload()).deltas


@pytest.mark.parametrize("algorithm", QUICK)
def test_offloaded_weights_are_named(algorithm, tmp_path):
    from accelerate import disk_offload

    model = SHAPES[2].build()
    disk_offload(model, tmp_path, offload_buffers=False)
    with pytest.raises(AnatomyError, match=r"have no weights here: device_map has left them on the disk"):
        _solve(algorithm, model)


def test_a_float8_weight_with_its_scale_is_refused():
    model = tiny("Llama")
    down = model.model.layers[1].mlp.down_proj
    down.weight = nn.Parameter(down.weight.detach().to(torch.float8_e4m3fn), requires_grad=False)
    with pytest.raises(AnatomyError, match=r"layers\.1\.mlp\.down_proj is kept as float8_e4m3fn"):
        ModelAnatomy(model).select("mlp", "out")
    down.weight_scale_inv = nn.Parameter(torch.ones(1, 1), requires_grad=False)
    name = "model.layers.1.mlp.down_proj"
    with pytest.raises(AnatomyError, match="weight_scale_inv beside it"):
        WeightUpdate({name: DenseDelta(torch.ones(32, 48))}).commit(model)


@pytest.mark.parametrize("method", ["fp8", "mxfp4", "gptq"])
def test_what_other_packers_packed_is_refused_with_what_to_load_instead(method):
    model = tiny("Llama")
    model.quantization_method = method
    with pytest.raises(AnatomyError, match=rf"packed by '{method}'.*bitsandbytes"):
        ModelAnatomy(model)


def test_a_weight_that_is_made_of_others_is_refused():
    model = tiny("Llama")
    parametrizations.weight_norm(model.model.layers[0].mlp.down_proj)
    with pytest.raises(AnatomyError, match="made of other parameters"):
        ModelAnatomy(model).select("mlp", "out")


@pytest.mark.parametrize("algorithm", QUICK)
def test_four_bit_weights_stay_differentiable_in_an_edit(algorithm):
    model = packed_llama(4)
    willing = [module for module in model.modules() if hasattr(module, "support_avx512bf16_for_cpu")]
    assert willing
    for module in willing:
        module.support_avx512bf16_for_cpu = True
    assert _solve(algorithm, model).deltas
    assert all(module.support_avx512bf16_for_cpu for module in willing)
    assert not any(getattr(module.weight.quant_state, "packing_format_for_cpu", False) for module in willing)


@pytest.mark.parametrize("algorithm", QUICK)
def test_four_bit_weights_that_lost_their_gradients_are_refused(algorithm):
    model = packed_llama(4)
    model.model.layers[0].mlp.down_proj.weight.quant_state.packing_format_for_cpu = True
    with pytest.raises(AnatomyError, match="laid out for inference on the CPU"):
        _solve(algorithm, model)
