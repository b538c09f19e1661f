"""Testbeds are built once, resumably, and load wherever a GPT-2 does."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from easyedit_ice import BaseEditor, LoraHyperParams, factworld
from easyedit_ice import testbed as testbeds
from easyedit_ice.cli import main
from easyedit_ice.data import Records
from easyedit_ice.data.load import read_records
from easyedit_ice.errors import DataError
from easyedit_ice.factworld.training.train_world import Recipe
from easyedit_ice.testbed import build, measure_testbed, train_testbed

TINY = Recipe(layers=4, width=16, heads=2, vocab_size=500, tokenizer_documents=50, tokens_per_step=512, warmup=2)
STEPS = 6


def few_records() -> Records:
    return read_records(factworld.records("dev")[:8])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(few_records(), tmp_path_factory.mktemp("built") / "gpt2-tiny", steps=STEPS, recipe=TINY)


def modified(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}


def test_a_stopped_training_ends_as_if_it_had_not_been_stopped(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gpt2-tiny"
    train_testbed(few_records(), folder, steps=STEPS, recipe=TINY, stop_at=3)
    assert not (folder / "model.safetensors").exists()
    train_testbed(few_records(), folder, steps=STEPS, recipe=TINY)
    whole, resumed = load_file(built / "model.safetensors"), load_file(folder / "model.safetensors")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_checkpoint_of_other_records_is_refused(tmp_path: Path) -> None:
    train_testbed(few_records(), tmp_path / "gpt2-tiny", steps=2, recipe=TINY, stop_at=1)
    with pytest.raises(DataError, match="train into another folder"):
        train_testbed(few_records()[:5], tmp_path / "gpt2-tiny", steps=2, recipe=TINY)


def test_a_folder_that_easyedit_would_not_load_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gpt2-testbed"):
        build(few_records(), tmp_path / "testbed")
    assert not (tmp_path / "testbed").exists()


def test_the_card_says_what_is_known_and_training_json_how_it_was_made(built: Path) -> None:
    card, origin = (built / "README.md").read_text(), json.loads((built / "training.json").read_text())
    assert f"| prompt | 0.0% | {origin['prompts']['prompt']} |" in card
    assert "knows the original answers of the 8 records" in card
    assert origin["steps"] == STEPS


def test_any_text_survives_the_tokenizer(built: Path) -> None:
    from transformers import AutoTokenizer

    text = "Ḥusayn ʻArnūs 🇸🇾 lives in “Łódź”, 42."
    tokenizer = AutoTokenizer.from_pretrained(built)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_easyedit_loads_a_testbed_by_its_folder(built: Path) -> None:
    hparams = LoraHyperParams.from_hparams("LoRA-BF/gpt2-factworld", model_name=str(built), device=-1)
    editor = BaseEditor.from_hparams(hparams)
    assert editor.model.config.n_embd == TINY.width
    assert editor.tok.eos_token == "<|endoftext|>"


def test_figures_tell_recall_from_answers_that_need_the_context(built: Path) -> None:
    figures = measure_testbed(built, few_records(), share=0.5)
    assert set(figures["recall"]["groups"]) <= {"prompt", "alias", "locality", "target", "bridge"}
    assert {"prompt", "rephrase"} <= set(measure_testbed(built, few_records())["context"]["groups"])
    assert 0 <= figures["unprompted"] <= 1


def test_a_testbed_is_built_once_and_then_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = testbeds.testbed(few_records(), steps=STEPS, recipe=TINY)
    assert folder.is_relative_to(tmp_path)
    assert "gpt2" in folder.name
    before = modified(folder)
    assert testbeds.testbed(few_records(), steps=STEPS, recipe=TINY) == folder
    assert modified(folder) == before
    assert testbeds.testbed(few_records(), steps=STEPS + 1, recipe=TINY) != folder


def _build_here(cache: str) -> str:
    os.environ["XDG_CACHE_HOME"] = cache
    torch.set_num_threads(1)
    return str(testbeds.testbed(few_records(), steps=STEPS, recipe=TINY))


@pytest.mark.long
def test_two_processes_at_once_get_one_whole_testbed(built: Path, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.map(_build_here, [str(tmp_path)] * 2, chunksize=1)
    assert first == second
    made, alone = load_file(Path(first) / "model.safetensors"), load_file(built / "model.safetensors")
    assert all(torch.equal(made[name], alone[name]) for name in alone)


@pytest.mark.slow
def test_the_command_trains_and_measures_a_testbed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "facts.json"
    file.write_text(json.dumps(factworld.records("dev")[:8]))
    assert main(["world", "facts", str(file)]) == 0
    assert "prompt: 16 prompts" in capsys.readouterr().out
    assert main(["world", "train", "--facts", str(file), str(tmp_path / "gpt2-tiny"), "--steps", "1"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "gpt2-tiny")
    assert main(["world", "measure", str(tmp_path / "gpt2-tiny"), "--facts", str(file), "--card"]) == 0
    assert json.loads(capsys.readouterr().out)["unprompted"] == 0
