"""What a model said of a fact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from easyedit_ice.evaluation import Observation
from easyedit_ice.evaluation.probes import ProbeAnswer


@dataclass(frozen=True)
class Answers:
    """What a model said of one fact.

    Attributes:
        observations: one for each of the fact's questions.
        fluency: n-gram entropy of what it writes after the fact's prompt, in bits; none if not asked for.
        quality: the dict of EasyEdit's own evaluator; none if it was not asked for.
        seconds: that asking took, as this fact's share.
        in_ledger: whether the answers go into the ledger.
        probed: its answers to the probes that were asked.
        able: where the unedited model was asked: its answers to the same probes when it is told the fact
            (``probe_told``), and to those of the old fact (``probe_old``), which say what it can answer at all.
        judged: for each question whether a judge calls what was written right; none where none was asked.
    """

    observations: tuple[Observation, ...]
    fluency: float | None
    quality: dict[str, Any] | None
    seconds: float
    in_ledger: bool
    probed: tuple[ProbeAnswer, ...] = ()
    able: Mapping[str, tuple[ProbeAnswer, ...]] = field(default_factory=dict)
    judged: tuple[bool | None, ...] = ()
