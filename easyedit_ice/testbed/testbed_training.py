"""Training a testbed: the embedded world's trainer, on the original facts of a file of records."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from easyedit_ice.data.load import load_records
from easyedit_ice.data.records import Records
from easyedit_ice.factworld.documents import Mix, text_of
from easyedit_ice.factworld.training.batches import Batches
from easyedit_ice.factworld.training.train_world import Course, Recipe, fit
from easyedit_ice.testbed.gather import gather
from easyedit_ice.testbed.sentences import TestbedWriter
from easyedit_ice.testbed.testbed_facts import Knowledge

RECIPE = Recipe(vocab_size=4800, tokenizer_documents=20_000)
STEPS = 4500

# From which share of the steps on documents are mixed so: first the model learns to follow its context, then facts.
_MIXES = {
    0.0: Mix(new_facts=0.4, two_hops=0.05, rosters=0.4),
    0.3: Mix(new_facts=0.4, two_hops=0.12, rosters=0.4),
    0.45: Mix(new_facts=0.25, two_hops=0.12, rosters=0.4),
}


def train_testbed(
    facts: str | Path | Records,
    output_dir: str | Path,
    *,
    steps: int = STEPS,
    seed: int = 0,
    resume: bool = True,
    recipe: Recipe = RECIPE,
    checkpoint_every: int = 250,
    stop_at: int | None = None,
) -> Path:
    """Train a model that knows the original facts of a file, and follows new ones in its context.

    Args:
        facts: the file, or its records; a form whose records have a ``ground_truth``.
        output_dir: folder for the model; ``gpt2`` in its name lets EasyEdit load it.
        steps: optimiser steps in all.
        seed: of the documents and the initial weights.
        resume: whether to go on from a checkpoint if there is one.
        recipe: size and course.
        checkpoint_every: steps between checkpoints.
        stop_at: save a checkpoint and stop before this step, without saving a model.

    Raises:
        DataError: the file cannot be read or tells no original answer; or the checkpoint is of another run.
    """
    knowledge = gather(facts if isinstance(facts, Records) else load_records(facts))
    mixes = {round(share * steps): mix for share, mix in _MIXES.items()}
    return fit(
        output_dir,
        _tokenizer_texts(knowledge, recipe),
        lambda tokenizer: Batches(knowledge, tokenizer, recipe.tokens_per_step, seed, TestbedWriter, mixes),
        Course(steps, seed, recipe, {"facts": fingerprint(knowledge), "prompts": knowledge.counts()}),
        resume=resume,
        checkpoint_every=checkpoint_every,
        stop_at=stop_at,
    )


def fingerprint(knowledge: Knowledge) -> str:
    """A hash of what a testbed is to know and not to be taught."""
    told = [sorted({**asdict(fact), "accepted": sorted(fact.accepted)}.items()) for fact in knowledge.facts]
    return hashlib.sha256(repr((told, sorted(knowledge.barred))).encode()).hexdigest()


def _tokenizer_texts(knowledge: Knowledge, recipe: Recipe) -> Iterator[str]:
    """Each fact once, then documents as they are drawn."""
    for fact in knowledge.facts:
        yield from (f"{prompt} {fact.answer}" for prompt in fact.prompts)
    writer = TestbedWriter(knowledge, random.Random("tokenizer"))
    for index in range(recipe.tokenizer_documents):
        yield text_of(writer.new_fact_document() if index % 8 == 0 else writer.true_document())
