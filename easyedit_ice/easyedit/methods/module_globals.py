"""What EasyEdit's methods keep beyond a call: in globals of their modules, in executors, on their hyperparameters.

Each method of ours that stands for one of EasyEdit's has a memory of its own, which is in place only while that method
works. So two methods of one process do not see each other's caches, and a memory can be brought back like weights.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from easyedit_ice.easyedit.locate import PACKAGE
from easyedit_ice.easyedit.methods.host_spec import Globals, NotYet

_ABSENT = object()
_Names = dict[tuple[str, str], Any]


class Memory:
    """The memory of one method, empty at first.

    Args:
        owner: the object whose attributes belong to the memory, such as the executor of ULTRAEDIT; none for functions.
        hparams: settings, on which a method may keep something.
        globals: of EasyEdit's modules, in which it keeps something; several, if it wraps another method.
    """

    def __init__(self, owner: object | None, hparams: object, globals: Sequence[Globals]) -> None:
        self._owner, self._hparams = owner, hparams
        self._records = {name for part in globals for name in part.records}
        starts = {name: start for part in globals for name, start in {**part.caches, **part.records}.items()}
        self._globals: _Names = {
            (module, name): _ABSENT if isinstance(start, NotYet) else copy.copy(start)
            for module in list(sys.modules)
            if module.startswith(f"{PACKAGE}.models.")
            for name, start in starts.items()
            if (start.beside if isinstance(start, NotYet) else name) in vars(sys.modules[module])
        }
        self._attributes = {} if owner is None else vars(type(owner)())

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Have EasyEdit use this memory for the block, and then the one it had."""
        others, attributes = self._swap(self._globals, self._attributes)
        try:
            yield
        finally:
            self._globals, self._attributes = self._swap(others, attributes)

    def taken(self, pinned: Mapping[int, Any]) -> tuple[_Names, dict[str, Any], dict[str, Any]]:
        """A copy of the memory, for :meth:`put`.

        Args:
            pinned: objects that the copy shall refer to, by id, as ``deepcopy`` takes them.
        """
        memo = dict(pinned)
        names = {
            key: copy.deepcopy(value, memo) if key[1] in self._records and value is not _ABSENT else value
            for key, value in self._globals.items()
        }
        return names, copy.deepcopy(self._attributes, memo), copy.deepcopy(vars(self._hparams), memo)

    def put(self, taken: tuple[_Names, dict[str, Any], dict[str, Any]]) -> None:
        """Go back to what was taken; once."""
        self._globals, self._attributes, settings = taken
        _replace(self._hparams, settings)

    def tensors(self) -> dict[str, Tensor]:
        """The records of edits that are tensors, by module and name."""
        return {
            f"{module}.{name}": value
            for (module, name), value in self._globals.items()
            if name in self._records and isinstance(value, Tensor)
        }

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what :meth:`tensors` returned."""
        for key, tensor in tensors.items():
            module, _, name = key.rpartition(".")
            self._globals[module, name] = tensor.clone()

    def _swap(self, names: _Names, attributes: dict[str, Any]) -> tuple[_Names, dict[str, Any]]:
        """Put a memory into EasyEdit; what it had there."""
        had = {key: vars(sys.modules[key[0]]).get(key[1], _ABSENT) for key in names}
        for (module, name), value in names.items():
            if value is _ABSENT:
                vars(sys.modules[module]).pop(name, None)
            else:
                vars(sys.modules[module])[name] = value
        if self._owner is None:
            return had, {}
        had_attributes = dict(vars(self._owner))
        _replace(self._owner, attributes)
        return had, had_attributes


def _replace(thing: object, attributes: Mapping[str, Any]) -> None:
    vars(thing).clear()
    vars(thing).update(attributes)
