"""What happens around Hydra's jobs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from easyedit_ice.bench.storage.run_folder import missing, remove_empty
from easyedit_ice.errors import IncomparableRunsError, LedgerError

logger = logging.getLogger(__name__)

REPORT = "report"


class NoEmptyFolders(Callback):
    """Removes the folders that Hydra makes for a run, where the run was refused and left them empty."""

    def __init__(self) -> None:
        self._folders: list[Path] = []

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before it makes them."""
        self._folders = missing(Path(config.hydra.run.dir))

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra once the run has ended."""
        remove_empty(self._folders)


class ReportAtEnd(Callback):
    """Writes the report of all runs of a sweep into its folder."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra once, in the process that started the sweep."""
        if config.write_report:
            report_of(Path(config.hydra.sweep.dir))


def report_of(folder: Path) -> None:
    """Write the report of all runs below a folder into it; where that cannot be, say why."""
    from easyedit_ice.bench.report import compare, find_runs, read_run, write_report

    try:
        write_report(compare([read_run(run) for run in find_runs([folder])]), folder / REPORT)
    except (IncomparableRunsError, LedgerError) as error:
        logger.warning("no report of %s: %s", folder, error)
