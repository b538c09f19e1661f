"""Settings of EasyEdit's methods are made from a model's shape."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from architectures import ARCHITECTURES, tiny
from transformers import AutoModelForCausalLM, GPT2Config, GPTJConfig, LlamaConfig

from easyedit_ice.easyedit.methods.catalogue import HOST_METHODS
from easyedit_ice.easyedit.methods.host_settings import auto_settings, host_settings
from easyedit_ice.errors import HostError, HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy

LLAMA = LlamaConfig(num_hidden_layers=32, intermediate_size=11008, hidden_size=64, num_attention_heads=4)
GPT2 = GPT2Config(n_layer=48, n_inner=6400, n_embd=64, n_head=4)
GPTJ = GPTJConfig(n_layer=28, n_inner=16384, n_embd=64, n_head=4, rotary_dim=4)
# What EasyEdit's own files say: ROME's layer, MEMIT's and its weight, FT's layer, and where GRACE puts its keys.
PUBLISHED = {
    "Llama": (LLAMA, 5, range(4, 9), 15_000, 21, "model.layers[27].mlp.down_proj.weight", 70),
    "GPT-2 XL": (GPT2, 17, range(13, 18), 20_000, 0, "transformer.h[35].mlp.c_fc.weight", 30),
    "GPT-J": (GPTJ, 5, range(3, 9), 15_000, 21, "transformer.h[25].mlp.fc_out.weight", 50),
}
TEMPLATES = ("rewrite_module_tmp", "layer_module_tmp", "mlp_module_tmp", "attn_module_tmp")


def _anatomy(config: Any) -> ModelAnatomy:
    with torch.device("meta"):
        return ModelAnatomy(AutoModelForCausalLM.from_config(config))


@pytest.mark.parametrize("kind", PUBLISHED)
def test_the_published_models_get_their_published_settings(kind: str) -> None:
    config, rome, memit, weight, ft, grace, steps = PUBLISHED[kind]
    settings = {name: auto_settings(name, _anatomy(config)) for name in HOST_METHODS}
    assert settings["ROME"]["layers"] == [rome]
    assert settings["MEMIT"]["layers"] == list(memit)
    assert settings["MEMIT"]["mom2_update_weight"] == weight
    assert settings["MEMIT"]["v_loss_layer"] == settings["ROME"]["v_loss_layer"] == config.num_hidden_layers - 1
    assert settings["FT"]["layers"] == [ft]
    assert settings["GRACE"]["inner_params"] == [grace]
    assert settings["LoRA"]["num_steps"] == steps


def test_layers_keep_their_relative_depth_and_the_weight_its_ratio_to_the_inputs() -> None:
    shallow = LlamaConfig(num_hidden_layers=18, intermediate_size=2048, hidden_size=64, num_attention_heads=4)
    memit = auto_settings("MEMIT", _anatomy(shallow))
    assert memit["layers"] == [2, 3, 4]
    assert memit["mom2_update_weight"] / 2048 == pytest.approx(15_000 / 11008, rel=1e-4)
    assert auto_settings("ROME", _anatomy(shallow))["layers"] == [3]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_paths_lead_to_modules_of_the_model(name: str) -> None:
    model = tiny(name)
    anatomy = ModelAnatomy(model)
    rome, lora, ultra = (auto_settings(method, anatomy) for method in ("ROME", "LoRA", "ULTRAEDIT"))
    for template in TEMPLATES:
        assert isinstance(model.get_submodule(rome[template].format(rome["layers"][0])), torch.nn.Module)
    assert model.get_submodule(rome["rewrite_module_tmp"].format(0)).weight.numel() == 32 * 48
    assert model.get_submodule(rome["ln_f_module"]).weight.shape == (32,)
    assert model.get_submodule(rome["lm_head_module"]).weight is model.get_output_embeddings().weight
    attention = {projection.name for projection in anatomy.select("attention", "in")}
    assert all(any(path.endswith(f".{module}") for path in attention) for module in lora["target_modules"])
    assert all(model.get_submodule(path).weight.ndim == 2 for path in ultra["inner_params"])
    for method in ("WISE", "GRACE", "DEFER"):
        [path] = auto_settings(method, anatomy)["inner_params"]
        assert eval(f"model.{path}").shape in ((32, 48), (48, 32)), "EasyEdit evaluates the name"


def test_a_tied_head_is_named_by_the_name_that_its_weight_goes_by() -> None:
    model = tiny("Llama", tie_word_embeddings=True)
    head = auto_settings("MEMIT", ModelAnatomy(model))["lm_head_module"]
    assert f"{head}.weight" in dict(model.named_parameters())


@pytest.mark.parametrize("architecture", ["GPT2", "Gemma3Text"])
@pytest.mark.parametrize("method", HOST_METHODS)
def test_easyedit_takes_the_settings_and_changes_to_them(method: str, architecture: str) -> None:
    anatomy = ModelAnatomy(tiny(architecture))
    try:
        hparams = host_settings(method, "auto", {}, anatomy)
    except HostError as error:
        pytest.skip(str(error))
    assert hparams.alg_name == method
    if hasattr(hparams, "layers"):
        assert host_settings(method, "auto", {"layers": [1]}, anatomy).layers == [1]
    with pytest.raises(HyperParamsError, match="has no setting 'leyers'"):
        host_settings(method, "auto", {"leyers": [1]}, anatomy)


def test_a_shape_is_wanted() -> None:
    with pytest.raises(HyperParamsError, match="give its anatomy"):
        host_settings("ROME", "auto", {})
