"""What happens when a sweep has ended."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from easyedit_ice.errors import IncomparableRunsError

logger = logging.getLogger(__name__)

REPORT = "report"


class ReportAtEnd(Callback):
    """Writes the report of all runs of a sweep into its folder."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra once, in the process that started the sweep."""
        from easyedit_ice.bench.report import compare, find_runs, read_run, write_report

        if not config.write_report:
            return
        folder = Path(config.hydra.sweep.dir)
        try:
            write_report(compare([read_run(run) for run in find_runs([folder])]), folder / REPORT)
        except IncomparableRunsError as error:
            logger.warning("no report of %s: %s", folder, error)
