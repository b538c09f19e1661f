"""Books on the Hugging Face Hub: a repository holds the book's folder, and a card."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from easyedit_ice.book.book import EditBook
from easyedit_ice.book.book_export import CARD
from easyedit_ice.book.card import card
from easyedit_ice.book.edit_manifest import MANIFEST
from easyedit_ice.book.edits import EDITS
from easyedit_ice.book.places import require_free
from easyedit_ice.errors import HubError
from easyedit_ice.runtime.atomic_files import whole_folder


def push(book: EditBook, repo: str, *, token: str | None = None, private: bool = True, api: Any = None) -> str:
    """Upload a book; what the repository had of an earlier one is replaced.

    Args:
        book: whose files are checked first.
        repo: ``owner/name``; made if need be.
        token: by default that of ``HF_TOKEN`` or of ``hf auth login``.
        private: whether a repository that is made is private.
        api: in place of ``huggingface_hub.HfApi()``.

    Returns:
        the address of the commit.

    Raises:
        HubError: there is no token, or the Hub refuses.
        BookDamagedError: a file of the book is not as it was written.
    """
    from huggingface_hub import HfApi, get_token

    token = token or get_token()
    if token is None:
        raise HubError(
            f"to push to {repo}, a token is needed; pass one (--token), set HF_TOKEN, or run `hf auth login`"
        )
    api = api or HfApi()
    with TemporaryDirectory() as place:
        _copy(book, Path(place))
        with _told(f"{repo} does not take the book"):
            api.create_repo(repo, token=token, private=private, repo_type="model", exist_ok=True)
            done = api.upload_folder(
                repo_id=repo,
                folder_path=place,
                token=token,
                repo_type="model",
                commit_message=f"A book of {len(book)} edits of {book.base.name}",
                delete_patterns=[f"{EDITS}/*"],
            )
    return str(getattr(done, "commit_url", done))


def pull(
    repo: str, folder: str | Path, *, token: str | None = None, revision: str | None = None, api: Any = None
) -> EditBook:
    """Download a book, all files of which are checked before it is put in place.

    Args:
        repo: ``owner/name``.
        folder: must not be there.
        token: for private repositories; by default as for :func:`push`.
        revision: branch, tag or commit; by default the newest.
        api: as for :func:`push`.

    Raises:
        HubError: the Hub refuses, or has no such repository.
        BookError: the repository holds no book, or a damaged one; nothing is written.
        ExistsError: the folder is there.
    """
    from huggingface_hub import HfApi

    api, folder = api or HfApi(), Path(folder)
    require_free(folder, overwrite=False)
    with TemporaryDirectory() as place:
        with _told(f"{repo} does not give a book"):
            patterns = [MANIFEST, f"{EDITS}/*", CARD]
            api.snapshot_download(
                repo, token=token, revision=revision, repo_type="model", local_dir=place, allow_patterns=patterns
            )
        with whole_folder(folder) as draft:
            _copy(EditBook.open(place), draft)
    return EditBook.open(folder)


def _copy(book: EditBook, target: Path) -> None:
    """The files that belong to a book, each checked; and the card."""
    edits = book.edits(book.names)
    (target / EDITS).mkdir()
    for edit in edits:
        edit.check()
        (target / EDITS / edit.key).mkdir()
        for name in edit.entry.files:
            shutil.copyfile(edit.place / name, target / EDITS / edit.key / name)
    shutil.copyfile(book.folder / MANIFEST, target / MANIFEST)
    (target / CARD).write_text(card(book.base, edits, "book"), encoding="utf-8")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Have the Hub's own errors say what they keep from being done."""
    try:
        yield
    # What the network raises differs between versions of huggingface_hub, and has no base class of its own.
    except Exception as error:
        raise HubError(
            f"{what} ({type(error).__name__}: {error}); check its name, the token and the network"
        ) from error
