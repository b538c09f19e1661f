"""What follows from a model's weights and some texts is computed once and kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

if TYPE_CHECKING:
    import torch
    from torch import nn

_NAME = "easyedit_ice"


def cache_root() -> Path:
    """This package's folder in ``$XDG_CACHE_HOME``, or where the system keeps caches; it need not be there.

    That is ``~/.cache`` on Linux, ``~/Library/Caches`` on macOS, and ``%LOCALAPPDATA%`` on Windows.
    """
    home = os.environ.get("XDG_CACHE_HOME")
    return Path(home) / _NAME if home else user_cache_path(_NAME, appauthor=False)


def cache_folder(kind: str, model: nn.Module, texts: Iterable[str]) -> Path:
    """The folder of the cache for these weights and texts; it is made.

    Args:
        kind: what is kept there.
        model: all bits of its parameters count.
        texts: and all of these, in their order.
    """
    digest = hashlib.sha256("\0".join([*texts, fingerprint(model.named_parameters())]).encode())
    folder = cache_root() / kind / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def made_once(path: Path, make: Callable[[Path], None]) -> Path:
    """A file or folder, made unless it is there; of processes that make it at once, one is the first.

    Args:
        path: where it shall be.
        make: makes it in an empty folder, under the same name.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as folder:
            draft = Path(folder) / path.name
            make(draft)
            try:
                draft.rename(path)
            except OSError:
                if not path.exists():
                    raise
    return path


def fingerprint(tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    """Hash of named tensors: names, shapes, types and bits."""
    from easyedit_ice.runtime.bits import as_bytes

    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(as_bytes(tensor.cpu()).numpy().data if tensor.ndim else b"")
        digest.update(repr(tensor.item()).encode() if not tensor.ndim else b"")
    return digest.hexdigest()
