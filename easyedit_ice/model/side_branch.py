"""A change that is computed beside a module: y = W x + ΔW x."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class SideBranch:
    """A forward hook that adds something to what a module returns.

    Args:
        change: what is added for the module's input (..., in): (..., out), or ``None`` for nothing.
    """

    def __init__(self, change: Callable[[Tensor], Tensor | None]) -> None:
        self._change = change

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """The hook; the sum has the output's type."""
        change = self._change(args[0])
        return output if change is None else output + change.to(output.dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> SideBranch:
        """Itself: nothing in it belongs to one module, and a copied model has it among its hooks."""
        return self

    def attach(self, module: nn.Module) -> None:
        """Put the hook in."""
        module.register_forward_hook(self)

    def detach(self, module: nn.Module) -> None:
        """Take the hook out again, if it is there."""
        for number in [number for number, hook in module._forward_hooks.items() if hook is self]:
            del module._forward_hooks[number]
