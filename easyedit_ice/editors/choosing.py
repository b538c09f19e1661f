"""Which algorithm for which job, as the measurements in ``docs/`` say.

Figures are those of the documents named beside them; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.errors import HyperParamsError, did_you_mean


@dataclass(frozen=True)
class Job:
    """A kind of edit, and what to take for it.

    Attributes:
        name: short, for the command line.
        what: in a few words.
        algorithm: to take.
        why: with figures.
        doc: where these stand.
        quoted: parts of that document that hold the figures.
    """

    name: str
    what: str
    algorithm: str
    why: str
    doc: str
    quoted: tuple[str, ...]


JOBS = (
    Job(
        "fact",
        "a fact, or a few, with a subject",
        "FastMEMIT",
        "wrote 100 of 100 facts on SmolLM2-135M and on Gemma 3 270M; 98.8 and 98.6 % of other known facts kept. Other "
        "facts about the same subject change with it: where they must stay, `choose --for same-subject`",
        "docs/real_models.md",
        (
            "| **FastMEMIT** | 100 [96, 100] | 34 [25, 43] | 98 [93, 99] | 98.8",
            "57 [47, 66] | 96 [90, 98] | 98.6 [98.3, 99.0] |",
        ),
    ),
    Job(
        "same-subject",
        "a fact whose subject's other facts must stay",
        "FastGrad",
        "of 17 records of WikiData_counterfact on SmolLM2-135M it kept 83.2 % of what else is asked of the same "
        "subject, FastMEMIT 31.5; it wrote 90.5 % of the targets' tokens, FastMEMIT 95.9",
        "docs/real_models.md",
        (
            "| FastGrad, the first 17 | 17 | 90.5 | 68.3 | 75.6 | **83.2** |",
            "| FastMEMIT, the first 17 | 17 | 95.9 | 51.3 | 52.0 | 31.5 |",
        ),
    ),
    Job(
        "no-subject",
        "a fact without a subject",
        "GoRA",
        "wrote 24 of 24 facts on SmolLM2-135M and 14 of 14 on Gemma 3 270M; 97.8 and 94.6 % of other known facts kept",
        "docs/real_models.md",
        ("| GoRA | 24 | 100 [86, 100] |", "97.8 [96.6, 98.9]", "| GoRA | 14 | 100 [78, 100] |"),
    ),
    Job(
        "batch",
        "tens of facts together",
        "FastICE",
        "of 10 and of 100 facts of the embedded world together it wrote 100 %, FastMEMIT 90 and 86, at a locality of "
        "97.4 and 81.8 %, FastMEMIT 96.3 and 54.5; not measured on real models",
        "docs/fast_ice.md",
        (
            "| FastICE, 10 in one batch | 100 | 100 | 97.4 |",
            "| FastMEMIT, 10 in one batch | 90 | 80 | 96.3 |",
            "| FastICE, 100 in one batch | 100 | 98 | 81.8 |",
            "| FastMEMIT, 100 in one batch | 86 | 68 | 54.5 |",
        ),
    ),
    Job(
        "thousands",
        "many hundreds of facts together",
        "FastGrad",
        "of 1,000 facts of the embedded world together it wrote 100.0 %, 96.6 in other wordings, at a locality of "
        "75.9 %; FastMEMIT wrote 21.7 %. So many belong in a fine-tuning or in the prompt; not measured on real models",
        "docs/closed_form.md",
        ("100.0 % written, 96.6 in other wordings", "at a locality of 75.9", "FastMEMIT wrote 21.7 %"),
    ),
    Job(
        "stream",
        "one fact after the other, for long",
        "GoRA",
        "of 1,000 edits of the embedded model 99.8 % were left, 87.0 in other wordings, and 92.1 % of locality, with "
        "the preset GoRA/gpt2-factworld-stream; of LoRA-BF's 7.5 and 20.7 %",
        "docs/gora.md",
        ("| 1,000 | 99.8 | 87.0 | 92.1 | 87 |", "LoRA-BF, by descent too, has 7.5 %", "20.7 %"),
    ),
    Job(
        "short-stream",
        "one fact after the other, up to some 500, in other wordings too",
        "FastGrad",
        "of 400 edits of the embedded model all were left, 95.8 % in other wordings, at a locality of 96.8 %; beyond "
        "some 600 its locality falls below GoRA's",
        "docs/closed_form.md",
        ("| 400 | 100 | 95.8 | 96.8 | 95 |", "Take FastGrad for streams of up to some 500"),
    ),
    Job(
        "real-stream",
        "one fact after the other, about different subjects, in a real model",
        "FastGate",
        "of 100 facts in SmolLM2-135M it left all, at a locality of 98 %, with 94 % of other known facts and the "
        "perplexity of before; FastMEMIT 100, 87 and 77. It stands beside the weights, and in a wider MLP of "
        "Llama's and GPT-2's checkpoints: for a PEFT adapter or other models' checkpoints take FastMEMIT. Longer "
        "streams were not measured there",
        "docs/streams.md",
        (
            "| 100 [96, 100] | 44 [35, 53] | 98.5 [96, 100] | 94 [83, 98] | 39.0 |",
            "| 100 [96, 100] | 43 [34, 53] | 87 [79, 93] | 77 [64, 87] |",
        ),
    ),
    Job(
        "undo",
        "an edit to be taken back later, or switched on and off",
        "FastMEMIT",
        "any will do: every algorithm's update comes out again to the same bits, and of several in a book any one, in "
        "any order",
        "docs/updates.md",
        ("update.revert(model)  # out again, to the same bits",),
    ),
    Job(
        "consequences",
        "what follows from the fact must follow",
        "ICE-Grad",
        "portability 89.8 on the embedded model, and 87.6 for ICE-LoRA, 47.1 for FastGrad, at a locality of 97.1; "
        "level with FastGrad on SmolLM2, which concludes little",
        "docs/ice_grad.md",
        ("89.8 [85.4, 93.7]", "87.6 [83.0, 92.0]", "47.1 [41.3, 52.6]", "97.1 [94.8, 98.8]", "take FastGrad there"),
    ),
    Job(
        "time",
        "little time",
        "FastMEMIT",
        "5.4 s of CPU for a fact on SmolLM2-135M, EasyEdit's MEMIT 31.8; FastICE takes 4.1, and keeps less: 93.6 and "
        "98.8 % of known facts",
        "docs/real_models.md",
        (
            "FastMEMIT took 5.4 s\na fact, EasyEdit's MEMIT 31.8 and FastICE 4.1",
            "98.8 [98.5, 99.1] | 39.0 | 90 [87, 93] |",
            "93.6 [92.3, 94.8] | 39.3 | 57 [50, 64] |",
        ),
    ),
    Job(
        "memory",
        "little memory",
        "FastICE",
        "forward passes alone, so that no gradient and no optimiser takes room; `easyedit-ice plan` says how much "
        "another takes",
        "docs/fast_ice.md",
        ("by forward passes alone: no gradient, no optimiser",),
    ),
    Job(
        "4-bit",
        "a model in 4 bits",
        "QLoRA-BF",
        "packed weights are never rewritten; others do the same with quantization_bit=4. Locality 90.2, LoRA-BF 89.9",
        "docs/low_rank.md",
        ("The packed weights are never\nrewritten", "90.2 [87.5, 92.7]", "89.9 [87.1, 92.5]"),
    ),
    Job(
        "experts",
        "skills to be mixed and searched",
        "SVF",
        "scales singular values; `easyedit-ice internals experts` trains, lists and mixes them",
        "docs/svf.md",
        ("easyedit-ice internals experts",),
    ),
)
"""Those that come up, the usual ones first."""

MANY = 10
"""Facts from which a batch or a stream is another job than some facts."""
HUNDREDS = 500
"""Facts from which a batch is another job than tens of them."""

_IN_DOUBT = ("FastMEMIT", "GoRA", "FastICE", "ICE-Grad")
"""What to try where an algorithm missed, in this order."""


@dataclass(frozen=True)
class Choice:
    """An algorithm that was chosen, and why.

    Attributes:
        algorithm: its name.
        what: the job it is for.
        why: with figures.
        doc: where the figures stand.
    """

    algorithm: str
    what: str
    why: str
    doc: str


def job(name: str) -> Job:
    """A job by its name.

    Raises:
        HyperParamsError: there is none of this name.
    """
    for entry in JOBS:
        if entry.name == name:
            return entry
    names = [entry.name for entry in JOBS]
    raise HyperParamsError(f"there is no job {name!r}.{did_you_mean(name, names)} Jobs: {', '.join(names)}")


def choose(facts: Sequence[Mapping[str, Any]], *, one_by_one: bool = False, wanted: str | None = None) -> Choice:
    """What to take for some facts.

    Args:
        facts: request dicts.
        one_by_one: they are written one after the other, and all are to stay.
        wanted: name of a job that goes first, such as ``consequences``.
    """
    with_subjects = all(fact.get("subject") for fact in facts)
    if wanted is not None:
        chosen = job(wanted)
        if with_subjects or not ALGORITHMS[chosen.algorithm].needs_subject:
            return Choice(chosen.algorithm, chosen.what, chosen.why, chosen.doc)
    chosen = job(_usual(len(facts), one_by_one, with_subjects))
    return Choice(chosen.algorithm, chosen.what, chosen.why, chosen.doc)


def _usual(count: int, one_by_one: bool, with_subjects: bool) -> str:
    """The job that so many facts are."""
    if count < MANY:
        return "fact" if with_subjects else "no-subject"
    if one_by_one:
        return "stream"
    return "thousands" if count >= HUNDREDS else "batch"


def others_than(name: str | None, with_subjects: bool) -> list[str]:
    """Two algorithms to try in place of one that missed.

    Args:
        name: of the one that missed.
        with_subjects: whether all facts name their subjects.
    """
    usable = (algorithm for algorithm in _IN_DOUBT if with_subjects or not ALGORITHMS[algorithm].needs_subject)
    return [algorithm for algorithm in usable if algorithm != name][:2]
