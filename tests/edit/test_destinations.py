"""Where results may be written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors import SafetensorError

from easyedit_ice import WeightUpdate, factworld
from easyedit_ice.edit.destinations import placed, refuse_base, refuse_existing, refuse_unwritable, size_of
from easyedit_ice.errors import SaveError
from easyedit_ice.runtime.cache import cache_root
from easyedit_ice.testing.tiny_models import SHAPES


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    WeightUpdate({}).save(tmp_path / "update")
    return tmp_path / "update"


def test_what_is_there_is_not_written_over(saved, tmp_path):
    (tmp_path / "file").touch()
    for path in (saved, tmp_path / "file"):
        with pytest.raises(SaveError, match="exists"):
            refuse_existing(path, overwrite=False)
        refuse_existing(path, overwrite=True)
    (tmp_path / "empty").mkdir()
    refuse_existing(tmp_path / "empty", overwrite=False)
    refuse_existing(tmp_path / "new", overwrite=False)


def test_a_folder_of_other_things_is_not_replaced_even_if_asked(saved, tmp_path):
    with pytest.raises(SaveError, match="something else than a saved"):
        refuse_existing(tmp_path, overwrite=True)
    (saved / "more").mkdir()
    with pytest.raises(SaveError, match="something else than a saved"):
        refuse_existing(saved, overwrite=True)


def test_the_models_own_folder_is_refused_by_any_path_to_it(saved, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(saved)
    monkeypatch.chdir(saved)
    for path in (saved, tmp_path / "link", ".", f"{saved}/../update", saved / "model.gguf"):
        with pytest.raises(SaveError, match="folder of the model"):
            refuse_base(path, str(saved))
    refuse_base(tmp_path / "other", str(saved))
    refuse_base(tmp_path / "other", "owner/model-of-the-hub")


def test_caches_of_models_are_refused():
    from huggingface_hub.constants import HF_HUB_CACHE

    for folder in (Path(HF_HUB_CACHE) / "models--a--b", cache_root() / "models" / "x" / "y", factworld.model_path()):
        with pytest.raises(SaveError, match="models are loaded"):
            refuse_base(folder, None)


def test_a_place_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match="is a file"):
        refuse_unwritable(tmp_path / "file" / "deeper" / "update")
    with pytest.raises(SaveError, match="/proc"):
        refuse_unwritable("/proc/nope/update")
    refuse_unwritable(tmp_path / "a" / "b" / "c")
    assert not (tmp_path / "a").exists()


def test_too_little_room_is_refused_with_the_figures(tmp_path):
    with pytest.raises(SaveError, match=r"needs about 1,073,741,824 MiB.*MiB free"):
        refuse_unwritable(tmp_path / "model", 2**50)


def test_a_model_is_not_written_over_itself(tmp_path):
    model = SHAPES[0].build()
    model.save_pretrained(tmp_path / "base")
    model.config._name_or_path = str(tmp_path / "base")
    before = (tmp_path / "base" / "model.safetensors").read_bytes()
    for write in (lambda path: WeightUpdate({}).to_hf(model, None, path), lambda p: WeightUpdate({}).to_peft(model, p)):
        with pytest.raises(SaveError, match="folder of the model"):
            write(tmp_path / "base")
    assert (tmp_path / "base" / "model.safetensors").read_bytes() == before


def test_a_result_is_there_whole_or_not_at_all(saved, tmp_path):
    before = {file.name: file.read_bytes() for file in saved.iterdir()}
    for error in (OSError("full"), SafetensorError("full")):
        with pytest.raises(SaveError, match=r"could not be written.*full"), placed(saved, overwrite=True) as folder:
            folder.mkdir()
            (folder / "half").touch()
            raise error
    with pytest.raises(KeyboardInterrupt), placed(tmp_path / "new") as file:
        file.touch()
        raise KeyboardInterrupt
    assert {file.name: file.read_bytes() for file in saved.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["update"]


def test_an_earlier_result_is_replaced_where_that_is_asked_for(saved, tmp_path):
    (saved / "old").touch()
    with placed(saved, overwrite=True) as folder:
        WeightUpdate({}, {"new": True}).save(folder)
    assert WeightUpdate.load(saved).info == {"new": True}
    assert not (saved / "old").exists()
    shutil.rmtree(saved)
    assert list(tmp_path.iterdir()) == []


def test_tied_weights_count_once():
    model = SHAPES[0].build()
    assert size_of(model) <= sum(own.numel() * own.element_size() for own in model.state_dict().values())
