"""What the name of a model means: a folder, a GGUF file, a model of this package or of another, or a hub name."""

from __future__ import annotations

from pathlib import Path

from easyedit_ice.errors import LoadingError
from easyedit_ice.models.converted import converted
from easyedit_ice.models.packaged import PACKAGED
from easyedit_ice.models.source import GgufSource
from easyedit_ice.world import model_path

EMBEDDED = model_path().name
"""Name of the model that this package holds."""
NAMES = (EMBEDDED, *PACKAGED)
"""Names of models that need no folder."""


def checkpoint_of(name: str) -> str:
    """Folder or hub name from which transformers loads the model; GGUF is converted first, once.

    What is on the disk comes before names of models.

    Args:
        name: a folder with a ``config.json``, or with one ``.gguf`` file and none; a ``.gguf`` file; one of
            :data:`NAMES`; anything else is left to transformers, as a hub name.

    Raises:
        LoadingError: the file is not there, is one of several, or cannot be converted.
        ModelPackageError: the model's package is not installed.
    """
    source = source_of(name)
    if source is not None:
        return str(converted(source))
    return str(model_path()) if name == EMBEDDED and not Path(name).exists() else name


def source_of(name: str) -> GgufSource | None:
    """The GGUF file that a name stands for; ``None`` if it stands for none.

    Raises:
        LoadingError: the file is not there, or is one of several.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return _within(path)
    if path.suffix.lower() == ".gguf":
        if not path.is_file():
            raise LoadingError(f"there is no file {name}; give the path of a .gguf file")
        return GgufSource.of_file(path)
    return PACKAGED[name].source if name in PACKAGED and not path.exists() else None


def is_ours(name: str) -> bool:
    """Whether transformers by itself would not know the name."""
    return checkpoint_of(name) != name


def _within(folder: Path) -> GgufSource | None:
    files = sorted(folder.glob("*.gguf"))
    if not files or (folder / "config.json").is_file():
        return None
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise LoadingError(f"{folder} holds {names}; give the path of one of them")
    return GgufSource.of_file(files[0])
