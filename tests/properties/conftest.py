"""How many examples property tests try: few and always the same ones, or as many as ``make fuzz`` asks for."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TESTS = 8
"""Property tests that share the budget of ``make fuzz``."""
_BUDGET = os.environ.get("EASYEDIT_ICE_EXAMPLES")
_SHARED = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
}

settings.register_profile("few", max_examples=60, derandomize=True, **_SHARED)
settings.register_profile("many", max_examples=max(1, int(_BUDGET or 0) // TESTS), **_SHARED)
settings.load_profile("many" if _BUDGET else "few")
