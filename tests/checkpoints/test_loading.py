"""Models load as the hyperparameters say."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from odd_tokenizers import byte_level
from packed import packed_llama

from easyedit_ice.checkpoints.loading import load_model, load_shapes
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.errors import LoadingError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.device import resolve_device
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer


@pytest.fixture(params=[SHAPES[0], SHAPES[3]], ids=[SHAPES[0].name, SHAPES[3].name])
def checkpoint(request, tmp_path):
    """A folder whose name tells nothing, or something else."""
    folder = tmp_path / "t5-chatglm"
    request.param.build().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return request.param, folder


def _load(folder, **settings):
    return load_model(EditHyperParams(model_name=str(folder), device="cpu", **settings))


def test_architecture_weights_and_dtype_are_the_checkpoints(checkpoint):
    shape, folder = checkpoint
    model, tok = _load(folder)
    expected = shape.build()
    assert type(model) is type(expected)
    assert not model.training
    assert all(torch.equal(p, expected.get_parameter(name)) for name, p in model.named_parameters())
    assert tok.encode("The capital of Avaria") == tokenizer().encode("The capital of Avaria")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_dtype_asked_for_is_the_one_loaded(checkpoint, dtype):
    model, _ = _load(checkpoint[1], dtype=dtype)
    assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, dtype)}


def test_a_tokenizer_without_a_padding_token_gets_one(tmp_path):
    from transformers import PreTrainedTokenizerFast

    SHAPES[0].build().save_pretrained(tmp_path)
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer()._tokenizer, eos_token="<|endoftext|>")
    bare.save_pretrained(tmp_path)
    _, tok = _load(tmp_path)
    assert tok.pad_token == "<|endoftext|>"


def test_a_model_must_be_named():
    with pytest.raises(LoadingError, match="model_name is not set"):
        load_model(EditHyperParams())


@pytest.mark.parametrize("content", [None, "{}", '{"model_type": "unheard"}'])
def test_a_folder_without_a_model_is_refused_by_name(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(LoadingError, match=r"(?s)cannot be loaded.*give the folder of a") as caught:
        _load(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_are_packed_on_request(bits):
    assert all(projection.quantized for projection in ModelAnatomy(packed_llama(bits)).projections)


@pytest.mark.parametrize(
    ("device", "gpus", "meant"),
    [
        (None, False, "cpu"),
        (0, False, "cpu"),
        ("cpu", True, "cpu"),
        (None, True, "cuda:0"),
        (1, True, "cuda:1"),
        ("1", True, "cuda:1"),
        ("cuda:1", True, "cuda:1"),
    ],
)
def test_the_device_is_resolved(monkeypatch, device, gpus, meant):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus)
    assert resolve_device(device) == torch.device(meant)


@pytest.mark.parametrize(("device", "words"), [("cuda:0", "sees no GPU; set device: cpu"), ("gpu", "'gpu'; expected")])
def test_a_device_that_is_not_there_is_refused(monkeypatch, device, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(LoadingError, match=words):
        resolve_device(device)


def test_code_of_a_checkpoints_own_is_never_run(checkpoint):
    _, folder = checkpoint
    marker = folder / "ran"
    (folder / "own.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Config: ...\nclass Model: ...\n")
    told = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
    (folder / "config.json").write_text(json.dumps(told | {"model_type": "unheard", "auto_map": own}))
    for load in (_load, lambda folder: load_shapes(EditHyperParams(model_name=str(folder)))):
        with pytest.raises(LoadingError, match=r"code in the checkpoint \(auto_map\), which is never run"):
            load(folder)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"garbage"),
        ("model.safetensors", b""),
        ("tokenizer.json", b"{}"),
        ("config.json", b"[]"),
        ("config.json", b'{"model_type": "gpt2", "n_embd": "x"}'),
        ("config.json", b'{"model_type": "llama", "hidden_size": 0}'),
        ("config.json", b"[" * 100_000),
        ("config.json", b'{"model_type": "llama", "hidden_size": 64}'),
    ],
)
def test_strangers_files_are_refused_by_name(checkpoint, name, content):
    _, folder = checkpoint
    (folder / name).write_bytes(content)
    with pytest.raises(LoadingError, match=r"(?s)cannot be loaded|no weights for"):
        _load(folder)


def test_weights_that_are_missing_are_not_made_up(checkpoint):
    from safetensors.torch import load_file, save_file

    _, folder = checkpoint
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if "mlp" in name)
    save_file({k: v for k, v in weights.items() if k != lost}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LoadingError, match=f"no weights for {lost}"):
        _load(folder)


def test_a_pickle_is_not_run(checkpoint):
    _, folder = checkpoint
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(print))
    with pytest.raises(LoadingError, match="cannot be loaded"):
        _load(folder)


def test_the_folder_of_an_adapter_is_told_from_a_model(checkpoint):
    _, folder = checkpoint
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "somewhere"}')
    with pytest.raises(LoadingError, match=r"holds an adapter of peft's.*merge_and_unload"):
        _load(folder)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_a_name_that_no_folder_can_have_is_refused(name):
    with pytest.raises(LoadingError):
        _load(name)


def test_a_tokenizer_without_an_end_is_taken_as_it_is(tmp_path):
    SHAPES[0].build().save_pretrained(tmp_path)
    byte_level(eos_token=None).save_pretrained(tmp_path)
    _, tok = _load(tmp_path)
    assert tok.pad_token is None
