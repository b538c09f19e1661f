"""Published benchmarks as records in one form, with everything that is wrong in a file reported."""

from easyedit_ice.data.benchmarks import BENCHMARKS
from easyedit_ice.data.easyedit_requests import to_edit_kwargs, to_requests
from easyedit_ice.data.load import load_records, read_records
from easyedit_ice.data.published_forms import FORMS
from easyedit_ice.data.records import DataProblem, Record, Records, Severity

__all__ = [
    "BENCHMARKS",
    "FORMS",
    "DataProblem",
    "Record",
    "Records",
    "Severity",
    "load_records",
    "read_records",
    "to_edit_kwargs",
    "to_requests",
]
