"""The promises every algorithm keeps, as checks that anyone may run on theirs."""

from easyedit_ice.testing.conformance import Failure, check_algorithm, failures

__all__ = ["Failure", "check_algorithm", "failures"]
