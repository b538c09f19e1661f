"""Books go to the Hub and come back, checked both ways."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from easyedit_ice import EditBook, WeightUpdate
from easyedit_ice.book.sharing import pull, push
from easyedit_ice.edit.base_model import as_info, base_of
from easyedit_ice.edit.delta import LowRankDelta
from easyedit_ice.errors import BookDamagedError, BookError, ExistsError, HubError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import SHAPES

REPO = "someone/edits"


class FakeHub:
    """Repositories in a folder, by the three methods of ``HfApi`` that are used."""

    def __init__(self, root: Path) -> None:
        self.root, self.asked = root, []

    def create_repo(self, repo_id, *, token, private, repo_type, exist_ok):
        self.asked.append((repo_id, token, private))
        (self.root / repo_id).mkdir(parents=True, exist_ok=exist_ok)

    def upload_folder(self, *, repo_id, folder_path, token, repo_type, commit_message, delete_patterns):
        repo = self.root / repo_id
        for path in [own for own in repo.rglob("*") if own.is_file()]:
            if any(fnmatch(str(path.relative_to(repo)), pattern) for pattern in delete_patterns):
                path.unlink()
        shutil.copytree(folder_path, repo, dirs_exist_ok=True)
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")

    def snapshot_download(self, repo_id, *, token, revision, repo_type, local_dir, allow_patterns):
        if not (self.root / repo_id).is_dir():
            raise ConnectionError("404 Not Found")
        repo = self.root / repo_id
        for path in [own for own in repo.rglob("*") if own.is_file()]:
            name = str(path.relative_to(repo))
            if any(fnmatch(name, pattern) for pattern in allow_patterns):
                (Path(local_dir) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, Path(local_dir) / name)


@pytest.fixture
def hub(tmp_path: Path) -> FakeHub:
    return FakeHub(tmp_path / "hub")


@pytest.fixture
def book(tmp_path: Path) -> EditBook:
    model = SHAPES[0].build()
    p = ModelAnatomy(model).projections[0]
    book = EditBook.create(tmp_path / "book", model, name="someone/tiny")
    for name in "ab":
        delta = LowRankDelta(torch.randn(1, p.in_features), torch.randn(p.out_features, 1))
        facts = [{"prompt": f"The capital of {name} is", "target_new": "Lodel"}]
        book.add(name, WeightUpdate({p.name: delta}, {"base": as_info(base_of(model)), "requests": facts}))
    return book


def test_a_book_comes_back_as_it_went(book, hub, tmp_path):
    book.switch("b", False)
    assert push(book, REPO, token="hf_x", api=hub) == f"https://hub/{REPO}/commit/1"
    assert hub.asked == [(REPO, "hf_x", True)]
    back = pull(REPO, tmp_path / "back", api=hub)
    assert (back.base, back.names, back.on) == (book.base, book.names, book.on)
    for name in book.names:
        assert (back[name].place / "update.safetensors").read_bytes() == (
            book[name].place / "update.safetensors"
        ).read_bytes()
    card = (hub.root / REPO / "README.md").read_text()
    assert "base_model: someone/tiny" in card
    assert "The capital of a is" in card


def test_what_is_removed_from_the_book_goes_from_the_hub(book, hub, tmp_path):
    push(book, REPO, token="hf_x", api=hub)
    gone = book["a"].key
    book.remove("a")
    push(book, REPO, token="hf_x", api=hub)
    assert not (hub.root / REPO / "edits" / gone / "update.json").exists()
    assert pull(REPO, tmp_path / "back", api=hub).names == ("b",)


def test_without_a_token_nothing_is_pushed(book, hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(HubError, match=r"a token is needed.*--token.*HF_TOKEN"):
        push(book, REPO, api=hub)
    assert hub.asked == []


def test_a_damaged_book_is_neither_pushed_nor_pulled(book, hub, tmp_path):
    push(book, REPO, token="hf_x", api=hub)
    for folder in (hub.root / REPO, book.folder):
        path = folder / "edits" / book["b"].key / "update.json"
        path.write_text(path.read_text() + " ")
    with pytest.raises(BookDamagedError, match=r"update\.json is not as it was written"):
        pull(REPO, tmp_path / "back", api=hub)
    assert not (tmp_path / "back").exists()
    hub.asked.clear()
    with pytest.raises(BookDamagedError, match=r"update\.json is not as it was written"):
        push(book, REPO, token="hf_x", api=hub)
    assert hub.asked == []


def test_what_the_hub_refuses_is_told(hub, book, tmp_path):
    with pytest.raises(HubError, match=r"someone/edits does not give a book \(ConnectionError: 404"):
        pull(REPO, tmp_path / "back", api=hub)
    (hub.root / REPO).mkdir(parents=True)
    with pytest.raises(BookError, match="holds no edit book"):
        pull(REPO, tmp_path / "back", api=hub)
    with pytest.raises(ExistsError):
        pull(REPO, book.folder, api=hub)
