"""The one table of algorithms.

An algorithm is one object, :class:`Algorithm`, at the end of one module; the table holds names, and where the objects
are, so that nothing is imported before it is asked for. Packages outside this one add theirs with
:meth:`AlgorithmTable.add`, or through an entry point of the group ``easyedit_ice.editors.algorithms`` that names an
:class:`Algorithm`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from easyedit_ice.errors import (
    BrokenAlgorithmError,
    DuplicateAlgorithmError,
    HyperParamsError,
    UnknownAlgorithmError,
    did_you_mean,
)
from easyedit_ice.model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from torch import nn

    from easyedit_ice.edit.hparams import EditHyperParams
    from easyedit_ice.edit.update import WeightUpdate
    from easyedit_ice.planning.footprint import Footprint
    from easyedit_ice.precompute.moments import Measuring

logger = logging.getLogger(__name__)

ENTRY_POINT_GROUP = "easyedit_ice.algorithms"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Algorithm:
    """All that the package and its host need to know of an algorithm.

    Where a class or function is asked for, ``"module:name"`` does as well, and is imported when first asked for.

    Attributes:
        name: value of ``hparams.alg_name``; must not be one of EasyEdit's own.
        hparams: its :class:`~easyedit_ice.edit.hparams.EditHyperParams`, for this algorithm alone.
        solve: ``(model, tok, requests, hparams) -> WeightUpdate``; it leaves the model unchanged.
        summary: one line for lists and help.
        prepare: ``(model, tok, hparams)``, which does beforehand what is done once on the unedited model; ``None`` if
            there is nothing. ``solve`` does it where it was not done.
        batchable: whether it writes several facts at once.
        needs_subject: whether every fact must name a subject that occurs in its prompt.
        padding_side: where EasyEdit's evaluation shall pad for this algorithm.
        plan: ``(model, hparams, facts, tokens, device) -> Footprint``, what an edit takes; ``None`` if nobody knows.
        presets: folder of its settings for single models, ``<model>.yaml``; ``None`` if they lie with those of this
            package.
        beside: whether its updates stand beside the weights, so that no checkpoint holds them.
        second_moments: ``(model, hparams) -> (names, measuring)``, the projections whose inputs' second moments it
            needs, and on what these are measured; ``None`` if it needs none.
    """

    name: str
    hparams: type[EditHyperParams] | str
    solve: Callable[..., WeightUpdate] | str
    summary: str = ""
    prepare: Callable[..., Any] | str | None = None
    batchable: bool = True
    needs_subject: bool = False
    padding_side: Literal["left", "right"] = "left"
    plan: Callable[..., Footprint] | str | None = None
    presets: Traversable | None = None
    beside: bool = False
    second_moments: Callable[..., tuple[tuple[str, ...], Measuring]] | str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.hparams, str):
            self._claim(self.hparams)

    @cached_property
    def hparams_class(self) -> type[EditHyperParams]:
        """The hyperparameter class."""
        if not isinstance(self.hparams, str):
            return self.hparams
        settings_class: type[EditHyperParams] = _resolve(self.hparams)
        self._claim(settings_class)
        return settings_class

    @property
    def class_name(self) -> str:
        """Name of the hyperparameter class."""
        return self.hparams.rpartition(":")[2] if isinstance(self.hparams, str) else self.hparams.__name__

    @cached_property
    def solve_function(self) -> Callable[..., WeightUpdate]:
        """The solve function."""
        return _resolve(self.solve)

    def has_setting(self, name: str) -> bool:
        """Whether there is a setting of this name."""
        return any(field.name == name for field in fields(self.hparams_class))

    def prepare_model(self, model: nn.Module, tok: Tokenizer, hparams: EditHyperParams) -> None:
        """Do what the algorithm does once, on the model before any edit."""
        if self.prepare:
            _resolve(self.prepare)(model, tok, hparams)

    def footprint(self, model: nn.Module, hparams: EditHyperParams, **edit: Any) -> Footprint:
        """What an edit takes.

        Raises:
            HyperParamsError: the algorithm cannot tell.
        """
        if not self.plan:
            raise HyperParamsError(f"{self.name} cannot be planned for; give its Algorithm a plan")
        return _resolve(self.plan)(model, hparams, **edit)

    def moments_needed(self, model: nn.Module, hparams: EditHyperParams) -> tuple[tuple[str, ...], Measuring]:
        """Projections whose inputs' second moments are needed, and on what these are measured.

        Raises:
            HyperParamsError: the algorithm, or with these settings, needs none.
        """
        if not self.second_moments:
            needing = [name for name, algorithm in ALGORITHMS.items() if algorithm.second_moments]
            raise HyperParamsError(f"{self.name} needs no second moments; choose one of {', '.join(needing)}")
        return _resolve(self.second_moments)(model, hparams)

    def _claim(self, kind: type[EditHyperParams]) -> None:
        """Tell the class of settings whose it is; a class derived from it is so too, until it gets its own.

        A class that declares its ``alg_name`` knows, and several entries may share it.
        """
        if next((field.default for field in fields(kind) if field.name == "alg_name"), ""):
            return
        owner = vars(kind).get("spec")
        if owner is not None and owner.name != self.name:
            raise DuplicateAlgorithmError(
                f"{kind.__name__} holds the settings of {owner.name}; derive a class from it for {self.name}"
            )
        kind.spec = self


AlgorithmSpec = Algorithm
"""The earlier name of :class:`Algorithm`."""


class AlgorithmTable(Mapping[str, Algorithm]):
    """Algorithms by name; entry points of other packages join when the table is first read.

    Args:
        *algorithms: to begin with.
        shipped: ``"module:name"`` of further ones, by their names.
    """

    def __init__(self, *algorithms: Algorithm, shipped: Mapping[str, str] = MappingProxyType({})) -> None:
        self._entries: dict[str, Algorithm | str] = dict(shipped)
        self._joined: set[str] = set()
        self._broken: dict[str, str] = {}
        self._discovered = False
        for algorithm in algorithms:
            self.add(algorithm)

    def add(self, algorithm: Algorithm) -> None:
        """Register an algorithm.

        Raises:
            DuplicateAlgorithmError: another algorithm has this name.
        """
        if algorithm.name in self._entries and self._entry(algorithm.name) != algorithm:
            raise DuplicateAlgorithmError(
                f"the name {algorithm.name!r} is taken by {_place(self._entry(algorithm.name).solve)}; "
                f"register {_place(algorithm.solve)} under another name"
            )
        self._entries[algorithm.name] = algorithm

    def remove(self, name: str) -> None:
        """Take an algorithm out of the table, as tests and notebooks need."""
        self._entries.pop(name, None)

    @property
    def joined(self) -> frozenset[str]:
        """Names of those that entry points of other packages have added."""
        self._discover()
        return frozenset(self._joined & self._entries.keys())

    def leave_out(self, name: str, why: str) -> None:
        """Take an algorithm of another package out of the table, and say so."""
        self.remove(name)
        self._tell(name, why)

    @property
    def broken(self) -> Mapping[str, str]:
        """Why algorithms of other packages are left out, by the names of their entry points."""
        self._discover()
        return MappingProxyType(self._broken)

    def __getitem__(self, name: str) -> Algorithm:
        self._discover()
        if name in self._entries:
            return self._entry(name)
        if name in self._broken:
            raise BrokenAlgorithmError(
                f"the algorithm {name!r} of another package is left out: {self._broken[name]}; mend or uninstall that "
                "package"
            )
        raise UnknownAlgorithmError(
            f"there is no algorithm {name!r}.{did_you_mean(str(name), self._entries)} "
            f"Available: {', '.join(sorted(self._entries))}"
        )

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(self._entries)

    def __len__(self) -> int:
        self._discover()
        return len(self._entries)

    def _entry(self, name: str) -> Algorithm:
        entry = self._entries[name]
        if isinstance(entry, str):
            entry = self._entries[name] = _resolve(entry)
        return entry

    def _discover(self) -> None:
        """Let the entry points of other packages join, each by itself: a broken one is named, and does no harm."""
        if self._discovered:
            return
        self._discovered = True
        for entry_point in entry_points(group=ENTRY_POINT_GROUP):
            try:
                self._join(entry_point)
            except (Exception, SystemExit) as error:
                self._tell(entry_point.name, f"{entry_point.value} raises {type(error).__name__}: {error}")

    def _tell(self, name: str, why: str) -> None:
        self._broken[name] = why
        logger.warning("the algorithm %r of another package is left out: %s", name, why)

    def _join(self, entry_point: EntryPoint) -> None:
        thing = entry_point.load()
        if not isinstance(thing, Algorithm):
            raise TypeError(f"it is {thing!r}, and no Algorithm")
        _ = thing.hparams_class, thing.solve_function
        self.add(thing)
        self._joined.add(thing.name)


def _resolve(what: _T | str) -> _T:
    """What a name such as ``"package.module:function"`` stands for."""
    if not isinstance(what, str):
        return what
    module, _, name = what.partition(":")
    return cast("_T", getattr(import_module(module), name))


def _place(what: Any) -> str:
    return what if isinstance(what, str) else f"{what.__module__}:{what.__qualname__}"


_OURS = "easyedit_ice.editors.algorithms"
ALGORITHMS = AlgorithmTable(
    shipped={
        "ICE-LoRA": f"{_OURS}.ice_lora:ALGORITHM",
        "LoRA-BF": f"{_OURS}.lora:ALGORITHM",
        "AdaLoRA": f"{_OURS}.adalora:ALGORITHM",
        "DoRA": f"{_OURS}.dora:ALGORITHM",
        "QLoRA-BF": f"{_OURS}.qlora:ALGORITHM",
        "GoRA": f"{_OURS}.gora:ALGORITHM",
        "SVF": f"{_OURS}.svf:ALGORITHM",
        "LocFT-BF": f"{_OURS}.locft:ALGORITHM",
        "FastMEMIT": f"{_OURS}.fast_memit:ALGORITHM",
        "FastEMMET": f"{_OURS}.fast_emmet:ALGORITHM",
        "FastROME": f"{_OURS}.fast_rome:ALGORITHM",
        "FastGate": f"{_OURS}.fast_gate:ALGORITHM",
        "FastICE": f"{_OURS}.fast_ice:ALGORITHM",
        "FastGrad": f"{_OURS}.fast_grad:ALGORITHM",
        "ICE-Grad": f"{_OURS}.ice_grad:ALGORITHM",
    }
)
