"""What parts of the package need beyond its core, and how to get it."""

from __future__ import annotations

from importlib.util import find_spec

from easyedit_ice.errors import MissingExtraError

EXTRAS: dict[str, tuple[str, ...]] = {
    "abilities": ("lm_eval",),
    "bench": ("bm25s", "hydra", "matplotlib", "pandas", "scipy"),
    "data": ("datasets",),
    "experts": ("matplotlib", "sklearn"),
    "quant": ("bitsandbytes",),
    "ui": ("gradio",),
}
"""Modules that each extra of setup.cfg brings, of those that this package imports."""


def require(extra: str, what: str) -> None:
    """Refuse to go on unless the modules of an extra are installed; none of them is imported.

    Args:
        extra: a key of :data:`EXTRAS`.
        what: that needs them, as a sentence's subject.

    Raises:
        MissingExtraError: some are not.
    """
    missing = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{what} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed; run "
            f"`pip install 'easyedit-ice[{extra}]'`"
        )
