"""Testbeds: small models that know the original answers of a file of records.

Where no pretrained model can be had, they let real records be edited in a model that knows what it is to unlearn, and
that follows a new fact in its context. :func:`testbed` builds one and keeps it.
"""

from easyedit_ice.testbed.build import build, testbed
from easyedit_ice.testbed.gather import gather
from easyedit_ice.testbed.testbed_facts import Fact, Knowledge
from easyedit_ice.testbed.testbed_recall import measure_testbed
from easyedit_ice.testbed.testbed_training import train_testbed

__all__ = ["Fact", "Knowledge", "build", "gather", "measure_testbed", "testbed", "train_testbed"]
