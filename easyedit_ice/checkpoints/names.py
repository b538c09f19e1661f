"""What the name of a model means: a folder, a GGUF file, a model of this package or of another, or a hub name."""

from __future__ import annotations

from pathlib import Path

from easyedit_ice.checkpoints.conversion import converted
from easyedit_ice.checkpoints.gguf_files import GgufSource
from easyedit_ice.checkpoints.packages import PACKAGED
from easyedit_ice.errors import LoadingError, did_you_mean
from easyedit_ice.factworld import model_path

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
    if name == EMBEDDED and not Path(name).exists():
        return str(model_path())
    return str(Path(name).expanduser()) if name.startswith("~") else name


def source_of(name: str) -> GgufSource | None:
    """The GGUF file that a name stands for; ``None`` if it stands for none.

    Raises:
        LoadingError: the file is not there, or is one of several.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        file = _only(path)
        return GgufSource.of_file(file) if file is not None else None
    if path.suffix.lower() == ".gguf":
        if not path.is_file():
            raise LoadingError(f"there is no file {name}; give the path of a .gguf file")
        return GgufSource.of_file(path)
    return PACKAGED[name].source if name in PACKAGED and not path.exists() else None


def is_known(name: str) -> bool:
    """Whether a name means a model that transformers by itself would not find; nothing is converted.

    Raises:
        LoadingError: the name is a file that is not there, or a folder of several.
    """
    path = Path(name).expanduser()
    return (
        path.suffix.lower() == ".gguf" or (name in NAMES and not path.exists()) or bool(path.is_dir() and _only(path))
    )


def require_known(name: str) -> None:
    """Refuse a name that :func:`is_known` does not know.

    Raises:
        LoadingError: with what is known.
    """
    if not is_known(name):
        raise LoadingError(
            f"{name!r} is no .gguf file and no model of a package.{did_you_mean(name.lower(), NAMES)} "
            f"Models: {', '.join(NAMES)}"
        )


def _only(folder: Path) -> Path | None:
    """The one GGUF file of a folder that is no checkpoint itself."""
    files = sorted(folder.glob("*.gguf"))
    if not files or (folder / "config.json").is_file():
        return None
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise LoadingError(f"{folder} holds {names}; give the path of one of them")
    return files[0]
