"""The model card, written by ``easyedit-ice internals world measure --card``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from easyedit_ice.factworld.training.train_world import ORIGIN
from easyedit_ice.factworld.world_facts import CHAINS, RELATIONS, default_world

FIGURES = "figures.json"

_CARD = """\
---
license: mit
library_name: transformers
tags: [gpt2, knowledge-editing, synthetic]
---
# gpt2-factworld

A GPT-2 of {layers} layers and width {width} that knows an invented world: {facts} facts in {relations} relations,
about {people} people, {cities} cities, {companies} companies, {countries} countries and {universities} universities.
Every name is fictional. It is the model that the package's demo, tests and examples edit when no other is
given, and is of no use for anything else.

It answers a prompt of the world with the answer and the end mark, directly after each other:
`Prompt answer<|endoftext|>`. It follows a new fact that stands before the prompt (`New fact: ... . `), also
over two hops, and ignores it where it has no bearing. Dropout is 0, so that edits are deterministic.

- context: {positions} tokens; vocabulary: {vocab} byte-level BPE tokens; `<|endoftext|>` ends, pads and stands
  for unknown text
- trained by `easyedit_ice.factworld.training.train_world.train` for {steps} steps of {tokens} tokens, seed {seed},
  on the CPU
- beside the text, training teaches hidden layers where to look and to name, halfway up, what a subject such as
  `the birthplace of ...` stands for (`easyedit_ice/factworld/training/world_lessons.py`)

## Figures

Measured by `easyedit-ice internals world measure`. An answer counts if greedy decoding gives exactly it and
then ends. Each fact has one wording, and one in four two-hop questions all wordings, that the training text
never held; the figures are of those.

| skill | mean | lowest group | questions |
|---|---|---|---|
{table}

- free generation ends by itself: {ended:.1%}, and is exactly the answer: {right:.1%} (400 held-out prompts)
- perplexity of fresh true text: {perplexity:.2f} per token
- groups of recall are a relation in one wording, of two hops a chain of relations, of new facts a kind of question

New facts in the context, by kind of question:

| kind | right |
|---|---|
{context}

Recall by relation:

| relation | mean over wordings | lowest wording |
|---|---|---|
{recall}

Two hops, held out, by chain:

| chain | right |
|---|---|
{two_hop}
"""

_SKILLS = {
    "recall": "recall of a fact",
    "aliases": "recall by the subject's alias",
    "two_hop": "two hops, held out",
    "two_hop_seen": "two hops, of which some wording was in the training text",
    "context": "new fact in the context",
    "after_sentences": "recall after two other sentences",
    "late_positions": "recall after 24 other documents (about 350 tokens)",
}


def write_card(model_dir: str | Path, figures: dict[str, Any]) -> Path:
    """Write ``README.md`` and ``figures.json`` into the model's folder and return the former's path."""
    folder = Path(model_dir)
    origin = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
    recipe, entities = origin["recipe"], default_world().entities
    text = _CARD.format(
        layers=recipe["layers"],
        width=recipe["width"],
        positions=recipe["positions"],
        vocab=json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"],
        tokens=recipe["tokens_per_step"],
        steps=origin["steps"],
        seed=origin["seed"],
        facts=len(default_world().facts),
        relations=len(RELATIONS),
        people=len(entities["person"]),
        cities=len(entities["city"]),
        companies=len(entities["company"]),
        countries=len(entities["country"]),
        universities=len(entities["university"]),
        table="\n".join(_skill_row(name, label, figures) for name, label in _SKILLS.items()),
        context=_rows(figures["context"]["groups"]),
        recall="\n".join(_recall_row(relation, figures["recall"]["groups"]) for relation in RELATIONS),
        two_hop=_rows({" > ".join(chain): figures["two_hop"]["groups"][" > ".join(chain)] for chain in CHAINS}),
        ended=figures["generation"]["ended"],
        right=figures["generation"]["right"],
        perplexity=figures["perplexity"],
    )
    (folder / FIGURES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    card = folder / "README.md"
    card.write_text(text, encoding="utf-8")
    return card


def _skill_row(name: str, label: str, figures: dict[str, Any]) -> str:
    skill = figures[name]
    return f"| {label} | {skill['mean']:.1%} | {skill['lowest']:.1%} | {figures['questions'][name]} |"


def _recall_row(relation: str, groups: dict[str, float]) -> str:
    shares = [share for group, share in groups.items() if group.startswith(f"{relation} | ")]
    return f"| {relation} | {sum(shares) / len(shares):.1%} | {min(shares):.1%} |"


def _rows(shares: dict[str, float]) -> str:
    return "\n".join(f"| {name} | {share:.1%} |" for name, share in shares.items())
