"""Have modules do something else for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def replaced_forwards(instead: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Modules are called as these functions within the block, and as before once it ends.

    Args:
        instead: by module what it does; its hooks still run.
    """
    earlier = {module: vars(module).get("forward") for module in instead}
    try:
        for module, function in instead.items():
            module.forward = function
        yield
    finally:
        for module, forward in earlier.items():
            if forward is None:
                vars(module).pop("forward", None)
            else:
                module.forward = forward


@contextmanager
def replaced_outputs(instead: Mapping[nn.Module, Any]) -> Iterator[None]:
    """Modules do not run within the block, and return copies of these values, whatever their own hooks make of them."""

    def saying(output: Any) -> Callable[..., Any]:
        return lambda *args, **kwargs: copied(output)

    with ExitStack() as stack:
        stack.enter_context(replaced_forwards({module: saying(output) for module, output in instead.items()}))
        for module, output in instead.items():
            stack.callback(module.register_forward_hook(saying(output)).remove)
        yield


def copied(output: Any) -> Any:
    """What a module returned, for keeps: some models add to it in place."""
    if isinstance(output, list):
        return [copied(part) for part in output]
    if isinstance(output, tuple):
        return tuple(copied(part) for part in output)
    return output.clone() if isinstance(output, Tensor) else output
