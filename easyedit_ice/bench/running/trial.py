"""One fact by each method, thrown away: whether it runs on this model, and how long it takes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig

from easyedit_ice.bench.running.one_run import run
from easyedit_ice.bench.running.time_left import Pace
from easyedit_ice.errors import AllFactsFailedError, EasyEditIceError


@dataclass(frozen=True)
class Trial:
    """How a method did on one fact.

    Attributes:
        method: its name.
        fact: seconds that the fact took, with all that was asked.
        start: seconds that everything before it took.
        problem: why it cannot run; none if it can.
    """

    method: str
    fact: float = 0.0
    start: float = 0.0
    problem: str | None = None


def try_out(config: DictConfig) -> Trial:
    """Edit one fact in a folder that is gone afterwards; what is measured once of the model stays in the cache.

    Args:
        config: of a run of one fact.

    Returns:
        what it took, or why the method cannot run. One that failed on the fact alone can.
    """
    name, paces = str(config.algorithm.name), []

    def pace(*arguments: Any, **options: Any) -> Pace:
        paces.append(Pace(*arguments, **options))
        return paces[-1]

    started = time.perf_counter()
    with TemporaryDirectory() as folder:
        try:
            run(config, Path(folder) / "trial", pace)
        except AllFactsFailedError:
            pass
        except EasyEditIceError as error:
            return Trial(name, problem=str(error))
    fact = next((pace.typical for pace in paces if pace.typical is not None), 0.0)
    return Trial(name, fact, time.perf_counter() - started - fact)
