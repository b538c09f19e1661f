"""EasyEdit's methods on models without a preset: tied heads, a beginning of text, modules of other names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import tiny
from tokenizers.processors import TemplateProcessing
from torch import nn

from easyedit_ice import factworld
from easyedit_ice.bench.methods import make_method
from easyedit_ice.easyedit.methods.host_settings import host_settings
from easyedit_ice.easyedit.methods.settings_fixes import fit_kn
from easyedit_ice.errors import HostEditError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.runtime.cache import fingerprint

FACT = {
    "prompt": "Voumel Quemwick lives in",
    "subject": "Voumel Quemwick",
    "target_new": "Brethdale",
    "ground_truth": "Midland",
}
QUICK = {"v_num_grad_steps": 2}


def _model(architecture: str, tmp_path: Path, **changes: Any) -> tuple[nn.Module, Any]:
    """A tiny model that a file system knows, with the embedded world's tokenizer."""
    tok = factworld.load()[1]
    model = tiny(architecture, vocab_size=len(tok), tie_word_embeddings=True, **changes)
    model.config._name_or_path = str(tmp_path / "some-model")
    return model, tok


@pytest.mark.parametrize("architecture", ["Llama", "Gemma3Text", "GPTNeoX", "Qwen2"])
@pytest.mark.parametrize("changes", [{}, {"lm_head_module": "head"}], ids=["auto", "the head's own name"])
def test_memit_edits_a_model_with_a_tied_head_and_is_undone_to_the_bit(
    architecture: str, changes: dict[str, str], tmp_path: Path
) -> None:
    model, tok = _model(architecture, tmp_path)
    head = next(name for name, module in model.named_modules() if module is model.get_output_embeddings())
    named = dict.fromkeys(changes, head)
    method = make_method("MEMIT", model=(model, tok), settings=QUICK | named)
    assert method.preset == "auto"
    before = fingerprint(model.state_dict().items())
    edited = method.apply([FACT], 0)
    written = {f"{ModelAnatomy(model).select('mlp', 'out', [layer])[0].name}.weight" for layer in method.hparams.layers}
    assert set(edited.originals) == written
    method.undo(edited)
    assert fingerprint(model.state_dict().items()) == before


def _beginning(tok: Any) -> Any:
    """The tokenizer, made to put a beginning of text first."""
    tok.add_special_tokens({"bos_token": "<bos>"})
    begin = ("<bos>", tok.convert_tokens_to_ids("<bos>"))
    tok.backend_tokenizer.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=[begin])
    return tok


def test_the_target_is_trained_without_the_beginning_of_text(tmp_path: Path) -> None:
    tok = _beginning(factworld.load()[1])
    model, _ = _model("Llama", tmp_path)
    model.resize_token_embeddings(len(tok))
    model.config._name_or_path = str(tmp_path / "some-model")
    changes = {"objective_optimization": "prompt_last"}
    try:
        host_settings("FT", "auto", changes, ModelAnatomy(model))
    except ValueError:
        changes = {}
    method = make_method("FT", model=(model, tok), settings={**changes, "lr": 1e-2, "num_steps": 8})
    asked = tok(FACT["prompt"], return_tensors="pt")
    before = model(**asked).logits[0, -1].log_softmax(-1).detach()
    gain = method.apply([FACT], 0).model(**asked).logits[0, -1].log_softmax(-1).detach() - before
    target = tok(" Brethdale", add_special_tokens=False)["input_ids"][0]
    assert gain[target] > 0.1
    assert gain[tok.bos_token_id] < gain[target] / 2


@pytest.mark.parametrize(("architecture", "name"), [("Gemma3Text", "llama"), ("Mistral", "llama"), ("GPT2", "gpt2-xl")])
def test_kn_is_led_to_the_neurons_by_where_they_lie(architecture: str, name: str) -> None:
    model = tiny(architecture)
    hparams = host_settings("KN", "auto", {}, ModelAnatomy(model))
    fit_kn(hparams, model)
    assert hparams.model_name == name


def test_kn_refuses_a_model_whose_neurons_it_does_not_find() -> None:
    model = tiny("GPTNeoX")
    hparams = host_settings("KN", "auto", {}, ModelAnatomy(model))
    with pytest.raises(HostEditError, match=r"looks for neurons in .* lie in gpt_neox\.layers\.\{\}\.mlp\.dense_h_to"):
        fit_kn(hparams, model)


def test_what_easyedit_raises_is_named_and_leaves_the_model_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tok = _model("Llama", tmp_path)
    method = make_method("FT", model=(model, tok), settings={})
    before = fingerprint(model.state_dict().items())

    def fail(*args: Any, **kwargs: Any) -> None:
        with torch.no_grad():
            model.get_input_embeddings().weight.zero_()
        raise TypeError("a tensor of another world")

    monkeypatch.setattr(method._engine, "_apply", fail)
    with pytest.raises(HostEditError, match=r"FT of EasyEdit .* failed with TypeError: a tensor of another world"):
        method.apply([FACT], 0)
    assert fingerprint(model.state_dict().items()) == before
