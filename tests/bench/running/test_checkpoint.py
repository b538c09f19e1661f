"""Adapters of strangers are put into a model whole, or refused by name."""

from __future__ import annotations

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from easyedit_ice.bench.running.checkpoint import load_checkpoint
from easyedit_ice.errors import LoadingError
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


@pytest.fixture
def base(tmp_path):
    SHAPES[2].build().save_pretrained(tmp_path / "base")
    tokenizer().save_pretrained(tmp_path / "base")
    return str(tmp_path / "base")


@pytest.fixture
def adapter(tmp_path):
    config = LoraConfig(r=2, target_modules=["down_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    get_peft_model(SHAPES[2].build(), config).save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def _rename(folder, old, new):
    tensors = load_file(folder / WEIGHTS)
    save_file({name.replace(old, new): tensor for name, tensor in tensors.items()}, folder / WEIGHTS)


def _config(folder, **changes):
    told = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(told | changes))


def test_a_whole_adapter_is_merged(base, adapter):
    edited = load_checkpoint(adapter, base, device="cpu")
    assert edited.kind == "adapter"
    assert not torch.equal(
        edited.model.model.layers[0].mlp.down_proj.weight, SHAPES[2].build().model.layers[0].mlp.down_proj.weight
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: _rename(folder, "layers", "blocks"),
        lambda folder: _rename(folder, "layers.1", "layers.7"),
        lambda folder: save_file({}, folder / WEIGHTS),
        lambda folder: (folder / WEIGHTS).write_bytes(b"garbage"),
        lambda folder: (folder / WEIGHTS).unlink(),
        lambda folder: (folder / CONFIG).write_text("{"),
        lambda folder: (folder / CONFIG).write_text("[]"),
        lambda folder: _config(folder, peft_type="UNHEARD"),
        lambda folder: _config(folder, target_modules=["c_proj"]),
        lambda folder: _config(folder, r=3),
    ],
    ids=["no key matches", "one does not", "empty", "garbage", "absent", "half", "a list", "type", "modules", "rank"],
)
def test_an_adapter_that_does_not_fit_is_refused_by_name(base, adapter, damage):
    damage(adapter)
    with pytest.raises(LoadingError, match="adapter"):
        load_checkpoint(adapter, base, device="cpu")
