"""Probes made from records: questions that an edit cannot talk its way through (docs/probes.md)."""

from easyedit_ice.evaluation.probes.answers import ProbeAnswer, Prober, shares, told
from easyedit_ice.evaluation.probes.claim import Claim
from easyedit_ice.evaluation.probes.claims import Claims
from easyedit_ice.evaluation.probes.item import Item, Probe
from easyedit_ice.evaluation.probes.probe_table import PROBES, chosen

__all__ = ["PROBES", "Claim", "Claims", "Item", "Probe", "ProbeAnswer", "Prober", "chosen", "shares", "told"]
