"""Facts are written into the experts that their subjects are routed to, and come out again to the bit."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from quick import of

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.delta import LowRankDelta
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import UpdateError
from easyedit_ice.planning.footprint import footprint
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.shrinking import in_dtype, tiny_decoder
from easyedit_ice.testing.tiny_models import tokenizer

ALGORITHMS_OF_EXPERTS = pytest.mark.parametrize("algorithm", ["FastROME", "FastMEMIT", "FastICE"])
KINDS = pytest.mark.parametrize("kind", ["mixtral", "qwen3_moe", "olmoe"])
FACTS = (
    {"prompt": "The capital of Avaria", "subject": "Avaria", "target_new": "Lodel"},
    {"prompt": "The work of Mira Tolven", "subject": "Mira Tolven", "target_new": "baker"},
)
"""Prompts that end with the subject: random weights carry little from one token to another."""
NAME = "model.layers.1.mlp.experts"


def _hparams(algorithm: str) -> EditHyperParams:
    settings = {"v_lr": 0.3, "clamp_norm_factor": 1e4, "context_template_length_params": [[4, 2]]}
    settings |= {"layers": [1], "mom2_dataset": "samples", "dynamic_multiplier": 3, "kept_weight": 0.1}
    return ALGORITHMS[algorithm].hparams_class(**of(algorithm, settings))


@cache
def _model(kind: str) -> torch.nn.Module:
    return tiny_decoder(kind)


@cache
def _update(kind: str, algorithm: str) -> WeightUpdate:
    return solve(_model(kind), tokenizer(), FACTS[:1], _hparams(algorithm))


@KINDS
@ALGORITHMS_OF_EXPERTS
def test_a_fact_goes_into_a_mixture_and_out_again_to_the_bit(kind: str, algorithm: str) -> None:
    model = _model(kind)
    before = state(model)
    update = _update(kind, algorithm)
    assert state(model) == before
    assert list(update.deltas) == [NAME]
    assert update.info["target_nll"]["after"][0] < update.info["target_nll"]["before"][0] - 0.3
    with update.applied(model):
        edited = state(model)
        assert {name for name in before if before[name] != edited[name]} == {f"{NAME}.down_proj"}
    assert state(model) == before


@KINDS
def test_experts_that_the_subject_is_not_routed_to_keep_their_bits(kind: str) -> None:
    model, update = _model(kind), _update(kind, "FastROME")
    experts = model.get_submodule(NAME)
    before = experts.down_proj.detach().clone()
    with update.applied(model):
        changed = (experts.down_proj != before).flatten(1).any(1)
    routed = update.keys[NAME].unflatten(1, (len(before), -1)).abs().sum((0, 2)) > 0
    assert changed.tolist() == routed.tolist()
    assert changed.any()


@ALGORITHMS_OF_EXPERTS
def test_an_update_of_experts_is_saved_and_loaded_to_the_bit(algorithm: str, tmp_path: Path) -> None:
    model, update = _model("qwen3_moe"), _update("qwen3_moe", algorithm)
    update.save(tmp_path / "update")
    with update.applied(model):
        edited = state(model)
    with WeightUpdate.load(tmp_path / "update").applied(model):
        assert state(model) == edited


def test_several_facts_go_into_experts_in_half_precision() -> None:
    model = in_dtype(_model("olmoe"), torch.bfloat16)
    before = state(model)
    update = solve(model, tokenizer(), FACTS, _hparams("FastMEMIT"))
    told = update.info["target_nll"]
    assert all(after < before - 0.3 for before, after in zip(told["before"], told["after"], strict=True))
    with update.applied(model):
        assert state(model) != before
    assert state(model) == before


def test_an_edited_mixture_is_a_checkpoint_of_transformers(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model, update = _model("mixtral"), _update("mixtral", "FastROME")
    update.to_hf(model, tokenizer(), tmp_path / "edited")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "edited")
    with update.applied(model):
        assert torch.equal(loaded.get_parameter(f"{NAME}.down_proj"), model.get_parameter(f"{NAME}.down_proj"))


def test_experts_are_no_lora_adapter(tmp_path: Path) -> None:
    with pytest.raises(UpdateError, match="fused experts are no module that LoRA adapts; use save or to_hf"):
        _update("mixtral", "FastROME").to_peft(_model("mixtral"), tmp_path)


def test_nor_is_what_peft_would_take_for_experts(tmp_path: Path) -> None:
    model, name = _model("qwen2_moe"), "model.layers.1.mlp.shared_expert.down_proj"
    rows, columns = model.get_submodule(name).weight.shape
    update = WeightUpdate({name: LowRankDelta(torch.ones(1, columns), torch.ones(rows, 1))}, {})
    with pytest.raises(UpdateError, match="peft may put a LoRA of this name into the experts of all blocks"):
        update.to_peft(model, tmp_path)
    other = "model.layers.1.self_attn.o_proj"
    rows, columns = model.get_submodule(other).weight.shape
    WeightUpdate({other: LowRankDelta(torch.ones(1, columns), torch.ones(rows, 1))}, {}).to_peft(model, tmp_path)
    tuned = PeftModel.from_pretrained(copy.deepcopy(model), str(tmp_path))
    assert {key.partition(".lora_")[0] for key, _ in tuned.named_parameters() if "lora_" in key} == {
        f"base_model.model.{other}"
    }


def test_the_plan_counts_a_second_moment_for_each_expert() -> None:
    model = _model("mixtral")
    count, _, inner = model.get_submodule(NAME).down_proj.shape
    assert footprint(model, _hparams("FastROME"), facts=1).second_moments == 8 * count * inner**2
