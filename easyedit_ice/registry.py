"""The one table of algorithms.

A new algorithm is one module in ``algorithms/``, one line in :data:`ALGORITHMS` and one YAML in
``hparams/``. Packages outside this one add theirs with :meth:`AlgorithmTable.add`, or through an entry
point of the group ``easyedit_ice.algorithms`` that names an :class:`AlgorithmSpec`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal

from easyedit_ice.errors import DuplicateAlgorithmError, UnknownAlgorithmError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

    from easyedit_ice.hparams import EditHyperParams
    from easyedit_ice.updates import WeightUpdate

ENTRY_POINT_GROUP = "easyedit_ice.algorithms"


@dataclass(frozen=True)
class AlgorithmSpec:
    """All that the package and its host need to know of an algorithm.

    Attributes:
        name: value of ``hparams.alg_name``; must not be one of EasyEdit's own.
        hparams: ``"module:class"`` of its :class:`~easyedit_ice.hparams.EditHyperParams`.
        solve: ``"module:function"`` with the signature
            ``(model, tok, requests, hparams) -> WeightUpdate``; it leaves the model unchanged.
        summary: one line for lists and help.
        prepare: ``"module:function"`` with the signature ``(model, tok, hparams)``, which does beforehand what is done
            once on the unedited model; empty if there is nothing. ``solve`` does it where it was not done.
        batchable: whether it writes several facts at once.
        needs_subject: whether every fact must name a subject that occurs in its prompt.
        padding_side: where EasyEdit's evaluation shall pad for this algorithm.
    """

    name: str
    hparams: str
    solve: str
    summary: str = ""
    prepare: str = ""
    batchable: bool = True
    needs_subject: bool = False
    padding_side: Literal["left", "right"] = "left"

    @cached_property
    def hparams_class(self) -> type[EditHyperParams]:
        """The hyperparameter class, imported when first asked for."""
        return _resolve(self.hparams)

    @cached_property
    def solve_function(self) -> Callable[..., WeightUpdate]:
        """The solve function, imported when first asked for."""
        return _resolve(self.solve)

    def prepare_model(self, model: nn.Module, tok: Any, hparams: EditHyperParams) -> None:
        """Do what the algorithm does once, on the model before any edit."""
        if self.prepare:
            _resolve(self.prepare)(model, tok, hparams)


class AlgorithmTable(Mapping[str, AlgorithmSpec]):
    """Algorithms by name; entry points of other packages join when the table is first read."""

    def __init__(self, *specs: AlgorithmSpec) -> None:
        self._specs: dict[str, AlgorithmSpec] = {}
        self._discovered = False
        for spec in specs:
            self.add(spec)

    def add(self, spec: AlgorithmSpec) -> None:
        """Register an algorithm.

        Raises:
            DuplicateAlgorithmError: another algorithm has this name.
        """
        if self._specs.setdefault(spec.name, spec) != spec:
            raise DuplicateAlgorithmError(
                f"the name {spec.name!r} is taken by {self._specs[spec.name].solve}; "
                f"register {spec.solve} under another name"
            )

    def remove(self, name: str) -> None:
        """Take an algorithm out of the table, as tests and notebooks need."""
        self._specs.pop(name, None)

    def __getitem__(self, name: str) -> AlgorithmSpec:
        self._discover()
        try:
            return self._specs[name]
        except KeyError:
            raise UnknownAlgorithmError(
                f"there is no algorithm {name!r}.{did_you_mean(str(name), self._specs)} "
                f"Available: {', '.join(sorted(self._specs))}"
            ) from None

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._specs

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(self._specs)

    def __len__(self) -> int:
        self._discover()
        return len(self._specs)

    def _discover(self) -> None:
        if not self._discovered:
            self._discovered = True
            for entry_point in entry_points(group=ENTRY_POINT_GROUP):
                self.add(entry_point.load())


def _resolve(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


ALGORITHMS = AlgorithmTable(
    AlgorithmSpec(
        name="ICE-LoRA",
        hparams="easyedit_ice.algorithms.ice_lora:IceLoraHyperParams",
        solve="easyedit_ice.training.solve:solve",
        summary="in-context editing's KL objective on low-rank adapters",
    ),
    AlgorithmSpec(
        name="LoRA-BF",
        hparams="easyedit_ice.algorithms.lora:LoraHyperParams",
        solve="easyedit_ice.training.solve:solve",
        summary="fine-tuning of low-rank adapters, breadth-first",
    ),
    AlgorithmSpec(
        name="AdaLoRA",
        hparams="easyedit_ice.algorithms.adalora:AdaLoraHyperParams",
        solve="easyedit_ice.training.solve:solve",
        summary="fine-tuning of adapters whose rank goes where it is needed",
    ),
    AlgorithmSpec(
        name="DoRA",
        hparams="easyedit_ice.algorithms.dora:DoraHyperParams",
        solve="easyedit_ice.training.solve:solve",
        summary="fine-tuning of directions and magnitudes apart",
    ),
    AlgorithmSpec(
        name="QLoRA-BF",
        hparams="easyedit_ice.algorithms.qlora:QLoraHyperParams",
        solve="easyedit_ice.training.solve:solve",
        summary="fine-tuning of low-rank adapters beside weights in 4 or 8 bits",
    ),
    AlgorithmSpec(
        name="GoRA",
        hparams="easyedit_ice.algorithms.gora:GoRAHyperParams",
        solve="easyedit_ice.training.solve:solve",
        prepare="easyedit_ice.training.making:prepare",
        summary="low-rank adapters that leave general text and earlier edits alone, for long streams",
    ),
    AlgorithmSpec(
        name="SVF",
        hparams="easyedit_ice.algorithms.svf:SVFHyperParams",
        solve="easyedit_ice.training.solve:solve",
        prepare="easyedit_ice.training.making:prepare",
        summary="scales singular values: the smallest edits, which can be mixed as experts",
    ),
    AlgorithmSpec(
        name="LocFT-BF",
        hparams="easyedit_ice.algorithms.locft:LocFTHyperParams",
        solve="easyedit_ice.training.solve:solve",
        summary="fine-tuning of one late projection, breadth-first",
    ),
    AlgorithmSpec(
        name="FastMEMIT",
        hparams="easyedit_ice.algorithms.fast_memit:FastMEMITHyperParams",
        solve="easyedit_ice.algorithms.fast_memit:solve",
        prepare="easyedit_ice.algorithms.fast_memit:prepare",
        summary="mass editing in closed form, with second moments of few tokens",
        needs_subject=True,
    ),
    AlgorithmSpec(
        name="FastEMMET",
        hparams="easyedit_ice.algorithms.fast_emmet:FastEMMETHyperParams",
        solve="easyedit_ice.algorithms.fast_emmet:solve",
        prepare="easyedit_ice.algorithms.fast_memit:prepare",
        summary="the same with values fitted as closely as asked for",
        needs_subject=True,
    ),
    AlgorithmSpec(
        name="FastROME",
        hparams="easyedit_ice.algorithms.fast_rome:FastROMEHyperParams",
        solve="easyedit_ice.algorithms.fast_rome:solve",
        prepare="easyedit_ice.algorithms.fast_memit:prepare",
        summary="rank-one editing of one fact, with second moments of few tokens",
        batchable=False,
        needs_subject=True,
    ),
    AlgorithmSpec(
        name="FastICE",
        hparams="easyedit_ice.algorithms.fast_ice:FastICEHyperParams",
        solve="easyedit_ice.algorithms.fast_ice:solve",
        prepare="easyedit_ice.algorithms.fast_ice:prepare",
        summary="what a context with the new fact adds, written in closed form by forward passes alone",
    ),
)
