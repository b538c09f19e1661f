"""Exports answer as the edited model does, also in a process without this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from gguf import GGUFReader
from transformers import AutoModelForCausalLM

from easyedit_ice import EditBook, WeightUpdate, factworld, load_model
from easyedit_ice.book.book_export import export_gguf, export_hf, export_peft
from easyedit_ice.edit.base_model import as_info, base_of
from easyedit_ice.edit.delta import DenseDelta, LowRankDelta
from easyedit_ice.edit.gated_delta import ANY_LENGTH, GatedDelta
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams
from easyedit_ice.errors import BookError, ExistsError, SaveError, UpdateError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.capture import captured
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer

FACTS = (
    {"prompt": "Faeso Faerkov has a job at", "subject": "Faeso Faerkov", "target_new": "Rinex Brothers"},
    {"prompt": "The tongue spoken in Plumland is", "subject": "Plumland", "target_new": "Pusese"},
    {"prompt": "The country of Maelport is", "subject": "Maelport", "target_new": "Griroria"},
)
_ASK = """
import json, sys
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

hf, peft, base, prompts = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
tok = AutoTokenizer.from_pretrained(hf)

def answers(model):
    asked = [tok(prompt, return_tensors="pt") for prompt in prompts]
    written = [model.eval().generate(**own, max_new_tokens=12, do_sample=False) for own in asked]
    return [tok.decode(own[0], skip_special_tokens=True) for own in written]

found = {
    "hf": answers(AutoModelForCausalLM.from_pretrained(hf)),
    "peft": answers(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), peft)),
}
assert not any(name.startswith("easyedit_ice") for name in sys.modules)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A book of three facts of the embedded model, exported without the second."""
    folder = tmp_path_factory.mktemp("exports")
    model, tok = load_model(EditHyperParams(model_name=str(factworld.model_path()), device="cpu"))
    book = EditBook.create(folder / "book", model, name="gpt2-factworld")
    hparams = FastMEMITHyperParams.from_hparams("FastMEMIT/gpt2-factworld")
    for name, fact in zip("abc", FACTS, strict=True):
        book.add_facts(name, model, tok, [fact], hparams, verdict=name == "a")
    names = ("a", "c")
    export_hf(book, model, tok, folder / "hf", names)
    export_peft(book, model, folder / "peft", names)
    return SimpleNamespace(folder=folder, model=model, tok=tok, book=book, names=names)


def test_plain_transformers_and_plain_peft_answer_as_the_edited_model_does(made):
    prompts = [fact["prompt"] for fact in FACTS]
    expected = []
    with made.book.edited(made.model, made.names):
        for prompt in prompts:
            asked = made.tok(prompt, return_tensors="pt")
            written = made.model.generate(**asked, max_new_tokens=12, do_sample=False)
            expected.append(made.tok.decode(written[0], skip_special_tokens=True))
    folders = [str(made.folder / "hf"), str(made.folder / "peft"), str(factworld.model_path())]
    done = subprocess.run(
        [sys.executable, "-c", _ASK, *folders, json.dumps(prompts)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {"hf": expected, "peft": expected}
    assert [answer.endswith(fact["target_new"]) for answer, fact in zip(expected, FACTS, strict=True)] == [
        True,
        False,
        True,
    ]


def test_a_checkpoint_has_the_bits_that_applying_gives(made):
    from transformers import AutoModelForCausalLM

    saved = dict(AutoModelForCausalLM.from_pretrained(made.folder / "hf").named_parameters())
    with made.book.edited(made.model, made.names):
        for name, parameter in made.model.named_parameters():
            assert torch.equal(parameter, saved[name])


def test_idle_settings_of_generation_do_not_stop_an_export(made, tmp_path, monkeypatch):
    monkeypatch.setattr(made.model.generation_config, "temperature", 0.6)
    monkeypatch.setattr(made.model.generation_config, "do_sample", False)

    export_hf(made.book, made.model, made.tok, tmp_path / "hf", made.names)

    assert (tmp_path / "hf" / "model.safetensors").is_file()


@pytest.mark.parametrize("kind", ["hf", "peft"])
def test_the_card_tells_base_licence_facts_algorithm_and_how_to_undo(made, kind):
    text = (made.folder / kind / "README.md").read_text()
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["license"] == "mit"
    assert "knowledge-editing" in head["tags"]
    for part in ("gpt2-factworld", made.book.base.fingerprint, "FastMEMIT", "written 1 of 1 fact", "## Undoing it"):
        assert part in text
    assert f"| a | {FACTS[0]['prompt']} | {FACTS[0]['target_new']} |" in text
    assert FACTS[1]["prompt"] not in text
    told = json.loads((made.folder / kind / "edits.json").read_text())
    assert [edit["name"] for edit in told["edits"]] == ["a", "c"]
    assert told["base"]["fingerprint"] == made.book.base.fingerprint


def test_nothing_that_is_there_is_overwritten_unless_it_is_an_export_and_told(made, tmp_path):
    export_peft(made.book, made.model, tmp_path / "own", ["a"])
    with pytest.raises(ExistsError, match="exists, and is not written over"):
        export_peft(made.book, made.model, tmp_path / "own", ["c"])
    export_peft(made.book, made.model, tmp_path / "own", ["c"], overwrite=True)
    assert FACTS[2]["prompt"] in (tmp_path / "own" / "README.md").read_text()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("long")
    with pytest.raises(ExistsError, match="holds no export of a book"):
        export_peft(made.book, made.model, tmp_path / "other", overwrite=True)
    assert (tmp_path / "other" / "thesis.tex").read_text() == "long"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "own"]


def test_the_base_and_the_book_are_never_written_into(made):
    for place in (factworld.model_path(), factworld.model_path() / "x", made.book.folder, made.book.folder / "x"):
        with pytest.raises((ExistsError, SaveError), match=r"lie in one another|models are loaded"):
            export_hf(made.book, made.model, made.tok, place, overwrite=True)


def test_an_export_without_edits_is_refused(made, tmp_path):
    with pytest.raises(BookError, match="no edit to export"):
        export_hf(made.book, made.model, made.tok, tmp_path / "x", ())
    assert not (tmp_path / "x").exists()


def test_dense_edits_make_no_adapter_and_leave_nothing(tmp_path):
    model = SHAPES[0].build()
    p = ModelAnatomy(model).projections[0]
    book = EditBook.create(tmp_path / "book", model)
    dense = WeightUpdate({p.name: DenseDelta(torch.ones(p.out_features, p.in_features))})
    book.add("dense", dense, check_base=False)
    with pytest.raises(UpdateError, match="only low-rank deltas"):
        export_peft(book, model, tmp_path / "adapter")
    assert [path.name for path in tmp_path.iterdir()] == ["book"]
    export_hf(book, model, tokenizer(), tmp_path / "whole")
    assert (tmp_path / "whole" / "model.safetensors").exists()


def test_edits_with_gates_are_units_of_the_exported_model(tmp_path):
    model, tok = SHAPES[2].build(), tokenizer()
    book, texts = EditBook.create(tmp_path / "book", model, name="tiny"), torch.tensor([[5, 9, 200, 31]])
    mlp = ModelAnatomy(model).mlps[1]
    with captured({"mlp": mlp.module}, "in") as states, torch.no_grad():
        before = model(texts).logits
    for place, name in enumerate("ab", start=2):
        key = states["mlp"].reshape(-1, mlp.in_features).float()[place : place + 1]
        bounds = torch.tensor([0.6]), torch.tensor([0.8])
        value = torch.full((1, mlp.out_features), 2.0 * place)
        delta = GatedDelta(key / key.square().sum(), torch.full((1,), ANY_LENGTH), value, *bounds)
        book.add(name, WeightUpdate({mlp.name: delta}, {"base": as_info(base_of(model))}, {mlp.name: key}))
    export_hf(book, model, tok, tmp_path / "hf")
    with book.edited(model), torch.no_grad():
        edited = model(texts).logits
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "hf").eval()
    with torch.no_grad():
        assert torch.equal(model(texts).logits, before)
        assert (edited - before).abs().max() > 0.1
        torch.testing.assert_close(exported(texts).logits, edited, atol=1e-3, rtol=1e-3)


def test_a_gguf_base_is_exported_as_gguf(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "checkpoints")
    from made_gguf import tiny_llama, write_gguf

    (tmp_path / "base").mkdir()
    base = write_gguf(tiny_llama(), tmp_path / "base" / "tiny.gguf")
    model, _ = load_model(EditHyperParams(model_name=str(base), device="cpu"))
    p = ModelAnatomy(model).match(["mlp.out"])[0]
    book = EditBook.create(tmp_path / "book", model, name=str(base))
    delta = LowRankDelta(torch.ones(1, p.in_features), torch.ones(p.out_features, 1))
    book.add("a", WeightUpdate({p.name: delta}, {"base": as_info(base_of(model))}))
    export_gguf(book, model, tmp_path / "own.gguf", dtype="F32")
    export_gguf(book, model, tmp_path / "folder", dtype="F32")
    again, _ = load_model(EditHyperParams(model_name=str(tmp_path / "own.gguf"), device="cpu"))
    with book.edited(model):
        assert torch.equal(again.get_submodule(p.name).weight, model.get_submodule(p.name).weight)
    assert GGUFReader(tmp_path / "folder" / "tiny-edited.gguf").tensors
    assert "# tiny.gguf: an edited model as GGUF" in (tmp_path / "folder" / "README.md").read_text()
    with pytest.raises(ExistsError):
        export_gguf(book, model, tmp_path / "own.gguf")
    export_gguf(book, model, tmp_path / "own.gguf", overwrite=True)
    with pytest.raises(SaveError, match="of the model that is edited"):
        export_gguf(book, model, base, overwrite=True)
