"""What can be read of an edit's subject and prompt from its saved file? The measurement of docs/updates.md.

Facts of the embedded world are edited one at a time, saved as a file without the fact's words, and read by somebody who
has the base model and a list of prompts, one of which is the edited one. Each reader ranks them:

- keys: by the cosine of what the edited weights read of a prompt with the keys that the file holds;
- responses: by how strongly the file's change answers to that, ‖ΔW x‖ / ‖x‖;
- answers: by how far the next token's distribution moves when the file is put in (KL, in nats).

    python benchmarks/what_files_tell.py --facts 20 --out benchmarks/results/what_files_tell.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice import WeightUpdate, factworld, load_model, solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.factworld.world_facts import RELATIONS
from easyedit_ice.factworld.world_phrasing import prompt as worded
from easyedit_ice.factworld.world_phrasing import templates
from easyedit_ice.text.rows import prefix_ids

NAMES = ("FastMEMIT", "GoRA", "LoRA-BF")
CANDIDATES = 304
"""Test facts of different subjects."""
FACT = ("prompt", "subject", "target_new")
Inputs = dict[str, list[Tensor]]
"""By module for each prompt what it reads: (t, in)."""
Reader = Callable[[nn.Module, Any, WeightUpdate, Sequence[str], Inputs], Tensor]
"""A score for each prompt; higher is likelier."""


def inputs_of(model: nn.Module, tok: Any, names: Sequence[str], prompts: Sequence[str]) -> Inputs:
    """What the base model's modules read of each prompt."""
    found: Inputs = {name: [] for name in names}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, args: found[name].append(args[0][0].detach().float())

    hooks = [model.get_submodule(name).register_forward_pre_hook(keep(name)) for name in names]
    try:
        with torch.no_grad():
            for text in prompts:
                model(input_ids=torch.tensor([prefix_ids(tok, text)]))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def by_keys(_: nn.Module, __: Any, update: WeightUpdate, prompts: Sequence[str], inputs: Inputs) -> Tensor:
    """The largest cosine at any place of a prompt, averaged over modules."""
    return _over_modules(update.keys, prompts, inputs, lambda x, keys: nn.functional.normalize(x) @ _rows(keys).T)


def by_responses(_: nn.Module, __: Any, update: WeightUpdate, prompts: Sequence[str], inputs: Inputs) -> Tensor:
    """The largest response at any place of a prompt, averaged over modules."""
    changes = {name: delta.matrix().float() for name, delta in update.deltas.items()}
    return _over_modules(changes, prompts, inputs, lambda x, change: (x @ change.T).norm(dim=1) / x.norm(dim=1))


def by_answers(model: nn.Module, tok: Any, update: WeightUpdate, prompts: Sequence[str], _: Inputs) -> Tensor:
    """KL from the base model's next token to the edited one's."""
    before = _next(model, tok, prompts)
    with update.applied(model):
        after = _next(model, tok, prompts)
    return (before.exp() * (before - after)).sum(-1)


READERS: dict[str, Reader] = {"keys": by_keys, "responses": by_responses, "answers": by_answers}


def _over_modules(
    held: dict[str, Tensor], prompts: Sequence[str], inputs: Inputs, score: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    return torch.tensor(
        [
            fmean(float(score(inputs[name][place], own).max()) for name, own in held.items())
            for place in range(len(prompts))
        ]
    )


def _rows(keys: Tensor) -> Tensor:
    return nn.functional.normalize(keys.float())


@torch.no_grad()
def _next(model: nn.Module, tok: Any, prompts: Sequence[str]) -> Tensor:
    logits = [model(input_ids=torch.tensor([prefix_ids(tok, text)])).logits[0, -1] for text in prompts]
    return torch.stack(logits).float().log_softmax(-1)


def saved_without_words(update: WeightUpdate) -> WeightUpdate:
    """The update as it comes back from a file that holds no text of the fact."""
    with TemporaryDirectory() as folder:
        WeightUpdate(update.deltas, {}, update.keys).save(folder)
        return WeightUpdate.load(folder)


def place_of(scores: Tensor, right: int) -> int:
    """How many candidates are ranked before the right one, ties counted against the reader."""
    return int((scores >= scores[right]).sum()) - 1


def own_prompts(record: dict[str, Any]) -> list[tuple[str, str]]:
    """All relations and wordings in which the world asks about a subject."""
    kind = RELATIONS[record["relation"]].subject
    return [
        (relation, worded(relation, index, record["subject"]))
        for relation, own in RELATIONS.items()
        if own.subject == kind
        for index in range(len(templates(relation)))
    ]


def loaded(name: str) -> tuple[nn.Module, Any, Any]:
    """The embedded model and the algorithm's settings for it."""
    kind = ALGORITHMS[name].hparams_class
    hparams = kind.from_hparams(f"{name}/gpt2-factworld", model_name=str(factworld.model_path()))
    return *load_model(hparams), hparams


def measured_together(name: str, count: int) -> dict[str, float]:
    """Facts edited in one update: by reader, the share of edited ones among the so many candidates ranked first."""
    model, tok, hparams = loaded(name)
    records = factworld.records("test")[:CANDIDATES]
    prompts = [record["prompt"] for record in records]
    facts = [{key: record[key] for key in FACT} for record in records[:count]]
    update = saved_without_words(solve(model, tok, facts, hparams))
    inputs = inputs_of(model, tok, list(update.deltas), prompts)
    found = {}
    for reader, read in READERS.items():
        if reader != "keys" or update.keys:
            first = read(model, tok, update, prompts, inputs).topk(count).indices
            found[reader] = fmean((first < count).float().tolist())
    return found


def measured(name: str, count: int) -> dict[str, Any]:
    """Facts edited singly: by reader, how often the right subject is first, and the right relation of its subject."""
    model, tok, hparams = loaded(name)
    records = factworld.records("test")[:CANDIDATES]
    subjects = [record["prompt"] for record in records]
    found: dict[str, list[tuple[int, bool]]] = {}
    inputs: Inputs = {}
    for place, record in enumerate(records[:count]):
        update = saved_without_words(solve(model, tok, [{key: record[key] for key in FACT}], hparams))
        inputs = inputs or inputs_of(model, tok, list(update.deltas), subjects)
        relations, prompts = zip(*own_prompts(record), strict=True)
        about = inputs_of(model, tok, list(update.deltas), prompts)
        for reader, read in READERS.items():
            if reader == "keys" and not update.keys:
                continue
            rank = place_of(read(model, tok, update, subjects, inputs), place)
            likeliest = int(read(model, tok, update, prompts, about).argmax())
            found.setdefault(reader, []).append((rank, relations[likeliest] == record["relation"]))
    return {
        reader: {
            "facts": len(own),
            "candidates": len(subjects),
            "subject_first": fmean(rank == 0 for rank, _ in own),
            "subject_among_ten": fmean(rank < 10 for rank, _ in own),
            "relation_first": fmean(right for _, right in own),
        }
        for reader, own in found.items()
    }


def main() -> None:
    """Measure each algorithm, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--facts", type=int, default=20)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    for name in NAMES:
        results[name] = {
            "singly": measured(name, arguments.facts),
            "together": measured_together(name, arguments.facts),
        }
        print(name, json.dumps(results[name], indent=1), flush=True)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
