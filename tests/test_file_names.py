"""A file's name leads to one file of the package, but where a convention of docs/architecture.md gives two the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath

import easyedit_ice

PACKAGE = Path(easyedit_ice.__file__).parent
OF_EVERY_FOLDER = "__init__.py"
AN_ALGORITHM_AND_ITS_ADAPTER = ("editors/algorithms", "editors/gradient/adapters")
A_COMMAND_AND_WHAT_IT_SHOWS = ("cli", "edit")
MAY_RECUR = {
    "adalora.py": AN_ALGORITHM_AND_ITS_ADAPTER,
    "dora.py": AN_ALGORITHM_AND_ITS_ADAPTER,
    "hparams.py": A_COMMAND_AND_WHAT_IT_SHOWS,
    "lora.py": AN_ALGORITHM_AND_ITS_ADAPTER,
    "svf.py": AN_ALGORITHM_AND_ITS_ADAPTER,
}
"""Names that several files may have, with the folders of these."""


def doubled(files: Iterable[PurePath]) -> dict[str, tuple[str, ...]]:
    """Names that several files have, with the folders of these."""
    files = list(files)
    counts = Counter(file.name for file in files)
    return {
        name: tuple(sorted(file.parent.as_posix() for file in files if file.name == name))
        for name, count in counts.items()
        if count > 1 and name != OF_EVERY_FOLDER
    }


def modules() -> list[PurePath]:
    """The package's files, below the package."""
    return [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")]


def test_a_name_leads_to_one_file():
    assert doubled(modules()) == MAY_RECUR


def test_a_second_file_of_a_name_is_noticed():
    more = doubled([*modules(), PurePath("text/svf.py"), PurePath("book/update.py")])

    assert sorted(name for name in more if more[name] != MAY_RECUR.get(name)) == ["svf.py", "update.py"]
