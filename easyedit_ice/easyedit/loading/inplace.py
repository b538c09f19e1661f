"""The changes of :mod:`~easyedit_ice.easyedit.loading.rewrites` for an EasyEdit that was imported before this package.

Its functions exist already and are held by many names, so they are not replaced: each is given the code that
it would have had.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from easyedit_ice.easyedit.loading.rewrites import HELPERS, compile_changed
from easyedit_ice.easyedit.locate import PACKAGE


def change_loaded_host() -> None:
    """Give every loaded function of EasyEdit its changed code. Idempotent."""
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name.partition(".")[0] != PACKAGE or not path or HELPERS.keys() <= vars(module).keys():
            continue
        with open(path, "rb") as file:
            changed = compile_changed(file.read(), path)
        vars(module).update(HELPERS)
        if changed is not None:
            _give(module, {code.co_qualname: code for code in _nested(changed)})


def _give(module: ModuleType, codes: dict[str, CodeType]) -> None:
    for function in _functions(vars(module), module.__name__):
        code = codes.get(function.__qualname__)
        if code is not None and code.co_freevars == function.__code__.co_freevars:
            function.__code__ = code


def _nested(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _nested(constant)


def _functions(names: dict[str, Any], module: str) -> Iterator[FunctionType]:
    """Functions and methods that a module defines itself."""
    for value in list(names.values()):
        value = getattr(value, "__func__", value)
        if getattr(value, "__module__", None) != module:
            continue
        if isinstance(value, FunctionType):
            yield value
        elif isinstance(value, type):
            yield from _functions(dict(vars(value)), module)
