"""An adapter fits the matrices it changes, or is refused before it takes any memory."""

from __future__ import annotations

import pytest
import transformers
from transformers import AutoModelForCausalLM

from easyedit_ice import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.errors import AnatomyError, HyperParamsError
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer


@pytest.mark.parametrize("algorithm", ["LoRA-BF", "DoRA", "AdaLoRA", "ICE-LoRA", "GoRA"])
def test_a_rank_beyond_every_matrix_is_refused(algorithm):
    hparams = ALGORITHMS[algorithm].hparams_class(rank=1_000_000, num_steps=6, lr=1e-3)
    with pytest.raises(HyperParamsError, match=r"rank is 1000000, and model\.layers.* a rank of 32 at most"):
        solve(SHAPES[2].build(), tokenizer(), FACTS[:1], hparams)


def test_adaloras_first_rank_is_bounded_too():
    hparams = ALGORITHMS["AdaLoRA"].hparams_class(rank=4, init_r=40, num_steps=6, lr=1e-3)
    with pytest.raises(HyperParamsError, match="init_r is 40"):
        solve(SHAPES[2].build(), tokenizer(), FACTS[:1], hparams)


def _mamba():
    config = transformers.MambaConfig(vocab_size=len(tokenizer()), hidden_size=32, state_size=4, num_hidden_layers=2)
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_mamba_is_edited_where_asked_or_refused_by_name(algorithm):
    cls = ALGORITHMS[algorithm].hparams_class
    with pytest.raises(AnatomyError, match="no projection matches"):
        solve(_mamba(), tokenizer(), FACTS[:1], cls())
    if hasattr(cls(), "target_modules"):
        rank = {"rank": 2} if ALGORITHMS[algorithm].has_setting("rank") else {}
        hparams = cls(target_modules=["all"], layers=[0], num_steps=6, lr=1e-3, **rank)
        try:
            assert solve(_mamba(), tokenizer(), FACTS[:1], hparams).deltas
        except AnatomyError as error:
            assert "target_modules" in str(error)


def test_projections_that_peft_passes_over_are_named(monkeypatch):
    from peft import LoraModel

    class Renaming(LoraModel):
        def __init__(self, model, config, name):
            config["edit"].target_modules = {"model.layers.0.mlp.up_proj"}
            super().__init__(model, config, name)

    monkeypatch.setattr("peft.tuners.lora.LoraModel", Renaming)
    hparams = ALGORITHMS["LoRA-BF"].hparams_class(target_modules=["down_proj"], layers=[1], num_steps=2, lr=1e-3)
    with pytest.raises(
        AnatomyError, match=r"no .* layers for model\.layers\.1\.mlp\.down_proj \(it has passed them over"
    ):
        solve(SHAPES[2].build(), tokenizer(), FACTS[:1], hparams)
