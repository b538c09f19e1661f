"""A model that cannot be edited whatever is done is told from an edit that went wrong."""

from __future__ import annotations

import pytest
import torch
import transformers
from architectures import NEW, tiny
from odd_tokenizers import byte_level
from transformers import AutoModelForCausalLM

from easyedit_ice import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.soundness import require_sound
from easyedit_ice.errors import UnknownTokenError, UnsoundModelError
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

REQUESTS = EditRequest.prepare(FACTS[:1])


@pytest.mark.parametrize("algorithm", ["LoRA-BF", "SVF", "FastROME", "FastICE", "FastGrad", "ICE-Grad"])
def test_weights_that_hold_nan_before_any_edit_are_named(algorithm):
    model = SHAPES[2].build()
    name = "transformer.h.1.mlp.c_fc.weight" if hasattr(model, "transformer") else "model.layers.1.mlp.up_proj.weight"
    with torch.no_grad():
        model.get_parameter(name)[0, 0] = torch.nan
    with pytest.raises(UnsoundModelError, match=rf"before any edit: {name} hold NaN") as caught:
        solve(model, tokenizer(), FACTS[:1], ALGORITHMS[algorithm].hparams_class())
    assert "lr" not in str(caught.value)


def test_a_type_that_overflows_is_named_and_not_the_learning_rate():
    model = SHAPES[2].build()
    with torch.no_grad():
        for parameter in model.model.layers.parameters():
            parameter.mul_(1e3)
    model.to(torch.float16)
    with pytest.raises(UnsoundModelError, match=r"overflow in float16; load it with dtype: bfloat16 or float32"):
        require_sound(model, tokenizer(), REQUESTS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_causal_model_is_sound(dtype):
    for name in ("GPT2", "Gemma3Text", "Falcon", "Lfm2"):
        require_sound(tiny(name, vocab_size=len(tokenizer())).to(dtype), tokenizer(), REQUESTS)


def test_an_encoder_that_transformers_loads_as_a_language_model_is_refused():
    config = transformers.BertConfig(**NEW | {"vocab_size": len(tokenizer())})
    with pytest.raises(UnsoundModelError, match="predicts a token by those that follow it"):
        require_sound(AutoModelForCausalLM.from_config(config).eval(), tokenizer(), REQUESTS)
    config.is_decoder = True
    require_sound(AutoModelForCausalLM.from_config(config).eval(), tokenizer(), REQUESTS)


def test_an_end_of_text_that_the_model_has_no_row_for_is_not_trained():
    tok = byte_level(eos_token="<end>")
    assert tok.eos_token_id >= 320
    hparams = ALGORITHMS["LoRA-BF"].hparams_class(num_steps=2, lr=1e-3, append_eos=True)
    model = tiny("Llama", vocab_size=320)
    update = solve(model, tok, FACTS[:1], hparams)
    assert update.info["fitted"]["append_eos"] is False


def test_a_tokenizer_of_another_model_is_refused_by_the_fact_at_fault():
    hparams = ALGORITHMS["LoRA-BF"].hparams_class(num_steps=1)
    with pytest.raises(UnknownTokenError, match=r"fact 0: the tokenizer makes token \d+ .*embeddings for 40 tokens"):
        solve(tiny("Llama", vocab_size=40), tokenizer(), FACTS, hparams)
