"""What a model goes through after it was edited: it changes it, in the way it says, and is taken back to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.errors import AfterlifeError, RunConfigError
from easyedit_ice.evaluation.afterlife import Course, Treatment, chosen, names_of, treated
from easyedit_ice.evaluation.afterlife.training import train_all, train_lora
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.runtime.cache import fingerprint
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer

TEXTS = ("The tower stands in the old town", "A river runs through it", "Nobody knows when it was built")
COURSE = Course(TEXTS, steps=3, learning_rate=1e-2, rank=2)


def bits(model: nn.Module) -> str:
    return fingerprint(model.state_dict().items())


def loss(model: nn.Module, text: str) -> float:
    ids = torch.tensor([tokenizer()(text)["input_ids"]])
    with torch.no_grad():
        return model(input_ids=ids, labels=ids).loss.item()


@pytest.fixture(params=SHAPES, ids=lambda shape: shape.name)
def shaped(request: pytest.FixtureRequest) -> nn.Module:
    return request.param.build()


def test_every_treatment_changes_the_model_and_leaves_no_bit_behind(shaped: nn.Module) -> None:
    pytest.importorskip("bitsandbytes")
    before, modules, state = bits(shaped), list(shaped.modules()), torch.get_rng_state()
    flags = [own.requires_grad for own in shaped.parameters()]
    found = {}
    for treatment in chosen(["all"], COURSE, shaped, tokenizer()):
        for _ in range(2):
            with treated(shaped, tokenizer(), treatment):
                found.setdefault(treatment.name, set()).add(bits(shaped))
        assert bits(shaped) == before
    assert all(len(own) == 1 and before not in own for own in found.values())
    assert len(set.union(*found.values())) == len(found) - (found["lora"] == found["merge"])
    assert all(one is other for one, other in zip(shaped.modules(), modules, strict=True))
    assert [own.requires_grad for own in shaped.parameters()] == flags
    assert all(own.grad is None for own in shaped.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_treatment_that_leaves_no_numbers_is_an_error_and_is_taken_back(model: nn.Module) -> None:
    before = bits(model)
    (merge,) = chosen(["merge"], Course(TEXTS, steps=1, rank=2, scale=1e39), model, tokenizer())
    with pytest.raises(AfterlifeError, match=r"'merge' left .* infinite or not a number; lower"):  # noqa: SIM117
        with treated(model, tokenizer(), merge):
            raise AssertionError("the model is asked nothing")
    assert bits(model) == before


def test_a_treatment_that_fails_leaves_no_bit_behind(model: nn.Module) -> None:
    def fail(model: nn.Module, tok: Any) -> None:
        next(model.parameters()).data.add_(1)
        raise AfterlifeError("on purpose")

    before = bits(model)
    with pytest.raises(AfterlifeError, match="on purpose"), treated(model, tokenizer(), Treatment("f", "", fail)):
        pass
    assert bits(model) == before


def test_trained_models_go_on_ending_their_texts(model: nn.Module) -> None:
    tok = tokenizer()
    ids = torch.tensor([tok(TEXTS[1])["input_ids"]])

    def ends() -> float:
        with torch.no_grad():
            return model(input_ids=ids).logits[0, -1].log_softmax(-1)[tok.eos_token_id].item()

    before, course = ends(), Course(TEXTS[1:2], steps=10, learning_rate=1e-2)
    with treated(model, tok, Treatment("t", "", lambda model, tok: train_all(model, tok, course))):
        assert ends() > before + 1


def test_narrow_weights_are_trained_in_fp32_and_rounded_once(model: nn.Module) -> None:
    wide, narrow = model.bfloat16().float(), SHAPES[0].build().bfloat16()
    course = Course(TEXTS, steps=3, learning_rate=1e-5)
    train_all(wide, tokenizer(), course)
    before = bits(narrow)
    treatment = Treatment("t", "", lambda model, tok: train_all(model, tok, course))
    with treated(narrow, tokenizer(), treatment):
        assert bits(narrow) == bits(wide.bfloat16())
    assert bits(narrow) == before
    course = Course(TEXTS, steps=3, learning_rate=1e30)
    with pytest.raises(AfterlifeError, match="the loss is"), treated(narrow, tokenizer(), treatment):
        pass
    assert bits(narrow) == before


@pytest.mark.parametrize("train", [train_all, train_lora])
def test_training_lowers_the_loss_of_its_texts(model: nn.Module, train: Any) -> None:
    before = loss(model, TEXTS[0])
    course = Course(TEXTS[:1], steps=10, learning_rate=1e-2, rank=2)
    with treated(model, tokenizer(), Treatment("t", "", lambda model, tok: train(model, tok, course))):
        assert loss(model, TEXTS[0]) < before - 0.1


def test_a_merge_adds_what_was_learnt_on_the_unedited_model_by_its_scale(model: nn.Module) -> None:
    name, weight = next((n, p) for n, p in model.named_parameters() if n.endswith("mlp.c_proj.weight"))
    base, tok = weight.detach().clone(), tokenizer()
    changes = {}
    for scale in (0.0, 1.0, 3.0):
        (merge,) = chosen(["merge"], Course(TEXTS, steps=3, learning_rate=1e-2, rank=2, scale=scale), model, tok)
        with torch.no_grad():
            weight.add_(1)  # the edit
        with treated(model, tok, merge):
            changes[scale] = model.get_parameter(name).detach() - base - 1
        with torch.no_grad():
            weight.copy_(base)
    assert changes[0.0].abs().max() < 1e-6 < 1e-3 < changes[1.0].abs().max()
    torch.testing.assert_close(changes[3.0], 3 * changes[1.0], atol=1e-5, rtol=0)


def test_an_adapter_of_a_folder_is_merged_and_another_models_is_refused(model: nn.Module, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    before = bits(model)
    with treated(model, tokenizer(), Treatment("none", "", lambda model, tok: None)):
        config = LoraConfig(r=2, target_modules=["mlp.c_proj"], init_lora_weights=False, fan_in_fan_out=True)
        get_peft_model(model, config).save_pretrained(tmp_path)
    (merge,) = chosen(["merge"], Course((), adapter=str(tmp_path)), model, tokenizer())
    with treated(model, tokenizer(), merge):
        assert bits(model) != before
    assert bits(model) == before
    with pytest.raises(AfterlifeError, match="holds no adapter that can be merged into Llama"):
        chosen(["merge"], Course((), adapter=str(tmp_path)), SHAPES[-1].build(), tokenizer())


@pytest.mark.parametrize("number", [4, 8])
def test_rounded_weights_are_those_that_transformers_loads_in_so_many_bits(tmp_path: Path, number: int) -> None:
    pytest.importorskip("bitsandbytes")
    from transformers import AutoModelForCausalLM, LlamaConfig

    config = LlamaConfig(
        vocab_size=len(tokenizer()), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    plain = AutoModelForCausalLM.from_config(config)
    plain.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    settings = {"model_name": str(tmp_path), "device": "cpu", "dtype": "float32"}
    packed, tok = load_model(EditHyperParams(**settings, quantization_bit=number))
    loaded, _ = load_model(EditHyperParams(**settings))
    patterns = ["mlp.in", "mlp.out", "attention.in", "attention.out"]
    (rounding,) = chosen([f"quantise{number}"], Course(()), loaded, tok)
    with treated(loaded, tok, rounding):
        for own, other in zip(
            ModelAnatomy(loaded).match(patterns, [0, 1]), ModelAnatomy(packed).match(patterns, [0, 1]), strict=True
        ):
            torch.testing.assert_close(own.matrix(), other.matrix(), atol=0 if number == 4 else 1e-6, rtol=0)
    with pytest.raises(AfterlifeError, match="packed in 4 or 8 bits"), treated(packed, tok, rounding):
        pass


def test_what_cannot_be_done_is_named(model: nn.Module) -> None:
    with pytest.raises(RunConfigError, match=r"no treatment 'quantize4'.*Did you mean 'quantise4'"):
        names_of(["quantize4"])
    assert names_of(["quantise8", "finetune"]) == ("finetune", "quantise8")
    for course, told in (
        (Course(TEXTS, steps=3, learning_rate=1e30), "the loss is .*afterlife_learning_rate"),
        (Course(("",), steps=3), "there is no text to train on"),
    ):
        (finetune,) = chosen(["finetune"], course, model, tokenizer())
        before = bits(model)
        with pytest.raises(AfterlifeError, match=told), treated(model, tokenizer(), finetune):
            pass
        assert bits(model) == before
