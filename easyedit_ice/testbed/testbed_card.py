"""A testbed's model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from easyedit_ice.data.records import Records
from easyedit_ice.factworld.training.model_card import FIGURES
from easyedit_ice.factworld.training.train_world import ORIGIN
from easyedit_ice.testbed.gather import gather

_CARD = """\
---
library_name: transformers
tags: [gpt2, knowledge-editing, testbed]
---
# {name}

A GPT-2 of {layers} layers and width {width} that knows the original answers of the {records} records of `{file}`, and
follows a new fact that is stated before a question. It was made from that file alone, to edit its records where no
pretrained model is at hand; it knows no other text, and nothing measured on it says how well a method does on a large
model. The facts are the file's, right or wrong, and under the file's licence.

It answers a prompt of the file with the answer and the end mark, directly after each other:
`Prompt answer<|endoftext|>`. Outside of new facts in contexts its training text never joined a record's prompt with
the record's new answer, by no name of its subject; and the new facts in contexts are others than the records'.

- context: {positions} tokens; vocabulary: {vocab} byte-level BPE tokens; `<|endoftext|>` ends and pads
- trained by `easyedit-ice internals world train --facts` for {steps} steps of {tokens} tokens, seed {seed}, on the CPU
- left out, or answered as the file does first: {notes} prompts; `easyedit-ice internals world facts` lists them

## Facts and figures

Measured by `easyedit-ice internals world measure --facts`. An answer counts if greedy decoding gives exactly it and
then ends.

Original answers, without context (prompts by where the file tells them):

| source | recalled | prompts |
|---|---|---|
{recall}

With the record's own new fact stated before the question, which it was never trained on:

| question | right | questions |
|---|---|---|
{context}

Records whose new answer the model gives unprompted: {unprompted:.1%}.
"""


def write_testbed_card(model_dir: str | Path, records: Records, figures: dict[str, Any]) -> Path:
    """Write ``README.md`` and ``figures.json`` into the testbed's folder and return the former's path."""
    folder = Path(model_dir)
    origin = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
    recipe = origin["recipe"]
    text = _CARD.format(
        name=folder.name,
        layers=recipe["layers"],
        width=recipe["width"],
        positions=recipe["positions"],
        tokens=recipe["tokens_per_step"],
        vocab=json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"],
        steps=origin["steps"],
        seed=origin["seed"],
        records=len(records),
        file=Path(records.path).name,
        notes=len(gather(records).notes),
        recall=_rows(figures, "recall"),
        context=_rows(figures, "context"),
        unprompted=figures["unprompted"],
    )
    (folder / FIGURES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    card = folder / "README.md"
    card.write_text(text, encoding="utf-8")
    return card


def _rows(figures: dict[str, Any], skill: str) -> str:
    shares, counts = figures[skill]["groups"], figures["questions"][skill]
    return "\n".join(f"| {group} | {share:.1%} | {counts[group]} |" for group, share in shares.items())
