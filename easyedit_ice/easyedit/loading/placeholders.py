"""Placeholders for packages that only parts of EasyEdit need and that are not installed.

EasyEdit imports all its editors at once, so that one absent package of a multimodal editor would keep every
editor from loading. Modules of EasyEdit are therefore given an ``__import__`` of their own
(:func:`host_import`), which answers an import of such a package with a placeholder. The placeholder raises
:class:`~easyedit_ice.errors.MissingPackageError` when it is called. No placeholder ever enters
``sys.modules``: other packages, transformers above all, see what is really installed.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from importlib.util import resolve_name
from types import ModuleType
from typing import Any, NoReturn

from easyedit_ice.errors import MissingPackageError

# Import name -> name on the package index.
OPTIONAL = {
    "av": "av",
    "cv2": "opencv-python-headless",
    "einops": "einops",
    "fairscale": "fairscale",
    "higher": "higher",
    "hydra": "hydra-core",
    "iopath": "iopath",
    "matplotlib": "matplotlib",
    "nltk": "nltk",
    "openai": "openai",
    "qwen_vl_utils": "qwen-vl-utils",
    "rouge": "rouge",
    "scipy": "scipy",
    "seaborn": "seaborn",
    "sentence_transformers": "sentence-transformers",
    "sklearn": "scikit-learn",
    "timm": "timm",
    "torchvision": "torchvision",
    "zhipuai": "zhipuai",
}
# Code of EasyEdit that imports what newer versions of transformers no longer have.
FRAGILE = "easyeditor.trainer.blip2_models"

stood_in: dict[str, str] = {}
"""What was stood in for so far, and what to do to have the real thing."""


def host_import(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """``__import__`` for modules of EasyEdit: what is not installed, and may be absent, is stood in for."""
    try:
        return builtins.__import__(name, globals, locals, fromlist, level)
    except ImportError as error:
        absolute = resolve_name("." * level + name, (globals or {})["__package__"]) if level else name
        package = absolute.partition(".")[0]
        if package in OPTIONAL and getattr(error, "name", None) == package:
            remedy = f"it is not installed; run `pip install {OPTIONAL[package]}`"
        elif f"{absolute}.".startswith(f"{FRAGILE}."):
            package = absolute
            remedy = f"it does not work with the installed transformers ({error}); it needs transformers < 5"
        else:
            raise
        stood_in[package] = remedy
        return _StandInModule(absolute if fromlist else package, remedy)


class _StandInModule(ModuleType):
    """Module whose every public attribute is a placeholder."""

    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(name)
        self._remedy = remedy

    def __getattr__(self, name: str) -> type:
        return _placeholder(self.__name__, name, self._remedy)


class _Placeholder(type):
    """Metaclass of placeholders: they serve as base classes and annotations, but cannot be called."""

    _stands_for: str
    _remedy: str

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise MissingPackageError(f"EasyEdit needs {cls._stands_for} here, but {cls._remedy}")

    def __getattr__(cls, name: str) -> type:
        return _placeholder(cls._stands_for, name, cls._remedy)

    def __getitem__(cls, parameters: Any) -> type:
        return cls


def _placeholder(parent: str, name: str, remedy: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Placeholder(name, (), {"_stands_for": f"{parent}.{name}", "_remedy": remedy})
