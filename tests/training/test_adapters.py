"""Low-rank adapters in a model, and the deltas they amount to."""

from __future__ import annotations

import pytest
import torch
from packed import packed_llama

from easyedit_ice.anatomy import ModelAnatomy
from easyedit_ice.errors import AnatomyError
from easyedit_ice.preserve import preserved
from easyedit_ice.testing.models import SHAPES, tokenizer
from easyedit_ice.training.adapters import LowRankAdapter
from easyedit_ice.training.sampling import write
from easyedit_ice.updates import WeightUpdate

IDS = torch.tensor([[5, 6, 7, 8, 9]])
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
FP32 = pytest.mark.parametrize("shape", SHAPES[::2], ids=[shape.name for shape in SHAPES[::2]])


def _adapted(shape, patterns=("all",), rank=3, alpha=6.0, dropout=0.0):
    model = shape.build()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        adapter = LowRankAdapter(model, ModelAnatomy(model).match(patterns), rank=rank, alpha=alpha, dropout=dropout)
    return model, adapter


def _fill(adapter, scale=0.1):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)


def _logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


@EACH_SHAPE
def test_a_fresh_adapter_changes_nothing(shape):
    model, _ = _adapted(shape)
    assert torch.equal(_logits(model), _logits(shape.build()))


@EACH_SHAPE
def test_the_disabled_adapter_is_the_base_and_comes_back(shape):
    model, adapter = _adapted(shape)
    _fill(adapter)
    edited = _logits(model)
    with adapter.disabled():
        assert torch.equal(_logits(model), _logits(shape.build()))
    assert torch.equal(_logits(model), edited)
    assert not torch.equal(edited, _logits(shape.build()))


def test_the_adapter_comes_back_after_an_exception_too():
    model, adapter = _adapted(SHAPES[0])
    _fill(adapter)
    edited = _logits(model)
    with pytest.raises(KeyboardInterrupt), adapter.disabled():
        raise KeyboardInterrupt
    assert torch.equal(_logits(model), edited)


@FP32
@pytest.mark.parametrize("patterns", [("all",), ("attention.in",), ("mlp.out",)])
def test_the_deltas_written_into_the_weights_act_as_the_adapter(shape, patterns):
    model, adapter = _adapted(shape, patterns)
    _fill(adapter)
    base = shape.build()
    WeightUpdate(adapter.deltas()).commit(base)
    torch.testing.assert_close(_logits(base), _logits(model), atol=1e-5, rtol=1e-4)


@FP32
def test_the_scale_is_alpha_over_rank(shape):
    model, adapter = _adapted(shape, rank=3, alpha=6.0)
    _fill(adapter)
    name, delta = next(iter(adapter.deltas().items()))
    layer = model.get_submodule(name)
    expected = 2.0 * layer.lora_B["edit"].weight @ layer.lora_A["edit"].weight
    torch.testing.assert_close(delta.matrix(), expected)


def test_deltas_are_copies():
    _, adapter = _adapted(SHAPES[0])
    before = adapter.deltas()
    _fill(adapter)
    assert all(delta.norm() == 0 for delta in before.values())


@EACH_SHAPE
def test_what_is_trained_is_in_fp32_and_nothing_else_is_trained(shape):
    model, adapter = _adapted(shape)
    trained = {id(parameter) for parameter in adapter.parameters()}
    assert {parameter.dtype for parameter in adapter.parameters()} == {torch.float32}
    assert {id(parameter) for parameter in model.parameters() if parameter.requires_grad} == trained
    assert len(trained) == 2 * len(adapter.deltas())


@FP32
@pytest.mark.parametrize("bound", [1e-3, 1e-1])
def test_clamping_keeps_every_element_within_the_bound_and_the_direction(shape, bound):
    _, adapter = _adapted(shape)
    _fill(adapter, 1.0)
    before = {name: delta.matrix() for name, delta in adapter.deltas().items()}
    adapter.clamp(bound)
    for name, delta in adapter.deltas().items():
        assert delta.matrix().abs().max() <= bound * 1.0001
        similarity = torch.nn.functional.cosine_similarity(delta.matrix().flatten(), before[name].flatten(), dim=0)
        assert similarity > 0.9999


def test_clamping_leaves_what_is_within_the_bound():
    _, adapter = _adapted(SHAPES[0])
    _fill(adapter, 0.01)
    before = {name: delta.matrix() for name, delta in adapter.deltas().items()}
    adapter.clamp(1.0)
    assert all(torch.equal(delta.matrix(), before[name]) for name, delta in adapter.deltas().items())


def test_training_switches_on_the_adapters_dropout_only():
    from transformers import AutoModelForCausalLM

    config = SHAPES[0].build().config
    config.attn_pdrop = config.resid_pdrop = config.embd_pdrop = 0.5
    model = AutoModelForCausalLM.from_config(config).eval()
    adapter = LowRankAdapter(model, ModelAnatomy(model).match(["mlp.out"]), rank=2, alpha=2, dropout=0.0)
    adapter.train(gradient_checkpointing=False)
    assert torch.equal(_logits(model), _logits(model))


def test_the_adapters_dropout_acts_in_training_only():
    model, adapter = _adapted(SHAPES[0], dropout=0.5)
    _fill(adapter)
    assert torch.equal(_logits(model), _logits(model))
    adapter.train(gradient_checkpointing=False)
    assert not torch.equal(_logits(model), _logits(model))


@FP32
def test_gradient_checkpointing_recomputes_the_blocks(shape):
    calls = {}
    for checkpointing in (False, True):
        model, adapter = _adapted(shape)
        adapter.train(gradient_checkpointing=checkpointing)
        seen = []
        inside = ModelAnatomy(model).blocks[0].mlp
        inside.register_forward_pre_hook(lambda *_, seen=seen: seen.append(1))
        model(input_ids=IDS, use_cache=False).logits.sum().backward()
        calls[checkpointing] = len(seen)
    assert calls == {False: 1, True: 2}


@FP32
def test_gradient_checkpointing_does_not_change_what_the_model_writes(shape):
    model, adapter = _adapted(shape)
    _fill(adapter)
    written = write(model, tokenizer(), [(5, 6, 7), (8, 9)], length=5)
    adapter.train(gradient_checkpointing=True)
    assert write(model, tokenizer(), [(5, 6, 7), (8, 9)], length=5) == written


@FP32
def test_the_model_comes_back_from_its_adapter(shape):
    model = shape.build()
    before, modules = _logits(model), [id(module) for module in model.modules()]
    with preserved(model):
        adapter = LowRankAdapter(model, ModelAnatomy(model).match(["all"]), rank=2, alpha=2, dropout=0.1)
        _fill(adapter)
    assert [id(module) for module in model.modules()] == modules
    assert torch.equal(_logits(model), before)


def _gradients(model):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        adapter = LowRankAdapter(model, ModelAnatomy(model).match(("mlp.out",)), rank=3, alpha=6.0, dropout=0.0)
    _fill(adapter)
    model(input_ids=IDS, labels=IDS).loss.backward()
    return [parameter.grad for parameter in adapter.parameters()]


def test_gradients_pass_through_4_bit_weights_as_through_the_numbers_they_stand_for():
    import bitsandbytes

    packed, plain = packed_llama(4), packed_llama(4)
    for name, module in list(plain.named_modules()):
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            linear = torch.nn.Linear(module.in_features, module.out_features, bias=False)
            linear.weight.data = bitsandbytes.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
            plain.set_submodule(name, linear)
    for gradient, expected in zip(_gradients(packed), _gradients(plain), strict=True):
        assert expected.abs().max() > 0
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)


def test_4_bit_weights_laid_out_for_inference_are_refused():
    model = packed_llama(4)
    model.model.layers[0].mlp.down_proj.weight.quant_state.packing_format_for_cpu = True
    with pytest.raises(AnatomyError, match="load_model"):
        LowRankAdapter(model, ModelAnatomy(model).match(("mlp.out",)), rank=3, alpha=6.0, dropout=0.0)
