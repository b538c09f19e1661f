"""What modules read and return while a model runs, by hooks that are taken out again; a pass may end early.

with captured({"key": model.get_submodule(path)}, "in", stop=True) as seen:
    model(**inputs)
seen["key"]
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, TypeVar

from torch import Tensor, nn

from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.fused_experts import what_is_read

Key = TypeVar("Key", bound=Hashable)
Side = Literal["in", "out"]


class _Enough(Exception):
    """All that was wanted has been seen: the rest of the pass is not needed."""


@contextmanager
def watching(
    modules: Iterable[nn.Module],
    *,
    before: Callable[[nn.Module, tuple[Any, ...]], Any] | None = None,
    after: Callable[[nn.Module, tuple[Any, ...], Any], Any] | None = None,
) -> Iterator[None]:
    """Call functions whenever some modules run within the block, as torch's forward hooks are called.

    Args:
        modules: to be watched.
        before: gets a module and its arguments; what it returns takes their place, unless it is ``None``.
        after: gets a module, its arguments and its output; what it returns takes the output's place, likewise.
    """
    with ExitStack() as hooks:
        for module in modules:
            if before is not None:
                hooks.callback(module.register_forward_pre_hook(before).remove)
            if after is not None:
                hooks.callback(module.register_forward_hook(after).remove)
        yield


@contextmanager
def captured(
    modules: Mapping[Key, nn.Module],
    side: Side,
    *,
    keep: Callable[[Any], Any] = lambda value: value,
    stop: bool = False,
) -> Iterator[dict[Key, Any]]:
    """What modules read or return within the block, by their keys; the last time, if they run several times.

    Args:
        modules: by key, such as their paths.
        side: ``"in"`` for what a module's weight is multiplied with, its first argument but for fused experts;
            ``"out"`` for what it returns.
        keep: what is kept of it.
        stop: end the block as soon as every module has run.

    Raises:
        AnatomyError: a module has not been called by the block's end: a pass has taken its weight alone, as fused
            kernels do.
    """
    keys = {module: key for key, module in modules.items()}
    values: dict[Key, Any] = {}
    enough = _Enough()

    def note(module: nn.Module, value: Any) -> None:
        values[keys[module]] = keep(value)
        if stop and len(values) == len(keys):
            raise enough

    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        note(module, what_is_read(module, args))

    def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        note(module, output)

    with watching(keys, before=before) if side == "in" else watching(keys, after=after):
        try:
            yield values
        except _Enough as raised:
            if raised is not enough:
                raise
            enough.__traceback__ = None  # it holds all tensors of the pass, and would until garbage is collected
    if uncalled := [key for key in keys.values() if key not in values]:
        raise not_run(uncalled[0])


def not_run(module: Any) -> AnatomyError:
    """The error for a module of which a pass has taken the weight alone, as fused kernels do."""
    return AnatomyError(
        f"{module} is not called in the model's forward pass, which reads its weight directly; choose other "
        "target_modules or layers"
    )


def hidden_of(output: Any) -> Tensor:
    """The hidden states in what a module returns."""
    hidden: Tensor = output[0] if isinstance(output, (tuple, list)) else output
    return hidden


def with_hidden(output: Any, hidden: Tensor) -> Any:
    """What a module returned, with other hidden states."""
    if isinstance(output, list):
        return [hidden, *output[1:]]
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden
