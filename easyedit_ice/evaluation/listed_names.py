"""Names that a setting lists, of a table that has them all."""

from __future__ import annotations

from collections.abc import Iterable

from easyedit_ice.errors import RunConfigError, did_you_mean

ALL = "all"
"""The name of all of them together."""


def listed(words: Iterable[str], names: Iterable[str], what: str, setting: str) -> tuple[str, ...]:
    """The names that are listed, each once, in the table's order; ``all`` lists each of them.

    Args:
        words: as the setting lists them.
        names: of the table.
        what: what they name, for whoever reads an error: ``"probe"``.
        setting: which lists them: ``"evaluation.probes"``.

    Raises:
        RunConfigError: a word is no name of the table.
    """
    words, names = list(words), list(names)
    known = [*names, ALL]
    for word in words:
        if word not in known:
            raise RunConfigError(
                f"there is no {what} {word!r}; {setting} takes {', '.join(known)}.{did_you_mean(word, known)}"
            )
    return tuple(name for name in names if ALL in words or name in words)
