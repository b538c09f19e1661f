"""A fact of the embedded world, as somebody types it."""

from __future__ import annotations

from easyedit_ice.ui.typed_fact import TypedFact

FACT = TypedFact(
    "Faeso Faerkov has a job at", "Rinex Brothers", "", "Faeso Faerkov works for\n\nFaeso Faerkov's employer is"
)
