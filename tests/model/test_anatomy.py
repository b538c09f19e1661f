"""Layers and projections are found by structure."""

from __future__ import annotations

import pytest
import torch
import transformers
from architectures import ARCHITECTURES, LAYERS, LLAMA_LIKE, WIDTH, tiny
from packed import packed_llama
from transformers import AutoModelForCausalLM, MixtralConfig, OPTConfig, OPTForCausalLM

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer


def _found(anatomy: ModelAnatomy, layer: int) -> dict[str, set[str]]:
    prefix = f"{anatomy.layer_name(layer)}."
    return {
        kind: {projection.name.removeprefix(prefix) for projection in anatomy.match([kind], [layer])}
        for kind in ("attention.in", "attention.out", "mlp.in", "mlp.out")
    }


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_layers_and_roles_are_found(name):
    anatomy = ModelAnatomy(tiny(name))
    assert (anatomy.num_layers, anatomy.hidden_size, anatomy.context_length) == (LAYERS, WIDTH, 64)
    for layer in range(LAYERS):
        assert _found(anatomy, layer) == ARCHITECTURES[name][1]


@pytest.mark.parametrize("name", ["GPT2", "Llama", "Phi", "OPT"])
def test_roles_do_not_depend_on_the_mlp_being_wider_than_the_stream(name):
    square = {"n_inner": WIDTH} if name == "GPT2" else {"intermediate_size": WIDTH, "ffn_dim": WIDTH}
    assert _found(ModelAnatomy(tiny(name, **square)), 1) == ARCHITECTURES[name][1]


@pytest.mark.parametrize("name", ["GPT2", "Llama"])
def test_the_models_name_plays_no_part(name):
    model = tiny(name)
    model.config.model_type = "something_else"
    model.config._name_or_path = "nowhere/t5-small"
    model.__class__ = type("Unheard", (type(model),), {})
    assert _found(ModelAnatomy(model), 0) == ARCHITECTURES[name][1]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_widths_and_orientation_are_those_of_the_weight(name):
    for projection in ModelAnatomy(tiny(name)).projections:
        matrix = torch.zeros(projection.out_features, projection.in_features)
        assert projection.as_stored(matrix).shape == projection.module.weight.shape
        assert projection.transposed == (name == "GPT2")
        assert not projection.quantized


def test_the_weights_name_is_a_parameter_of_the_model():
    model = tiny("GPT2")
    for projection in ModelAnatomy(model).projections:
        assert model.get_parameter(projection.weight_name) is projection.module.weight


@pytest.mark.parametrize(("name", "tied"), [("GPT2", True), ("Llama", False)])
def test_tied_embeddings_are_told(name, tied):
    assert ModelAnatomy(tiny(name, tie_word_embeddings=tied)).tied is tied


def test_a_context_without_a_limit_is_none():
    config = transformers.BloomConfig(vocab_size=64, hidden_size=WIDTH, n_layer=LAYERS, n_head=4)
    assert ModelAnatomy(AutoModelForCausalLM.from_config(config)).context_length is None


@pytest.mark.parametrize(("asked", "meant"), [([-1], {2}), ([0, -3], {0}), ([-2, 2], {1, 2}), (None, {0, 1, 2})])
def test_negative_layers_count_from_the_last(asked, meant):
    chosen = ModelAnatomy(tiny("Llama")).match(["mlp.out"], asked)
    assert {projection.layer for projection in chosen} == meant


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_does_not_exist_is_refused(layer):
    with pytest.raises(AnatomyError, match=f"layer {layer} does not exist.*3 layers.*0 to 2"):
        ModelAnatomy(tiny("Llama")).select(layers=[layer])


@pytest.mark.parametrize(
    ("name", "patterns", "meant"),
    [
        ("GPT2", ["c_proj"], {"attn.c_proj", "mlp.c_proj"}),
        ("GPT2", ["mlp.c_proj"], {"mlp.c_proj"}),
        ("GPT2", ["transformer.h.1.attn.c_attn"], {"attn.c_attn"}),
        ("Llama", ["q_proj", "v_proj"], {"self_attn.q_proj", "self_attn.v_proj"}),
        ("Llama", ["mlp.out", "attention.out"], {"mlp.down_proj", "self_attn.o_proj"}),
        ("Llama", ["all"], set().union(*LLAMA_LIKE.values())),
    ],
)
def test_projections_are_chosen_by_structure_or_by_the_end_of_their_names(name, patterns, meant):
    anatomy = ModelAnatomy(tiny(name))
    chosen = anatomy.match(patterns, [1])
    assert {projection.name.removeprefix(f"{anatomy.layer_name(1)}.") for projection in chosen} == meant


def test_a_pattern_must_end_a_name_at_a_dot():
    with pytest.raises(AnatomyError):
        ModelAnatomy(tiny("Llama")).match(["proj"])


def test_the_error_lists_what_the_model_has():
    with pytest.raises(AnatomyError, match=r"'c_attn'.*LlamaForCausalLM has mlp\.down_proj.*self_attn\.v_proj.*'all'"):
        ModelAnatomy(tiny("Llama")).match(["c_attn"])


def test_one_pattern_without_a_match_is_refused_even_if_another_matches():
    with pytest.raises(AnatomyError, match="'c_attn'"):
        ModelAnatomy(tiny("Llama")).match(["q_proj", "c_attn"])


def test_a_projection_is_found_by_its_path():
    anatomy = ModelAnatomy(tiny("Llama"))
    name = "model.layers.1.mlp.down_proj"
    assert anatomy.projection(name).module is anatomy.model.get_submodule(name)
    with pytest.raises(AnatomyError, match="no_such"):
        anatomy.projection("model.layers.1.no_such")


def test_a_model_without_decoder_blocks_is_refused():
    with pytest.raises(AnatomyError, match="no list of decoder blocks was found in Sequential"):
        ModelAnatomy(torch.nn.Sequential(torch.nn.Linear(2, 2)))


@pytest.mark.parametrize("bits", [4, 8])
def test_packed_weights_are_recognised(bits):
    projections = ModelAnatomy(packed_llama(bits)).projections
    assert all(projection.quantized for projection in projections)
    down = next(projection for projection in projections if projection.name.endswith("down_proj"))
    assert (down.in_features, down.out_features) == (128, 64)


def test_the_tiny_models_have_what_their_names_say():
    for shape in SHAPES:
        model = shape.build()
        anatomy = ModelAnatomy(model)
        assert all(p.transposed == ("Conv1D" in shape.name) for p in anatomy.projections)
        assert anatomy.tied == ("untied" not in shape.name)
        assert {parameter.dtype for parameter in model.parameters()} == {shape.dtype}
        assert model.get_input_embeddings().num_embeddings == len(tokenizer())


def _opt_350m() -> OPTForCausalLM:
    """Small, with embeddings half as wide as its stream."""
    shape = {"hidden_size": 32, "word_embed_proj_dim": 16, "ffn_dim": 64, "num_hidden_layers": 2}
    rest = {"num_attention_heads": 4, "max_position_embeddings": 128, "do_layer_norm_before": False}
    return OPTForCausalLM(OPTConfig(vocab_size=len(tokenizer()), **shape, **rest)).eval()


def test_embeddings_may_be_narrower_than_the_stream() -> None:
    anatomy = ModelAnatomy(_opt_350m())
    assert anatomy.hidden_size == 32
    assert _found(anatomy, 0)["mlp.out"] == {"fc2"}
    assert _found(anatomy, 0)["attention.out"] == {"self_attn.out_proj"}


@pytest.mark.parametrize("name", ["FastMEMIT", "FastGrad", "ICE-Grad", "LoRA-BF"])
def test_a_model_with_narrower_embeddings_is_edited_and_undone(name: str) -> None:
    model, algorithm = _opt_350m(), ALGORITHMS[name]
    before = {path: parameter.clone() for path, parameter in model.named_parameters()}
    update = solve(model, tokenizer(), FACTS[:1], algorithm.hparams_class())
    assert all(path.endswith("fc2") for path in update.deltas)
    update.commit(model)
    update.revert(model)
    assert all(torch.equal(parameter, before[path]) for path, parameter in model.named_parameters())


def test_of_a_fact_that_such_a_model_does_not_follow_fast_ice_says_so() -> None:
    with pytest.raises(AnatomyError, match="its head reads 16 values where its last block writes 32"):
        solve(_opt_350m(), tokenizer(), FACTS[:1], ALGORITHMS["FastICE"].hparams_class())


def test_an_mlp_is_a_module_of_its_own_or_none():
    """From the residual stream to it; of blocks that hold their projections themselves, and mixtures, there is none."""
    gpt2, llama = (ModelAnatomy(SHAPES[place].build()) for place in (0, 2))
    assert {layer: mlp.name for layer, mlp in gpt2.mlps.items()} == {
        0: "transformer.h.0.mlp",
        1: "transformer.h.1.mlp",
    }
    mlp = llama.mlps[1]
    assert (mlp.name, mlp.in_features, mlp.out_features) == ("model.layers.1.mlp", 32, 32)
    assert llama.site("model.layers.1.mlp") == mlp
    assert llama.site("model.layers.1.mlp.down_proj") == llama.projection("model.layers.1.mlp.down_proj")
    opt = OPTConfig(
        vocab_size=64, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=32
    )
    mixtral = MixtralConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=2,
    )
    for config in (opt, mixtral):
        assert ModelAnatomy(AutoModelForCausalLM.from_config(config)).mlps == {}
    with pytest.raises(AnatomyError, match="no projection matches"):
        llama.site("model.layers.9.mlp")
