"""Reports: runs put side by side, with intervals, tests, plots and every case to browse."""

from easyedit_ice.bench.report.comparison import Comparison, compare
from easyedit_ice.bench.report.reading_runs import Run, find_runs, read_run
from easyedit_ice.bench.report.write import FORMATS, write_report

__all__ = ["FORMATS", "Comparison", "Run", "compare", "find_runs", "read_run", "write_report"]
