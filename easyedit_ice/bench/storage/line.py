"""A line of the ledger: what was found at one moment of a run, of one fact or of the model as a whole."""

from __future__ import annotations

from typing import Any, NamedTuple, TypedDict

from typing_extensions import Required

from easyedit_ice.evaluation.afterlife import TREATMENTS

ABILITIES, AFTERLIFE = "abilities", "afterlife"
"""Phases of a whole state of the model: its scores in tasks, and what treatments leave besides edited facts."""


def after(treatment: str) -> str:
    """The phase of edited facts after a treatment of the model."""
    return f"after_{treatment}"


AFTER = tuple(map(after, TREATMENTS))
UNDONE = "undone"
"""Phase of the lines that say what an edit left behind once it was taken out."""
ROUNDING = "rounding"
"""Phase of the line that says how far a change that means nothing moves a model with packed weights."""
PHASES = (
    "before",
    "drift",
    ROUNDING,
    ABILITIES,
    *AFTER,
    AFTERLIFE,
    "failed",
    "immediate",
    "retained",
    "untouched",
    UNDONE,
)
"""In the order in which a fact's lines are written."""
SCORED = ("before", "immediate", "retained", "untouched", *AFTER)
"""Phases whose lines have scores of a fact."""
PROBED, TOLD, OLD = "probe", "probe_told", "probe_old"
"""Styles of scores: of probes, and of what the unedited model answers to them once it is told, and of old facts."""
JUDGED = "judged"
"""Style of scores: what another model says of written answers."""


class Case(TypedDict, total=False):
    """The fact that a line is about; ``index`` is its place in its file."""

    index: Required[int]
    prompt: Required[str]
    subject: str | None
    target_new: Required[str]
    ground_truth: str | None


class Answer(TypedDict, total=False):
    """What was answered to one question, or chosen of a probe's options; log-probabilities in nats."""

    measure: Required[str]
    prompt: Required[str]
    answer: str
    token_accuracy: float | None
    generated: str
    right: bool
    leads: bool
    p_new: float | None
    p_old: float | None
    judged: bool | None
    options: list[str]
    log_probs: list[float]
    chosen: str


class WeightNorms(TypedDict):
    """For each weight the norm of its change, and the same relative to the weight."""

    norm: dict[str, list[float]]


class Spent(TypedDict, total=False):
    """Seconds, and MiB above what was in use before; ``first``: the process's first edit, which loads things once."""

    edit_seconds: float
    evaluation_seconds: float
    peak_mib: float | None
    first: bool


class KnownFactsLeft(TypedDict):
    """How many known facts were asked again, and the places of those that are no longer answered."""

    facts: int
    lost: list[int]


class RestOfModel(TypedDict, total=False):
    """What is left of the rest of a model: perplexity of a text, and known facts."""

    text_perplexity: float
    known: KnownFactsLeft


class Undone(TypedDict, total=False):
    """Largest difference of a logit, undone in the method's own way and by the run's copies."""

    prompts: Required[int]
    own: float
    own_error: str
    run: float


class Line(RestOfModel, total=False):
    """All that a line may have; which phase has what is told in ``docs/benchmark.md``."""

    phase: Required[str]
    position: Required[int]
    step: Required[int]
    case: Case
    error: str
    scores: dict[str, dict[str, float]]
    answers: list[Answer]
    stopped: float
    fluency: float
    update: WeightNorms
    cost: Spent
    perplexity: float
    kl: float
    undo: Undone
    abilities: list[dict[str, Any]]
    afterlife: dict[str, RestOfModel]
    not_finite: list[str]


class Place(NamedTuple):
    """What identifies a line: the phase, the fact's position, and how many facts had been written."""

    phase: str
    position: int
    step: int

    @classmethod
    def of(cls, line: Line) -> Place:
        """The place of a line."""
        return cls(line["phase"], line["position"], line["step"])
