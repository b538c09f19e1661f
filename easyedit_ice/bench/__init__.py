"""The benchmark: methods side by side on the same facts, in a ledger that survives being killed."""

from easyedit_ice.runtime.extras import require

require("bench", "the benchmark")
