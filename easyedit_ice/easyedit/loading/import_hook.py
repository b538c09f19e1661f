"""The import hook: whoever imports ``easyeditor``, and whenever, gets one that works and knows our algorithms.

Installing it costs nothing but an entry in ``sys.meta_path``; nothing is loaded before somebody imports
EasyEdit. It concerns modules of the package ``easyeditor`` alone.
"""

from __future__ import annotations

import builtins
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from easyedit_ice.easyedit.loading.placeholders import host_import
from easyedit_ice.easyedit.loading.rewrites import HELPERS, compile_changed
from easyedit_ice.easyedit.locate import PACKAGE, REMEDY, find_host
from easyedit_ice.errors import HostNotFoundError, MissingPackageError


def install_finder(on_load: Callable[[], None]) -> None:
    """Meet EasyEdit: call ``on_load`` right after its next import, or at once if it is loaded already. Idempotent."""
    if not any(isinstance(finder, _HostFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _HostFinder(on_load))
    if PACKAGE in sys.modules:
        on_load()


def import_easyeditor() -> ModuleType:
    """EasyEdit's package.

    Raises:
        HostNotFoundError: there is none.
        MissingPackageError: a package that every editor of EasyEdit needs is not installed.
    """
    try:
        return import_module(PACKAGE)
    except ModuleNotFoundError as error:
        if error.name == PACKAGE:
            raise HostNotFoundError(f"there is no package {PACKAGE!r} on sys.path; {REMEDY}") from None
        raise MissingPackageError(
            f"EasyEdit needs {error.name}, which is not installed; run `pip install 'easyedit-ice[easyedit]'`"
        ) from error


class _HostFinder:
    """Finds modules of EasyEdit and has them loaded by :class:`HostLoader`."""

    def __init__(self, on_load: Callable[[], None]) -> None:
        self._on_load = on_load

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == PACKAGE:
            spec = find_host()
        elif fullname.startswith(f"{PACKAGE}."):
            spec = PathFinder.find_spec(fullname, path, target)
        else:
            return None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = HostLoader(spec.loader.name, spec.loader.path, self._on_load)
        return spec


class HostLoader(SourceFileLoader):
    """Loads a module of EasyEdit with stand-ins and the changes of :mod:`~easyedit_ice.easyedit.loading.rewrites`."""

    def __init__(self, fullname: str, path: str, on_load: Callable[[], None]) -> None:
        super().__init__(fullname, path)
        self._on_load = on_load

    def get_code(self, fullname: str) -> CodeType | None:
        """Changed code is never written to ``__pycache__``, where EasyEdit without us would find it."""
        changed = compile_changed(self.get_data(self.path), self.path)
        return super().get_code(fullname) if changed is None else changed

    def exec_module(self, module: ModuleType) -> None:
        """Run the module; when it is EasyEdit as a whole, say so after it."""
        vars(module).update(HELPERS, __builtins__={**vars(builtins), "__import__": host_import})
        if module.__name__ != PACKAGE:
            super().exec_module(module)
            return
        with _random_state_kept():
            super().exec_module(module)
        self._on_load()


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Packages that EasyEdit imports draw random numbers while they load."""
    import numpy
    import torch

    states = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        numpy.random.set_state(states[1])
        torch.set_rng_state(states[2])
