"""SmolLM2 and Gemma 3, from their packages to an edit, to GGUF and to llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from easyedit_ice.checkpoints.gguf_export import save_gguf
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.delta import LowRankDelta
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.algorithms.fast_gate import FastGateHyperParams

PROMPTS = ("The mother tongue of Danielle Darrieux is", "The capital of France is", "In 1969, two men went to")
LENGTH = 10
REAL = [
    pytest.param("smollm2", marks=pytest.mark.real),
    pytest.param("gemma3", marks=[pytest.mark.gemma, pytest.mark.slow]),
]


@pytest.fixture(scope="module", params=REAL)
def loaded(request: pytest.FixtureRequest) -> tuple[str, Any, Any]:
    """Name, model, tokenizer."""
    name = request.getfixturevalue(request.param)
    return name, *load_model(EditHyperParams(model_name=name, device="cpu"))


def _greedy(model: Any, tok: Any, prompt: str) -> str:
    asked = tok(prompt, return_tensors="pt")
    settings = GenerationConfig(max_new_tokens=LENGTH, do_sample=False, pad_token_id=tok.pad_token_id)
    written = model.generate(**asked, generation_config=settings)
    return tok.decode(written[0, asked.input_ids.shape[1] :])


def _by_llama_cpp(file: Path) -> list[str]:
    xllamacpp = pytest.importorskip("xllamacpp", reason="needs the package xllamacpp, for llama.cpp")
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.warmup = str(file), 128, 1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # More of them wait for each other, busily.
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    server = xllamacpp.Server(params)
    asked = {"max_tokens": LENGTH, "temperature": 0, "ignore_eos": True}
    return [server.handle_completions(asked | {"prompt": prompt})["choices"][0]["text"] for prompt in PROMPTS]


def _edit(model: Any) -> WeightUpdate:
    """A change of one projection that is large enough to change answers."""
    torch.manual_seed(0)
    name = "model.layers.12.mlp.down_proj"
    rows, columns = model.get_submodule(name).weight.shape
    return WeightUpdate({name: LowRankDelta(torch.randn(2, columns) / 5, torch.randn(rows, 2) / 2)})


def test_it_knows_real_facts(loaded: tuple[str, Any, Any]) -> None:
    name, model, tok = loaded
    assert Path(model.config._name_or_path).name == name
    assert _greedy(model, tok, PROMPTS[0]).startswith(" French")
    assert model.generation_config.eos_token_id == tok.eos_token_id
    assert tok.pad_token is not None


@pytest.mark.gemma
@pytest.mark.slow
def test_an_edit_goes_to_gguf_and_back(gemma3: str, tmp_path: Path) -> None:
    name, model = gemma3, load_model(EditHyperParams(model_name=gemma3, device="cpu"))[0]
    update = _edit(model)
    update.commit(model)
    assert save_gguf(model, name, tmp_path / "edited.gguf", dtype="F32") == [f"{next(iter(update.deltas))}.weight"]
    again, _ = load_model(EditHyperParams(model_name=str(tmp_path / "edited.gguf"), device="cpu"))
    assert all(torch.equal(own, again.get_parameter(key)) for key, own in model.named_parameters())


@pytest.mark.slow
def test_llama_cpp_writes_what_transformers_writes(loaded: tuple[str, Any, Any], tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="needs the package xllamacpp, for llama.cpp")
    name, model, tok = loaded
    before = [_greedy(model, tok, prompt) for prompt in PROMPTS]
    save_gguf(model, name, tmp_path / "base.gguf", dtype="F32", whole=True)
    assert _by_llama_cpp(tmp_path / "base.gguf") == before
    update = _edit(model)
    update.commit(model)
    try:
        after = [_greedy(model, tok, prompt) for prompt in PROMPTS]
        save_gguf(model, name, tmp_path / "edited.gguf", dtype="F32", whole=True)
    finally:
        update.revert(model)
    assert after != before
    assert _by_llama_cpp(tmp_path / "edited.gguf") == after


@pytest.mark.real
@pytest.mark.slow
def test_llama_cpp_answers_by_the_gates_of_an_edit(smollm2: str, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="needs the package xllamacpp, for llama.cpp")
    fact = {"prompt": PROMPTS[0], "subject": "Danielle Darrieux", "target_new": "English"}
    hparams = FastGateHyperParams(model_name=smollm2, device="cpu")
    model, tok = load_model(hparams)
    with solve(model, tok, [fact], hparams).applied(model):
        after = [_greedy(model, tok, prompt) for prompt in PROMPTS]
        save_gguf(model, smollm2, tmp_path / "edited.gguf", dtype="F32", whole=True)
    assert after[0].startswith(" English")
    assert _by_llama_cpp(tmp_path / "edited.gguf") == after
