"""GGUF files become checkpoints once, and sound ones alone are used."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from gguf import GGUFReader, dequantize
from made_gguf import tiny_llama, write_gguf
from transformers import Gemma3TextConfig

from easyedit_ice.checkpoints.conversion import CONVERSIONS, conversions, converted, folder_of
from easyedit_ice.checkpoints.gguf_files import GgufSource
from easyedit_ice.checkpoints.gguf_positions import state_scaling
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.errors import DamagedFileError, LoadingError
from easyedit_ice.testing.tiny_models import tokenizer


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _load(name: Path | str):
    return load_model(EditHyperParams(model_name=str(name), device="cpu"))


def test_a_gguf_file_loads_as_the_model_it_was_made_of(tiny_file: Path) -> None:
    model, tok = _load(tiny_file)
    packed = {tensor.name: tensor for tensor in GGUFReader(tiny_file).tensors}
    down = packed["blk.1.ffn_down.weight"]
    assert torch.equal(
        model.model.layers[1].mlp.down_proj.weight, torch.from_numpy(dequantize(down.data, down.tensor_type).copy())
    )
    ids = tokenizer()("The capital of Avaria is", return_tensors="pt").input_ids
    assert torch.equal(tok("The capital of Avaria is", return_tensors="pt").input_ids, ids)
    assert torch.allclose(model(ids).logits, tiny_llama()(ids).logits, atol=0.02)
    assert model.dtype == torch.float32 and not getattr(model, "is_quantized", False)


def test_name_ends_and_template_come_with_it(tmp_path: Path) -> None:
    file = write_gguf(tiny_llama(), tmp_path / "talker.gguf", eot_token_id=5)
    model, tok = _load(file)
    assert Path(model.config._name_or_path).name == "talker"
    assert model.generation_config.eos_token_id == [tokenizer().eos_token_id, 5]
    assert tok.apply_chat_template([{"role": "user", "content": "Avaria"}], tokenize=False) == "Avaria"
    assert (tok.eos_token_id, tok.pad_token_id) == (tokenizer().eos_token_id, tokenizer().pad_token_id)


def test_smollm_sets_digits_apart_before_all_else(tmp_path: Path) -> None:
    _, tok = _load(write_gguf(tiny_llama(), tmp_path / "smollm.gguf", pre="smollm"))
    pieces = [piece for piece, _ in tok.backend_tokenizer.pre_tokenizer.pre_tokenize_str("In\n\n20")]
    assert pieces == ["In", "ĊĊ", "2", "0"]


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


@pytest.mark.parametrize("scaling", [{"rope_type": "linear", "factor": 4.0}, LLAMA3], ids=["linear", "llama3"])
def test_positions_are_scaled_as_the_file_says(scaling: dict[str, Any], tmp_path: Path) -> None:
    made = tiny_llama(**scaling)
    model, _ = _load(write_gguf(made, tmp_path / "scaled.gguf", kind="F32"))
    assert not torch.equal(made.model.rotary_emb.inv_freq, tiny_llama().model.rotary_emb.inv_freq)
    assert torch.allclose(model.model.rotary_emb.inv_freq, made.model.rotary_emb.inv_freq, rtol=1e-6)
    ids = torch.arange(3, 103)[None] % model.config.vocab_size
    assert torch.allclose(model(ids).logits, made(ids).logits, atol=1e-5)


@pytest.mark.parametrize(
    ("scaling", "named"),
    [
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}, "yarn"),
        (LLAMA3 | {"high_freq_factor": 8.0}, "rope_freqs.weight"),
    ],
    ids=["yarn", "like llama3"],
)
def test_positions_that_are_scaled_in_another_way_are_refused(
    scaling: dict[str, Any], named: str, tmp_path: Path
) -> None:
    file = write_gguf(tiny_llama(**scaling), tmp_path / "scaled.gguf")
    with pytest.raises(LoadingError, match=f"scales rotary positions .*{named}"):
        _load(file)


@pytest.mark.parametrize(
    ("entries", "factor"),
    [
        ({"scaling.factor": 4.0}, 4.0),
        ({"scale_linear": 4.0}, 4.0),
        ({"scaling.type": "linear"}, 1.0),
        ({"scaling.type": "linear", "scaling.factor": 0.0}, 1.0),
        ({"scaling.type": "none", "scaling.factor": 4.0}, 1.0),
    ],
    ids=["no type", "an old name", "no factor", "factor 0", "none"],
)
def test_positions_are_scaled_linearly_by_the_factor_that_there_is(
    entries: dict[str, Any], factor: float, tmp_path: Path
) -> None:
    plain = tiny_llama()
    model, _ = _load(write_gguf(plain, tmp_path / "scaled.gguf", kind="F32", rope=entries))
    assert torch.allclose(model.model.rotary_emb.inv_freq, plain.model.rotary_emb.inv_freq / factor)


@pytest.mark.parametrize("entries", [{"scaling.type": ["linear"]}, {"scaling.factor": [4.0, 2.0]}], ids=str)
def test_a_scaling_of_another_form_is_refused_by_what_it_is(entries: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(LoadingError, match="scales rotary positions"):
        _load(write_gguf(tiny_llama(), tmp_path / "scaled.gguf", rope=entries))


def test_a_llamas_biases_in_its_mlps_are_read_and_others_refused(tmp_path: Path) -> None:
    """transformers 5.23 leaves out both, and says nothing: a file with gates would be the unedited model."""
    biased = tiny_llama("mlp")
    model, _ = _load(write_gguf(biased, tmp_path / "mlp.gguf", "F32"))
    for name, parameter in biased.named_parameters():
        assert torch.equal(model.get_parameter(name), parameter)
    with pytest.raises(
        LoadingError, match=r"the file has blk\.0\.attn_q\.bias and others, which transformers leaves out"
    ):
        _load(write_gguf(tiny_llama("attention"), tmp_path / "attention.gguf", "F32"))


def test_a_tokenizer_that_transformers_reads_otherwise_than_the_file_is_refused(
    tiny_file: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers 5.17 takes SmolLM2's beginning of a turn for its end of text."""
    from transformers import AutoTokenizer

    read = AutoTokenizer.from_pretrained

    def other_end(*args: Any, **kwargs: Any) -> Any:
        tok = read(*args, **kwargs)
        tok.eos_token = tok.convert_ids_to_tokens(7)
        return tok

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", other_end)
    with pytest.raises(LoadingError, match=f"ends texts with token 7, and the file with {tokenizer().eos_token_id}"):
        _load(tiny_file)
    assert not list(conversions())


def test_it_can_be_saved_and_loaded_without_this_package(tiny_file: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model, _ = _load(tiny_file)
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert all(torch.equal(own, again.get_parameter(name)) for name, own in model.named_parameters())


def test_it_is_converted_once(tiny_file: Path, own_cache: Path) -> None:
    source = GgufSource.of_file(tiny_file)
    folder = converted(source)
    made = (folder / "model.safetensors").stat().st_mtime_ns
    assert converted(source) == folder == folder_of(source)
    assert (folder / "model.safetensors").stat().st_mtime_ns == made
    assert [(entry.name, entry.sha256) for entry in conversions()] == [("tiny-llama", source.sha256)]


@pytest.mark.parametrize("what", ["one bit", "a file", "notes"])
def test_a_damaged_conversion_is_refused_until_it_is_cleared(tiny_file: Path, own_cache: Path, what: str) -> None:
    source = GgufSource.of_file(tiny_file)
    folder = converted(source)
    if what == "one bit":
        weights = bytearray((folder / "model.safetensors").read_bytes())
        weights[-1] ^= 1
        (folder / "model.safetensors").write_bytes(weights)
    else:
        (folder / ("tokenizer.json" if what == "a file" else "conversion.json")).unlink()
    with pytest.raises(DamagedFileError, match=r"easyedit-ice models --clear"):
        converted(source)
    assert CONVERSIONS.clear() == 1
    assert converted(source).is_dir()


@pytest.mark.long
def test_two_processes_convert_at_once(tiny_file: Path, own_cache: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        folders = pool.map(_convert, [str(tiny_file)] * 2)
    assert folders[0] == folders[1]
    assert [entry.name for entry in conversions()] == ["tiny-llama"]
    assert list(Path(folders[0]).parent.iterdir()) == [Path(folders[0])]


def _convert(file: str) -> str:
    return str(converted(GgufSource.of_file(Path(file))))


@pytest.mark.parametrize("content", [b"", b"no GGUF at all", None], ids=["empty", "other", "cut off"])
def test_a_file_that_is_no_gguf_is_refused_and_leaves_nothing(
    tiny_file: Path, own_cache: Path, tmp_path: Path, content: bytes | None
) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(tiny_file.read_bytes()[:5000] if content is None else content)
    with pytest.raises(LoadingError, match=r"bad\.gguf cannot be converted"):
        _load(bad)
    assert list(conversions()) == []


def test_a_file_that_lacks_weights_is_refused_and_not_filled_with_random_numbers(
    own_cache: Path, tmp_path: Path
) -> None:
    model = tiny_llama()
    del model.model.layers[1].mlp.down_proj
    with pytest.raises(LoadingError, match=r"no tensor that transformers takes for .*layers\.1\.mlp\.down_proj"):
        _load(write_gguf(model, tmp_path / "part.gguf"))


def test_notes_tell_what_it_was_made_of(tiny_file: Path, own_cache: Path) -> None:
    source = GgufSource.of_file(tiny_file)
    notes = json.loads((converted(source) / "conversion.json").read_text())
    assert notes["gguf"] == source.sha256
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= set(notes["files"])


def test_gemma_3_scales_positions_where_the_whole_text_is_seen_alone() -> None:
    config = Gemma3TextConfig()
    before = config.rope_parameters
    entries = {
        "general.architecture": "gemma3",
        "gemma3.rope.scaling.type": "linear",
        "gemma3.rope.scaling.factor": 8.0,
    }
    fields = {name: SimpleNamespace(contents=lambda value=value: value) for name, value in entries.items()}
    metadata = SimpleNamespace(get_field=fields.get, tensors=[])
    state_scaling(SimpleNamespace(config=config), metadata)
    assert config.rope_parameters["sliding_attention"] == before["sliding_attention"]
    assert config.rope_parameters["full_attention"] == before["full_attention"] | {"rope_type": "linear", "factor": 8.0}
