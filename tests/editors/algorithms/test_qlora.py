"""QLoRA-BF: edits beside weights in 4 or 8 bits."""

from __future__ import annotations

from tempfile import TemporaryDirectory

import pytest
import torch
from packed import logits, packed_bytes, packed_llama

from easyedit_ice import factworld
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.easyedit.plugin.restoring import WeightsCopy
from easyedit_ice.edit.apply import apply_to_model, solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.lora import LoraHyperParams
from easyedit_ice.editors.algorithms.qlora import QLoraHyperParams
from easyedit_ice.errors import UpdateError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.rows import encode, predict

QUICK = {"num_steps": 4, "rank": 2, "lr": 1e-2}
ROWS = [encode(tokenizer(), r.prompt, r.completion) for r in EditRequest.prepare(FACTS)]
BITS = pytest.mark.parametrize("bits", [4, 8])


@torch.no_grad()
def _loss(model):
    return predict(model, ROWS).nll().mean().item()


@BITS
def test_a_rate_that_is_found_beside_packed_weights_is_about_that_of_full_precision(bits):
    """They multiply in half precision, whose rounding moves more than a good step."""
    model, _ = load_model(QLoraHyperParams(model_name=str(factworld.model_path()), device="cpu", quantization_bit=bits))
    whole, tok = factworld.load()
    fact = {"prompt": "Faeso Faerkov has a job at", "target_new": "Rinex Brothers", "subject": "Faeso Faerkov"}
    rates = [solve(own, tok, [fact], QLoraHyperParams(num_steps=1)).info["course"]["lr"] for own in (model, whole)]
    assert rates[0] / rates[1] == pytest.approx(1, abs=0.8)


@BITS
def test_an_edit_is_attached_scored_and_detached_exactly_a_hundred_times_over(bits):
    model = packed_llama(bits)
    said, packed, before = logits(model), packed_bytes(model), _loss(model)
    update = solve(model, tokenizer(), FACTS, QLoraHyperParams(**QUICK, quantization_bit=bits))
    update.commit(model)
    assert _loss(model) < before
    edited = logits(model)
    update.revert(model)
    for time in range(100):
        update.commit(model)
        assert time % 10 or torch.equal(logits(model), edited)
        update.revert(model)
        assert time % 10 or torch.equal(logits(model), said)
    assert torch.equal(logits(model), said)
    assert packed_bytes(model) == packed
    assert not any(projection.module._forward_hooks for projection in ModelAnatomy(model).projections)


@BITS
def test_edit_after_edit_is_made_on_the_packed_model_and_taken_out_again(bits):
    model = packed_llama(bits)
    said, packed = logits(model), packed_bytes(model)
    hparams = QLoraHyperParams(num_steps=2, rank=2, lr=1e-2, quantization_bit=bits)
    updates = []
    for seed in range(5):
        updates.append(solve(model, tokenizer(), FACTS[seed % 3 :][:1], hparams.replace(seed=seed)))
        updates[-1].commit(model)
        assert packed_bytes(model) == packed
    for update in reversed(updates):
        update.revert(model)
    assert torch.equal(logits(model), said)
    assert packed_bytes(model) == packed


@BITS
def test_easyedits_way_of_restoring_takes_it_out_too(bits):
    model = packed_llama(bits)
    said, packed = logits(model), packed_bytes(model)
    hparams = QLoraHyperParams(**QUICK, quantization_bit=bits)
    spec = ALGORITHMS["QLoRA-BF"]
    edited, originals = apply_to_model(spec, model, tokenizer(), FACTS, hparams, return_orig_weights=True)
    assert edited is model
    assert not torch.equal(logits(model), said)
    assert dict(WeightsCopy(model, originals).items()) == {}
    assert torch.equal(logits(model), said)
    assert packed_bytes(model) == packed


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[2]], ids=lambda shape: shape.name)
def test_a_model_that_is_not_packed_is_edited_as_by_lora(shape):
    theirs = solve(shape.build(), tokenizer(), FACTS, LoraHyperParams(**QUICK))
    ours = solve(shape.build(), tokenizer(), FACTS, QLoraHyperParams(**QUICK))
    assert all(torch.equal(delta.matrix(), theirs.deltas[name].matrix()) for name, delta in ours.deltas.items())


@BITS
def test_gpt2s_conv1d_is_packed_and_edited_as_well(bits):
    pytest.importorskip("bitsandbytes", reason="needs bitsandbytes to pack weights")
    from transformers import AutoModelForCausalLM

    config = SHAPES[0].build().config
    config.n_embd = 64
    with TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        hparams = QLoraHyperParams(
            **QUICK, model_name=folder, device="cpu", dtype="float32", quantization_bit=bits, target_modules=["all"]
        )
        model, tok = load_model(hparams)
    projections = ModelAnatomy(model).projections
    assert all(projection.quantized and not projection.transposed for projection in projections)
    said, packed, before = logits(model), packed_bytes(model), _loss(model)
    update = solve(model, tok, FACTS, hparams)
    update.commit(model)
    assert _loss(model) < before
    update.revert(model)
    assert torch.equal(logits(model), said)
    assert packed_bytes(model) == packed


@BITS
def test_a_checkpoint_that_would_lose_the_edit_is_refused_and_an_adapter_is_written(bits, tmp_path):
    model = packed_llama(bits)
    update = solve(model, tokenizer(), FACTS, QLoraHyperParams(**QUICK, quantization_bit=bits))
    with pytest.raises(UpdateError, match="use save or to_peft"):
        update.to_hf(model, tokenizer(), tmp_path / "model")
    assert not (tmp_path / "model").exists()
    update.to_peft(model, tmp_path / "adapter")
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()
