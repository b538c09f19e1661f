"""Where results may be written: asked before the work, since a result that cannot be written is lost."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from easyedit_ice.errors import SaveError
from easyedit_ice.runtime.atomic_files import whole_path
from easyedit_ice.runtime.cache import cache_root

ROOM = 1.05
"""How much more room is asked for than the weights take."""


def refuse_base(path: str | Path, base: str | None) -> None:
    """Refuse to write to a model's own file or folder, into it or around it, or to a cache that models are loaded from.

    Args:
        path: of a folder or file that is to be written.
        base: file or folder the model was loaded from, such as ``model.config._name_or_path``; a hub name is neither.

    Raises:
        SaveError: it is one of these.
    """
    place = Path(path).expanduser().resolve()
    source = Path(base).expanduser().resolve() if base and Path(base).expanduser().exists() else None
    if source is not None and (place.is_relative_to(source) or source.is_relative_to(place)):
        raise SaveError(
            f"{path} is the file or folder of the model that is edited ({source}), or one lies in the other; "
            "give another place"
        )
    for folder in (_hub_cache(), cache_root() / "models", _embedded()):
        if place.is_relative_to(folder.resolve()):
            raise SaveError(f"{path} lies in {folder}, from which models are loaded; give another place")


def refuse_existing(path: str | Path, overwrite: bool) -> None:
    """Refuse to write over a file, or into a folder that holds anything.

    Args:
        path: of a folder or file that is to be written.
        overwrite: let a file be replaced, and a folder of a saved update or model.

    Raises:
        SaveError: there is one that is not to be replaced.
    """
    place = Path(path).expanduser()
    taken = any(place.iterdir()) if place.is_dir() else place.exists()
    if taken and not overwrite:
        raise SaveError(f"{path} exists; give another place, or --overwrite to write over it")
    if taken and place.is_dir() and not _is_result(place):
        raise SaveError(f"{path} holds something else than a saved update or model; give another place")


def refuse_others(folder: str | Path, names: Collection[str]) -> None:
    """Refuse a folder that holds other files than those that are to be replaced.

    Args:
        folder: that need not be there.
        names: names of files that may be in it.

    Raises:
        SaveError: with one that would be lost, or the folder is a file.
    """
    place = Path(folder).expanduser()
    if place.exists() and not place.is_dir():
        raise SaveError(f"{folder} is a file; name a folder for {' and '.join(names)}")
    others = sorted(file.name for file in place.iterdir() if file.name not in names) if place.is_dir() else []
    if others:
        raise SaveError(f"{folder} holds {others[0]} as well, which would be lost; give a folder of its own")


def refuse_unwritable(path: str | Path, size: int = 0) -> None:
    """Refuse a place that cannot be written to, or where there is too little room.

    Args:
        path: of a folder or file; the folders above it are made when it is written.
        size: bytes that it will take.

    Raises:
        SaveError: it cannot be.
    """
    place = Path(path).expanduser().absolute()
    above = next(folder for folder in (place, *place.parents) if folder.exists())
    if not above.is_dir() and above != place:
        raise SaveError(f"{path} cannot be made: {above} is a file; give another place")
    folder = above if above.is_dir() else above.parent
    try:
        TemporaryDirectory(dir=folder).cleanup()
    except OSError as error:
        raise SaveError(f"{path} cannot be written: nothing can be made in {folder} ({error}); give another") from error
    free = shutil.disk_usage(folder).free
    if free < size * ROOM:
        raise SaveError(
            f"{path} needs about {size / 2**20:,.0f} MiB, and {folder} has {free / 2**20:,.0f} MiB free; make room, or "
            "give another place"
        )


@contextmanager
def placed(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Where to make a folder or file that is to be at a place: beside it, so that it is there whole or not at all.

    Args:
        path: where it shall be when the block ends; after an exception it is as it was.
        overwrite: as for :func:`refuse_existing`.

    Raises:
        SaveError: as there, or it could not be written.
    """
    from safetensors import SafetensorError

    refuse_existing(path, overwrite)
    try:
        with whole_path(Path(path).expanduser(), replace=True) as draft:
            yield draft
    except SaveError:
        raise
    except (OSError, SafetensorError) as error:
        raise SaveError(f"{path} could not be written, and is as it was: {error}") from error


def size_of(model: Any) -> int:
    """Bytes of a model's weights and buffers, tied ones once."""
    tensors = {tensor.data_ptr(): tensor for tensor in (*model.parameters(), *model.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _is_result(folder: Path) -> bool:
    """Whether a folder is a saved update or model, and nothing else that replacing it would lose."""
    held = list(folder.iterdir())
    marks = {"update.json", "config.json", "adapter_config.json"}
    return any(file.name in marks for file in held) and not any(file.is_dir() for file in held)


def _hub_cache() -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _embedded() -> Path:
    from easyedit_ice.factworld import model_path

    return model_path()
