"""Scores of a run for a tracker, such as TensorBoard or Weights & Biases, through accelerate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from easyedit_ice.bench.storage.line import Line
from easyedit_ice.errors import RunConfigError

Track = Callable[[Sequence[Line]], None]


@contextmanager
def tracking(name: str | None, folder: Path, config: DictConfig, main: bool) -> Iterator[Track]:
    """Log each edit's scores, by ``<mode>/<measure>``, against the fact's position.

    Args:
        name: of one of accelerate's trackers; none tracks nothing.
        folder: of the run, for trackers that write files.
        config: of the run; its plain values are logged as hyperparameters.
        main: whether this is the process that tracks.

    Raises:
        RunConfigError: the tracker is unknown, or its package is not installed.
    """
    if name is None or not main:
        yield lambda lines: None
        return
    from accelerate import Accelerator

    try:
        accelerator = Accelerator(log_with=name, project_dir=folder / "tracker")
    except ValueError as error:
        raise RunConfigError(
            f"tracker is {name!r}, which accelerate does not take ({error}); is it installed?"
        ) from error
    if not accelerator.log_with:
        raise RunConfigError(f"tracker is {name!r}, whose package is not installed; install it, or leave tracker=null")
    accelerator.init_trackers(
        "easyedit-ice", config={"algorithm": config.algorithm.name, "mode": config.mode.name, "seed": config.seed}
    )

    def track(lines: Sequence[Line]) -> None:
        for line in lines:
            if line["phase"] == "immediate":
                accelerator.log(_values(line), step=line["position"])

    try:
        yield track
    finally:
        accelerator.end_training()


def _values(line: Line) -> dict[str, float]:
    scores = {
        f"{mode}/{measure}": value for mode, measures in line["scores"].items() for measure, value in measures.items()
    }
    cost = {name: value for name, value in line["cost"].items() if isinstance(value, (int, float))}
    return scores | {f"cost/{name}": value for name, value in cost.items()}
