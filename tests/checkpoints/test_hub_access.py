"""Names on the Hugging Face hub: nobody waits for what cannot be had."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import RepositoryNotFoundError

from easyedit_ice.checkpoints.hub_access import PATIENCE, hub_options
from easyedit_ice.checkpoints.loading import load_model, load_shapes
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.errors import LoadingError
from easyedit_ice.runtime.progress import lines, watched


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A hub that answers as it is told, and notes what it was asked."""
    state = SimpleNamespace(asked=[], answer=None, kept=None)

    def metadata(url: str, *, timeout: float, **_: Any) -> None:
        state.asked.append((url, timeout))
        if state.answer is not None:
            raise state.answer

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", metadata)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda name, file: state.kept)
    return state


def test_the_hub_is_asked_briefly_and_that_is_said_at_once(hub: SimpleNamespace) -> None:
    told: list[str] = []
    with watched(lines(told.append)):
        assert hub_options("some/model") == {}
    assert told == ["asking the Hugging Face hub for some/model"]
    assert hub.asked == [("https://huggingface.co/some/model/resolve/main/config.json", PATIENCE)]


def test_a_folder_is_not_asked_for(hub: SimpleNamespace, tmp_path: Any) -> None:
    assert hub_options(str(tmp_path)) == {} and hub.asked == []


def test_what_the_hub_says_is_left_to_transformers(hub: SimpleNamespace) -> None:
    response: Any = SimpleNamespace(headers={}, request=None)
    hub.answer = RepositoryNotFoundError("no such model", response=response)
    assert hub_options("some/model") == {}


def test_no_way_to_the_hub_is_an_error_that_says_what_to_do(hub: SimpleNamespace) -> None:
    hub.answer = ConnectionError("Name or service not known")
    for load in (load_model, load_shapes):
        with pytest.raises(LoadingError) as caught:
            load(EditHyperParams(model_name="smollm2-135"))
        for part in (
            "cannot be reached",
            "Name or service not known",
            "Did you mean 'smollm2-135m'?",
            "folder",
            ".gguf",
        ):
            assert part in str(caught.value)


def test_a_copy_that_was_downloaded_before_is_taken_without_the_hub(hub: SimpleNamespace) -> None:
    hub.answer, hub.kept = TimeoutError("timed out"), "/cache/config.json"
    assert hub_options("some/model") == {"local_files_only": True}


def test_offline_nothing_is_asked(hub: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    started = time.monotonic()
    with pytest.raises(LoadingError, match="HF_HUB_OFFLINE is set"):
        hub_options("some/model")
    assert hub.asked == [] and time.monotonic() - started < 5
    hub.kept = "/cache/config.json"
    assert hub_options("some/model") == {"local_files_only": True}


@pytest.mark.parametrize("name", ["/nowhere/model", "./model", "../a/b", "a/b/c"])
def test_a_folder_that_is_not_there_is_no_name_on_the_hub(name: str, hub: SimpleNamespace) -> None:
    with pytest.raises(LoadingError, match="there is no folder"):
        hub_options(name)
    assert hub.asked == []
