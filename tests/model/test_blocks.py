"""The decoder's blocks are found among others, and mixtures of experts are told from an MLP."""

from __future__ import annotations

import pytest
import torch
import transformers
from architectures import NEW, tiny
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.blocks import takes_attention_mask

EXPERTS = {
    "Mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "Olmoe": {"num_experts": 4, "num_experts_per_tok": 2},
    "Qwen3Moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    "Qwen2Moe": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 16,
    },
    "GptOss": {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 8},
}


def _mixture(name: str):
    config = getattr(transformers, f"{name}Config")(**NEW | EXPERTS[name])
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("name", EXPERTS)
@pytest.mark.parametrize("asked", ["mlp.out", "mlp.in", "all"])
def test_a_mixture_of_experts_is_never_edited_in_part_unasked(name, asked):
    anatomy = ModelAnatomy(_mixture(name))
    with pytest.raises(AnatomyError, match=r"a mixture of experts \(model\.layers\.0\.mlp\.experts.*attention\.out"):
        anatomy.match([asked])
    with pytest.raises(AnatomyError, match="mixture of experts"):
        anatomy.select("mlp", "in")
    assert {p.part for p in anatomy.match(["attention.in", "attention.out"])} == {"attention"}


def test_a_mixture_of_one_is_a_mixture_too():
    config = transformers.Qwen2MoeConfig(**NEW | EXPERTS["Qwen2Moe"] | {"num_experts": 1, "num_experts_per_tok": 1})
    with pytest.raises(AnatomyError, match="mixture of experts"):
        ModelAnatomy(AutoModelForCausalLM.from_config(config)).select("mlp", "out")


def test_functions_without_a_signature_are_no_attention():
    model = tiny("Llama")
    model.model.layers[0].mlp.act_fn.forward = torch.nn.functional.gelu
    assert len(ModelAnatomy(model).select("mlp", "out")) == NEW["num_hidden_layers"]
    assert not takes_attention_mask(model.model.layers[0].mlp.act_fn)


def test_a_shared_expert_is_edited_where_it_is_named():
    chosen = ModelAnatomy(_mixture("Qwen2Moe")).match(["shared_expert.down_proj"])
    assert len(chosen) == NEW["num_hidden_layers"]


def test_layers_without_experts_are_edited_as_any_other():
    config = transformers.Qwen3MoeConfig(**NEW | EXPERTS["Qwen3Moe"], mlp_only_layers=[1])
    anatomy = ModelAnatomy(AutoModelForCausalLM.from_config(config))
    assert [p.name for p in anatomy.select("mlp", "out", [1])] == ["model.layers.1.mlp.down_proj"]
    with pytest.raises(AnatomyError, match=r"layer 0.*layers without experts \(1\)"):
        anatomy.match(["mlp.out"])
    assert [p.experts for p in anatomy.select("mlp", "out")] == [4, 1, 4]


def test_an_image_encoder_is_never_taken_for_the_text_model():
    config = transformers.Gemma3Config(
        text_config=NEW | {"head_dim": 8},
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 5,
            "num_attention_heads": 4,
            "image_size": 28,
            "patch_size": 14,
        },
        mm_tokens_per_image=4,
    )
    anatomy = ModelAnatomy(AutoModelForCausalLM.from_config(config))
    assert anatomy.blocks_name == "model.language_model.layers"
    assert anatomy.num_layers == NEW["num_hidden_layers"]


def test_an_image_encoder_within_the_text_model_is_not_taken_for_it():
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 5, "num_attention_heads": 4}
    config = transformers.GitConfig(**NEW, vision_config=vision | {"image_size": 28, "patch_size": 14})
    assert ModelAnatomy(AutoModelForCausalLM.from_config(config)).blocks_name == "git.encoder.layer"


def test_an_encoder_with_a_decoder_is_refused():
    model = AutoModelForSeq2SeqLM.from_config(transformers.T5Config(vocab_size=64, d_model=32, num_layers=2))
    with pytest.raises(AnatomyError, match="has an encoder and a decoder"):
        ModelAnatomy(model)


def test_mpts_context_is_what_it_calls_max_seq_len():
    config = transformers.MptConfig(vocab_size=64, d_model=32, n_layers=2, n_heads=4, max_seq_len=24)
    assert ModelAnatomy(AutoModelForCausalLM.from_config(config)).context_length == 24


def test_what_comes_after_the_mlp_and_reads_less_is_not_its_output():
    settings = NEW | {"head_dim": 8, "hidden_size_per_layer_input": 4, "vocab_size_per_layer_input": 64}
    settings |= {
        "num_kv_shared_layers": 0,
        "layer_types": ["full_attention"] * 3,
        "intermediate_size": [48] * 3,
        "laurel_rank": 4,
    }
    if not hasattr(transformers, "Gemma3nTextConfig"):
        pytest.skip("this transformers has no Gemma3nText")
    config = transformers.Gemma3nTextConfig(**settings, activation_sparsity_pattern=[0.0] * 3)
    chosen = ModelAnatomy(AutoModelForCausalLM.from_config(config)).select("mlp", "out", [1])
    assert [p.name for p in chosen] == ["model.layers.1.mlp.down_proj"]
