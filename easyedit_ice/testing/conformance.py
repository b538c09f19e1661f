"""Run every promise on every shape of model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from easyedit_ice.errors import ConformanceError
from easyedit_ice.registry import AlgorithmSpec
from easyedit_ice.testing.models import SHAPES, Shape
from easyedit_ice.testing.promises import PROMISES, Case


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


def check_algorithm(spec: AlgorithmSpec, settings: Mapping[str, Any] | None = None) -> None:
    """Hold an algorithm to all promises, on GPT-2 and Llama shapes in fp32 and bf16.

    Args:
        spec: the algorithm; it need not be registered.
        settings: hyperparameters that make it quick on a tiny model.

    Raises:
        ConformanceError: a promise is broken; the message lists every one, with its model.
    """
    broken = list(failures(spec, settings))
    if broken:
        raise ConformanceError(f"{spec.name} breaks {len(broken)} promises:\n" + "\n".join(map(str, broken)))


def failures(
    spec: AlgorithmSpec, settings: Mapping[str, Any] | None = None, shapes: Sequence[Shape] = SHAPES
) -> Iterator[Failure]:
    """The promises an algorithm breaks, one by one."""
    hparams = spec.hparams_class.from_dict(settings or {})
    for shape in shapes:
        for words, check in PROMISES.items():
            try:
                check(Case(spec, hparams, shape))
            except (Exception, KeyboardInterrupt) as error:
                yield Failure(words, shape.name, error)
