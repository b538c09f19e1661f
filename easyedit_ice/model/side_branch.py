"""A change that is computed beside a module: y = W x + ΔW x."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from easyedit_ice.errors import UpdateError


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


def refuse_branches(model: nn.Module, form: str) -> None:
    """Refuse to write a model to a file that holds its weights alone.

    Args:
        model: as it is to be written.
        form: of the file, for the message.

    Raises:
        UpdateError: something stands beside its modules, and would be lost.
    """
    beside = [path for path, module in model.named_modules() if any(map(_is_branch, module._forward_hooks.values()))]
    if beside:
        raise UpdateError(
            f"an edit stands beside {beside[0]}, and {form} holds weights alone; save the update by WeightUpdate.save, "
            "or edit by an algorithm that writes to weights, such as FastMEMIT"
        )


def _is_branch(hook: object) -> bool:
    return isinstance(hook, SideBranch)
