"""A change that is computed beside a module: y = W x + ΔW x."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class SideBranch:
    """A forward hook that adds something to what a module returns.

    Args:
        module: gets the hook.
        change: what is added for the module's input (..., in): (..., out), or ``None`` for nothing.
    """

    def __init__(self, module: nn.Module, change: Callable[[Tensor], Tensor | None]) -> None:
        self._change = change
        self._handle = module.register_forward_hook(self)

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """The hook; the sum has the output's type."""
        change = self._change(args[0])
        return output if change is None else output + change.to(output.dtype)

    def remove(self) -> None:
        """Take the hook out again."""
        self._handle.remove()
