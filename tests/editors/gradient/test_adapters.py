"""Adapters in a model, and the deltas they amount to."""

from __future__ import annotations

import pytest
import torch
from packed import logits, packed_bytes, packed_llama, unpacked

from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.gradient.adapters import (
    AdaptiveAdapter,
    Budget,
    DecomposedAdapter,
    DenseAdapter,
    LowRankAdapter,
    SpectralAdapter,
    places_of,
)
from easyedit_ice.errors import AnatomyError, HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.precompute.weight_spectra import spectra
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer
from easyedit_ice.text.sampling import write

IDS = torch.tensor([[5, 6, 7, 8, 9]])
BUDGET = Budget(start=4, target=3, total=9, tinit=1, tfinal=3)
MAKERS = {
    "lora": lambda model, own, dropout: LowRankAdapter(model, own, rank=3, alpha=6.0, dropout=dropout),
    "adalora": lambda model, own, dropout: AdaptiveAdapter(model, own, budget=BUDGET, alpha=8.0, dropout=dropout),
    "dora": lambda model, own, dropout: DecomposedAdapter(model, own, rank=3, alpha=6.0, dropout=dropout),
    "dense": lambda model, own, dropout: DenseAdapter(model, own),
    "svf": lambda model, own, dropout: _spectral(model, own, "diagonal"),
    "svf banded": lambda model, own, dropout: _spectral(model, own, "banded"),
}
FACTORS = {"lora": 2, "adalora": 3, "dora": 3, "dense": 1, "svf": 1, "svf banded": 1}
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
FP32 = pytest.mark.parametrize("shape", SHAPES[:4:2], ids=[shape.name for shape in SHAPES[:4:2]])
EACH_KIND = pytest.mark.parametrize("kind", MAKERS)
PACKED = pytest.mark.parametrize(
    ("kind", "bits"), [(kind, bits) for kind in MAKERS for bits in (4, 8) if (kind, bits) != ("dora", 8)]
)


def _spectral(model, own, form):
    found = spectra(model, own)
    places = {name: places_of(spectrum, form, 2) for name, spectrum in found.items()}
    return SpectralAdapter(model, own, spectra=found, places=places, sum_normalised=False)


def _adapter(model, kind, patterns=("all",), dropout=0.0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MAKERS[kind](model, ModelAnatomy(model).match(patterns), dropout)


def _adapted(shape, kind="lora", patterns=("all",), dropout=0.0):
    model = shape.build()
    return model, _adapter(model, kind, patterns, dropout)


def _near(kind, dtype):
    """How far a fresh adapter may move logits: DoRA divides by norms and multiplies by them again."""
    return 0.0 if kind != "dora" else 1e-5 if dtype == torch.float32 else 2e-2


def _fill(adapter, scale=0.1):
    """Add noise to what is trained."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)


def _logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


@EACH_KIND
@EACH_SHAPE
def test_a_fresh_adapter_changes_nothing(shape, kind):
    model, adapter = _adapted(shape, kind)
    torch.testing.assert_close(_logits(model), _logits(shape.build()), rtol=0, atol=_near(kind, shape.dtype))
    assert all(delta.matrix().abs().max() < 1e-6 for delta in adapter.deltas().values())


@EACH_KIND
@EACH_SHAPE
def test_the_disabled_adapter_is_the_base_and_comes_back(shape, kind):
    model, adapter = _adapted(shape, kind)
    _fill(adapter)
    edited = _logits(model)
    with adapter.disabled():
        assert torch.equal(_logits(model), _logits(shape.build()))
    assert torch.equal(_logits(model), edited)
    assert not torch.equal(edited, _logits(shape.build()))


@EACH_KIND
def test_the_adapter_comes_back_after_an_exception_too(kind):
    model, adapter = _adapted(SHAPES[0], kind)
    _fill(adapter)
    edited = _logits(model)
    with pytest.raises(KeyboardInterrupt), adapter.disabled():
        raise KeyboardInterrupt
    assert torch.equal(_logits(model), edited)


@EACH_KIND
@FP32
@pytest.mark.parametrize("patterns", [("all",), ("attention.in",), ("mlp.out",)])
def test_the_deltas_written_into_the_weights_act_as_the_adapter(shape, kind, patterns):
    model, adapter = _adapted(shape, kind, patterns)
    _fill(adapter)
    base = shape.build()
    WeightUpdate(adapter.deltas()).commit(base)
    torch.testing.assert_close(_logits(base), _logits(model), atol=1e-5, rtol=1e-4)


@EACH_KIND
@pytest.mark.parametrize("shape", SHAPES[1:4:2], ids=lambda shape: shape.name)
def test_the_deltas_written_into_weights_in_bf16_act_as_the_adapter_up_to_rounding(shape, kind):
    model, adapter = _adapted(shape, kind)
    _fill(adapter)
    base = shape.build()
    WeightUpdate(adapter.deltas()).commit(base)
    moved = (_logits(model) - _logits(shape.build())).norm()
    assert (_logits(base) - _logits(model)).norm() < 0.1 * moved


@PACKED
def test_deltas_attached_to_packed_weights_act_as_the_adapter(kind, bits):
    model, base = packed_llama(bits), packed_llama(bits)
    adapter = _adapter(model, kind)
    torch.testing.assert_close(logits(model), logits(base), rtol=0, atol=_near(kind, torch.float32))
    _fill(adapter)
    said, packed = logits(base), packed_bytes(base)
    update = WeightUpdate(adapter.deltas())
    update.commit(base)
    moved = (logits(model) - said).norm()
    assert moved > 0.01 * said.norm()
    assert (logits(base) - logits(model)).norm() < 0.02 * moved
    update.revert(base)
    assert torch.equal(logits(base), said)
    assert packed_bytes(base) == packed


@PACKED
def test_the_disabled_adapter_is_the_packed_base(kind, bits):
    model = packed_llama(bits)
    said = logits(model)
    adapter = _adapter(model, kind)
    _fill(adapter, 0.02)
    with adapter.disabled():
        assert torch.equal(logits(model), said)


@FP32
def test_the_scale_is_alpha_over_rank(shape):
    model, adapter = _adapted(shape)
    _fill(adapter)
    name, delta = next(iter(adapter.deltas().items()))
    layer = model.get_submodule(name)
    expected = 2.0 * layer.lora_B["edit"].weight @ layer.lora_A["edit"].weight
    torch.testing.assert_close(delta.matrix(), expected)


@EACH_KIND
def test_deltas_are_copies(kind):
    _, adapter = _adapted(SHAPES[0], kind)
    _fill(adapter)
    before = adapter.deltas()
    norms = {name: delta.norm() for name, delta in before.items()}
    _fill(adapter)
    assert {name: delta.norm() for name, delta in before.items()} == norms
    assert {name: delta.norm() for name, delta in adapter.deltas().items()} != norms


@EACH_KIND
@EACH_SHAPE
def test_what_is_trained_is_in_fp32_and_nothing_else_is_trained(shape, kind):
    model, adapter = _adapted(shape, kind)
    trained = {id(parameter) for parameter in adapter.parameters()}
    assert {parameter.dtype for parameter in adapter.parameters()} == {torch.float32}
    assert {id(parameter) for parameter in model.parameters() if parameter.requires_grad} <= trained
    assert len(trained) == FACTORS[kind] * len(adapter.deltas())
    assert adapter.report()["trained"] == sum(parameter.numel() for parameter in adapter.parameters())


@EACH_KIND
@EACH_SHAPE
def test_every_trained_tensor_gets_a_gradient_and_no_other_does(shape, kind):
    model, adapter = _adapted(shape, kind)
    _fill(adapter)
    model(input_ids=IDS, labels=IDS).loss.backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in adapter.parameters())
    trained = {id(parameter) for parameter in adapter.parameters()}
    assert all(parameter.grad is None for parameter in model.parameters() if id(parameter) not in trained)


@pytest.mark.parametrize("kind", ["lora", "adalora", "dense"])
@FP32
@pytest.mark.parametrize("bound", [1e-3, 1e-1])
def test_clamping_keeps_every_element_within_the_bound_and_the_direction(shape, kind, bound):
    _, adapter = _adapted(shape, kind)
    _fill(adapter, 1.0)
    before = {name: delta.matrix() for name, delta in adapter.deltas().items()}
    adapter.clamp(bound)
    for name, delta in adapter.deltas().items():
        assert delta.matrix().abs().max() <= bound * 1.0001
        similarity = torch.nn.functional.cosine_similarity(delta.matrix().flatten(), before[name].flatten(), dim=0)
        assert similarity > 0.9999


@pytest.mark.parametrize("kind", ["lora", "adalora", "dense"])
def test_clamping_leaves_what_is_within_the_bound(kind):
    _, adapter = _adapted(SHAPES[0], kind)
    _fill(adapter, 0.01)
    before = {name: delta.matrix() for name, delta in adapter.deltas().items()}
    adapter.clamp(1.0)
    assert all(torch.equal(delta.matrix(), before[name]) for name, delta in adapter.deltas().items())


def test_dora_cannot_be_clamped_and_says_so():
    _, adapter = _adapted(SHAPES[0], "dora")
    _fill(adapter, 1.0)
    with pytest.raises(HyperParamsError, match="set no clamp"):
        adapter.clamp(1e-3)


@EACH_KIND
def test_training_switches_on_the_adapters_dropout_only(kind):
    from transformers import AutoModelForCausalLM

    config = SHAPES[0].build().config
    config.attn_pdrop = config.resid_pdrop = config.embd_pdrop = 0.5
    model = AutoModelForCausalLM.from_config(config).eval()
    adapter = _adapter(model, kind, ["mlp.out"])
    adapter.train(gradient_checkpointing=False)
    assert torch.equal(_logits(model), _logits(model))


@pytest.mark.parametrize("kind", ["lora", "adalora", "dora"])
def test_the_adapters_dropout_acts_in_training_only(kind):
    model, adapter = _adapted(SHAPES[0], kind, dropout=0.5)
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


@EACH_KIND
@FP32
def test_the_model_comes_back_from_its_adapter(shape, kind):
    model = shape.build()
    before, modules = _logits(model), [id(module) for module in model.modules()]
    with preserved(model):
        _fill(_adapter(model, kind, dropout=0.1))
    assert [id(module) for module in model.modules()] == modules
    assert torch.equal(_logits(model), before)


def _gradients(model, kind):
    adapter = _adapter(model, kind, ("mlp.out",))
    _fill(adapter)
    model(input_ids=IDS, labels=IDS).loss.backward()
    return [parameter.grad for parameter in adapter.parameters()]


@EACH_KIND
def test_gradients_pass_through_4_bit_weights_as_through_the_numbers_they_stand_for(kind):
    for gradient, expected in zip(
        _gradients(packed_llama(4), kind), _gradients(unpacked(packed_llama(4)), kind), strict=True
    ):
        assert expected.abs().max() > 0
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=2e-5)


@EACH_KIND
def test_4_bit_weights_laid_out_for_inference_are_refused(kind):
    model = packed_llama(4)
    model.model.layers[0].mlp.down_proj.weight.quant_state.packing_format_for_cpu = True
    with pytest.raises(AnatomyError, match="load_model"):
        _adapter(model, kind, ("mlp.out",))


def test_dora_beside_8_bits_on_a_cpu_is_refused_with_what_to_do():
    with pytest.raises(AnatomyError, match="load it in 4 bits, or use QLoRA-BF"):
        _adapter(packed_llama(8), "dora")
