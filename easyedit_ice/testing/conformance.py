"""Run every promise on every shape of model."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from easyedit_ice.easyedit import host_info, register
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.errors import ConformanceError, HostNotFoundError
from easyedit_ice.testing.cases import Case
from easyedit_ice.testing.host import HOST_PROMISES
from easyedit_ice.testing.promises import PROMISES
from easyedit_ice.testing.tiny_models import SHAPES, Shape

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A promise that an algorithm breaks.

    Attributes:
        promise: the promise, in words.
        shape: the model it was broken on.
        error: what happened.
    """

    promise: str
    shape: str
    error: BaseException

    def __str__(self) -> str:
        return f"{self.promise} [{self.shape}]: {type(self.error).__name__}: {self.error}"


def check_algorithm(
    spec: Algorithm, settings: Mapping[str, Any] | None = None, *, host: bool | None = None, device: str = "cpu"
) -> None:
    """Hold an algorithm to all promises, on GPT-2 and Llama shapes, tied and untied, in fp32 and bf16.

    Args:
        spec: the algorithm; it need not be registered.
        settings: hyperparameters that make it quick on a tiny model.
        host: whether to check within EasyEdit's ``BaseEditor`` as well; by default, if there is an EasyEdit.
        device: that the models are on, as ``cuda:0``.

    Raises:
        ConformanceError: a promise is broken; the message lists every one, with its models, by what causes it.
        HostError: EasyEdit is asked for and missing, or is there and does not load.
    """
    if host is None:
        host = _has_host()
    if host:
        register()
    promises = PROMISES | HOST_PROMISES if host else PROMISES
    broken = list(failures(spec, settings, promises=promises, device=device))
    if broken:
        raise ConformanceError(told(spec.name, broken))


def told(name: str, broken: Sequence[Failure]) -> str:
    """What an algorithm breaks, by what causes it: errors that differ in numbers alone are of one cause."""
    causes: dict[str, list[Failure]] = {}
    for failure in broken:
        causes.setdefault(re.sub(r"\d+", "#", f"{type(failure.error).__name__}: {failure.error}"), []).append(failure)
    lines = [f"{name} breaks {len(broken)} promises; {len(causes)} causes:"]
    for failures_of_it in causes.values():
        error = failures_of_it[0].error
        lines.append(f"* {type(error).__name__}: {error}")
        shapes: dict[str, list[str]] = {}
        for failure in failures_of_it:
            shapes.setdefault(failure.promise, []).append(failure.shape)
        lines += [f"    {promise} [{'; '.join(on)}]" for promise, on in shapes.items()]
    return "\n".join(lines)


def failures(
    spec: Algorithm,
    settings: Mapping[str, Any] | None = None,
    *,
    shapes: Sequence[Shape] = SHAPES,
    promises: Mapping[str, Callable[[Case], None]] = PROMISES,
    device: str = "cpu",
) -> Iterator[Failure]:
    """The promises an algorithm breaks, one by one."""
    hparams = spec.hparams_class.from_dict(settings or {})
    for shape in shapes:
        for words, check in promises.items():
            try:
                check(Case(spec, hparams, shape, device))
            except (Exception, KeyboardInterrupt) as error:
                yield Failure(words, shape.name, error)


def _has_host() -> bool:
    try:
        logger.info("checking within %s", host_info())
    except HostNotFoundError as error:
        logger.info("not checking within EasyEdit: %s", error)
        return False
    return True
