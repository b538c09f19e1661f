"""All probes, by name."""

from __future__ import annotations

from collections.abc import Iterable

from easyedit_ice.evaluation.listed_names import listed
from easyedit_ice.evaluation.probes.backwards import REVERSED
from easyedit_ice.evaluation.probes.choice import CHOICE, LISTED
from easyedit_ice.evaluation.probes.dialogue import DIALOGUE
from easyedit_ice.evaluation.probes.item import Probe
from easyedit_ice.evaluation.probes.negation import NEGATION
from easyedit_ice.evaluation.probes.surrounded import CONTRADICTING, IRRELEVANT, LONG
from easyedit_ice.evaluation.probes.yes_no import LEANING, YES_NO

PROBES: dict[str, Probe] = {
    probe.name: probe
    for probe in (CHOICE, LISTED, NEGATION, YES_NO, LEANING, REVERSED, IRRELEVANT, CONTRADICTING, LONG, DIALOGUE)
}


def chosen(names: Iterable[str]) -> tuple[Probe, ...]:
    """The probes of these names, in the table's order; ``all`` names each of them.

    Raises:
        RunConfigError: there is no such probe.
    """
    return tuple(PROBES[name] for name in listed(names, PROBES, "probe", "evaluation.probes"))
