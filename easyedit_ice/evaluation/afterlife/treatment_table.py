"""All treatments, by name."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from easyedit_ice.evaluation.afterlife.merging import add, learnt_change
from easyedit_ice.evaluation.afterlife.rounding import round_weights
from easyedit_ice.evaluation.afterlife.settings import Course
from easyedit_ice.evaluation.afterlife.training import train_all, train_lora
from easyedit_ice.evaluation.afterlife.treatment import Treatment
from easyedit_ice.evaluation.listed_names import listed
from easyedit_ice.model.tokenizer import Tokenizer

TREATMENTS = {
    "finetune": "all weights trained on unrelated text",
    "lora": "a LoRA trained on unrelated text, and merged",
    "merge": "an adapter of the unedited model merged into the edited one",
    "quantise8": "weights rounded to 8 bits (LLM.int8)",
    "quantise4": "weights rounded to 4 bits (NF4)",
}
"""What each treatment is, by its name, in the order in which they are done."""
TRAINED = ("finetune", "lora", "merge")
"""Treatments that read text."""


def names_of(words: Iterable[str]) -> tuple[str, ...]:
    """The names of these treatments, each once; ``all`` names each of them.

    Raises:
        RunConfigError: there is no such treatment.
    """
    return listed(words, TREATMENTS, "treatment", "evaluation.afterlife")


def chosen(words: Iterable[str], course: Course, model: nn.Module, tok: Tokenizer) -> tuple[Treatment, ...]:
    """The treatments of these names.

    Args:
        words: some names.
        course: how those that train do it.
        model: unedited; what ``merge`` merges is made on it, and it stays as it was.
        tok: its tokenizer.

    Raises:
        RunConfigError: there is no such treatment.
        AfterlifeError: what ``merge`` merges cannot be made.
    """
    names = names_of(words)
    change = learnt_change(model, tok, course) if "merge" in names else []
    ways = {
        "finetune": lambda model, tok: train_all(model, tok, course),
        "lora": lambda model, tok: train_lora(model, tok, course),
        "merge": lambda model, tok: add(change, course.scale),
        "quantise8": lambda model, tok: round_weights(model, 8),
        "quantise4": lambda model, tok: round_weights(model, 4),
    }
    return tuple(Treatment(name, TREATMENTS[name], ways[name]) for name in names)
