"""Three lm-eval tasks made of the embedded world, for where nothing can be downloaded."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from easyedit_ice.factworld import World, default_world, general_text
from easyedit_ice.factworld.world_facts import CHAINS, RELATIONS
from easyedit_ice.factworld.world_phrasing import chain_held_out, chain_prompt, held_out, prompt, templates
from easyedit_ice.factworld.world_records import split_of
from easyedit_ice.runtime.cache import cache_root, made_once

CHOICE, TWO_HOPS, TEXT = "factworld_choice", "factworld_two_hops", "factworld_text"
WORLD_TASKS = (CHOICE, TWO_HOPS, TEXT)
"""Names of the tasks."""
OPTIONS = 4
_QUESTIONS = _TEXTS = 100
_TEXT_SEED = 3 * 10**6
_MULTIPLE_CHOICE: dict[str, Any] = {
    "output_type": "multiple_choice",
    "doc_to_text": "{{prompt}}",
    "doc_to_choice": "{{options}}",
    "doc_to_target": "{{right}}",
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}
_DEFINITIONS: dict[str, dict[str, Any]] = {
    CHOICE: _MULTIPLE_CHOICE,
    TWO_HOPS: _MULTIPLE_CHOICE,
    TEXT: {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": [{"metric": "word_perplexity", "aggregation": "weighted_perplexity", "higher_is_better": False}],
    },
}


def write_world_tasks(folder: str | Path | None = None) -> Path:
    """Write the tasks and their data; lm-eval's own command finds them by ``--include_path``.

    ``factworld_choice`` asks 100 facts of the world that no record of the split ``test`` edits, each in the wording
    that the model was never taught it in, with four answers of its kind; ``factworld_two_hops`` as many questions of
    two hops that it was never taught. ``factworld_text`` is the perplexity per word of 100 true texts.

    Args:
        folder: where to; by default one in the cache, made once.

    Returns:
        the folder.
    """
    data = {name: "".join(f"{json.dumps(doc)}\n" for doc in docs) for name, docs in _documents().items()}
    if folder is not None:
        _write(Path(folder), Path(folder), data)
        return Path(folder)
    digest = hashlib.sha256(json.dumps([data, _DEFINITIONS], sort_keys=True).encode()).hexdigest()[:16]
    place = cache_root() / "abilities" / digest
    return made_once(place, lambda draft: _write(draft, place, data))


def _write(draft: Path, place: Path, data: dict[str, str]) -> None:
    """Files in ``draft`` that are to be found in ``place``."""
    draft.mkdir(parents=True, exist_ok=True)
    for name, lines in data.items():
        (draft / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        source = {"data_files": {"test": str(place.resolve() / f"{name}.jsonl")}}
        task = {"task": name, "dataset_path": "json", "dataset_kwargs": source, "test_split": "test"}
        definition = task | _DEFINITIONS[name] | {"metadata": {"version": 1.0}}
        (draft / f"{name}.yaml").write_text(json.dumps(definition, indent=1), encoding="utf-8")


def _documents() -> dict[str, list[dict[str, Any]]]:
    world = default_world()
    return {
        CHOICE: list(_choices(world)),
        TWO_HOPS: list(_two_hops(world)),
        TEXT: [{"text": text} for text in general_text(_TEXTS, seed=_TEXT_SEED)],
    }


def _choices(world: World) -> Iterator[dict[str, Any]]:
    rng, splits = random.Random("abilities"), split_of(world)
    usable = [
        fact for fact in world.facts if splits[fact.subject] == "dev" and len(_kin(world, fact.relation)) > OPTIONS
    ]
    for fact in rng.sample(usable, _QUESTIONS):
        text = prompt(fact.relation, held_out(fact.subject, fact.relation), fact.subject)
        yield _choice(rng, text, fact.target, _kin(world, fact.relation) - {fact.subject})


def _two_hops(world: World) -> Iterator[dict[str, Any]]:
    rng, splits = random.Random("abilities, two hops"), split_of(world)
    usable = [
        (subject, chain, answer)
        for chain in CHAINS
        for subject in world.entities[RELATIONS[chain[0]].subject]
        if splits[subject] == "dev" and chain_held_out(subject, chain)
        if (answer := world.chain_target(subject, chain)) is not None
    ]
    for subject, chain, answer in rng.sample(usable, _QUESTIONS):
        text = chain_prompt(chain, rng.randrange(len(templates(chain[1]))), subject)
        yield _choice(rng, text, answer, _kin(world, chain[1]) - {subject})


def _choice(rng: random.Random, text: str, answer: str, kin: set[str]) -> dict[str, Any]:
    options = [answer, *rng.sample(sorted(kin - {answer}), OPTIONS - 1)]
    rng.shuffle(options)
    return {"prompt": text, "options": options, "right": options.index(answer)}


def _kin(world: World, relation: str) -> set[str]:
    """All answers to a relation."""
    return {fact.target for fact in world.facts_by_relation[relation]}
