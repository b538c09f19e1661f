"""What toy algorithms of tests have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from easyedit_ice.edit.hparams import EditHyperParams, setting
from easyedit_ice.edit.registry import AlgorithmSpec


@dataclass
class ToyHyperParams(EditHyperParams):
    """Settings of a toy."""

    alg_name: str = setting("Toy", "name")


def toy_spec(solve: Callable[..., Any], **changes: Any) -> AlgorithmSpec:
    """A spec of a function of a test's module, under the name ``"Toy"``."""
    path = f"{solve.__module__}:{solve.__name__}"
    return AlgorithmSpec(name="Toy", hparams=f"{__name__}:ToyHyperParams", solve=path, **changes)
