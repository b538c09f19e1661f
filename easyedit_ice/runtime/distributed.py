"""Work that several processes share, as ``accelerate launch`` starts them, or on CPUs ``torchrun``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from accelerate import PartialState

Item = TypeVar("Item")


def current_state() -> PartialState:
    """This process among those that were started together, joined to them.

    Without a GPU, or with ``ACCELERATE_USE_CPU=true``, they talk to each other over the CPU, which accelerate does not
    see for itself.
    """
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.cuda.is_available())


@dataclass(frozen=True)
class Share:
    """One process's part of some work.

    Attributes:
        index: of the process.
        count: of all processes.
        total: sums a tensor over all of them.
        gathered: an object of each of them, in their order.
    """

    index: int = 0
    count: int = 1
    total: Callable[[Tensor], Tensor] = lambda tensor: tensor
    gathered: Callable[[Any], list[Any]] = lambda value: [value]

    @classmethod
    def current(cls) -> Share:
        """This process's share; all of it where there is no other."""
        from accelerate.utils import gather_object, reduce

        state = current_state()
        if state.num_processes == 1:
            return cls()
        return cls(
            state.process_index,
            state.num_processes,
            lambda part: reduce(part.to(state.device), reduction="sum").to(part.device),
            lambda value: gather_object([value]),
        )

    @property
    def first(self) -> bool:
        """Whether this process does what is done once."""
        return self.index == 0

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's items, dealt out in turn."""
        return items[self.index :: self.count]
