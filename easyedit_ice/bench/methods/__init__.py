"""Methods side by side: those of this package, EasyEdit's, and those that only put the fact before the question."""

from easyedit_ice.bench.methods.make import METHODS, make_method
from easyedit_ice.bench.methods.method import Context, Edited, Method

__all__ = ["METHODS", "Context", "Edited", "Method", "make_method"]
