"""Does the weights' own measure tell which edits undo each other? The trial of docs/book.md, on the embedded model.

Facts are edited singly; those that are written are put in together, two by two, in both roles. Some are of one subject,
some of one relation, and some tell one fact anew in other words.

    python benchmarks/book_overlap.py FastMEMIT
"""

from __future__ import annotations

import random
import sys
from collections import defaultdict
from itertools import permutations
from typing import Any

import torch
from torch import nn

from easyedit_ice import WeightUpdate, factworld, load_model, solve
from easyedit_ice.book.conflicts import DISTURBED, disturbance
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.text.likely_answers import answers_right

SUBJECTS, SINGLE = 10, 12
Measured = tuple[bool, float, float]
"""Whether a fact was lost, the disturbance, and the greatest cosine of keys."""


def facts() -> list[dict[str, Any]]:
    """Two facts of each of some subjects, one of them told anew with another target, and facts of other subjects."""
    records, draw = factworld.records("test"), random.Random(0)
    by_subject = defaultdict(list)
    for record in records:
        by_subject[record["subject"]].append(record)
    pairs = [own[:2] for own in by_subject.values() if len(own) > 1][:SUBJECTS]
    chosen = [record for own in pairs for record in own]
    for first, _ in pairs:
        targets = [r["target_new"] for r in records if r["relation"] == first["relation"]]
        other = draw.choice([target for target in targets if target != first["target_new"]])
        chosen.append(first | {"prompt": first["rephrase_prompt"], "target_new": other})
    taken = {record["subject"] for record in chosen}
    chosen += [record for record in records if record["subject"] not in taken][:SINGLE]
    return [{key: record[key] for key in ("prompt", "subject", "target_new")} for record in chosen]


def measure(model: nn.Module, tok: Any, edits: list[tuple[dict[str, Any], WeightUpdate]]) -> list[Measured]:
    """For each ordered pair, what the second does to the first."""
    found = []
    for i, j in permutations(range(len(edits)), 2):
        (fact, update), (_, other) = edits[i], edits[j]
        order = [edits[min(i, j)][1], edits[max(i, j)][1]]
        for own in order:
            own.commit(model)
        lost = not written(model, tok, fact)
        for own in reversed(order):
            own.revert(model)
        found.append((lost, disturbance(other, update), cosine(other, update)))
    return found


def written(model: nn.Module, tok: Any, fact: dict[str, Any]) -> bool:
    """Whether the model answers with the target."""
    return answers_right(model, tok, [(fact["prompt"], fact["target_new"])])[0]


def cosine(one: WeightUpdate, other: WeightUpdate) -> float:
    """Of the keys that are most alike; 0 without keys."""
    shared = one.keys.keys() & other.keys.keys()
    pairs = [(one.keys[name][:, None].float(), other.keys[name][None].float()) for name in shared]
    return max((torch.cosine_similarity(*pair, dim=-1).max().item() for pair in pairs), default=0.0)


def area(found: list[Measured], column: int) -> float:
    """Under the ROC curve."""
    lost, kept = ([row[column] for row in found if row[0] is which] for which in (True, False))
    return sum((a > b) + 0.5 * (a == b) for a in lost for b in kept) / max(1, len(lost) * len(kept))


def main() -> None:
    """Print the row of the table."""
    name = sys.argv[1]
    hparams = ALGORITHMS[name].hparams_class.from_hparams(
        f"{name}/gpt2-factworld", model_name=str(factworld.model_path()), device="cpu"
    )
    model, tok = load_model(hparams)
    edits = []
    for fact in facts():
        update = solve(model, tok, [fact], hparams)
        update.commit(model)
        if written(model, tok, fact):
            edits.append((fact, update))
        update.revert(model)
    found = measure(model, tok, edits)
    flagged = [row for row in found if row[1] >= DISTURBED]
    lost = sum(row[0] for row in found)
    hit = sum(row[0] for row in flagged)
    print(
        f"| {name} | {len(found)} | {lost} | {len(flagged)} | {hit} | {lost - hit} | {area(found, 1):.2f} | "
        f"{area(found, 2):.2f} |"
    )


if __name__ == "__main__":
    main()
