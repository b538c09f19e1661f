"""Abilities by lm-eval: what is asked, of which model, and what is left of it."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from easyedit_ice import factworld
from easyedit_ice.errors import AbilityError, MissingExtraError, RunConfigError
from easyedit_ice.evaluation.abilities import WORLD_TASKS, Ability, Tasks, abilities, write_world_tasks
from easyedit_ice.evaluation.abilities.ability import with_samples
from easyedit_ice.evaluation.abilities.measure import _abilities
from easyedit_ice.factworld.world_records import split_of
from easyedit_ice.runtime import extras
from easyedit_ice.runtime.cache import fingerprint

CHOICE, TEXT = "factworld_choice", "factworld_text"
LIMIT = 3


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, Any]:
    return factworld.load()


@pytest.fixture(scope="module")
def tasks() -> Tasks:
    pytest.importorskip("lm_eval")
    return Tasks([CHOICE, TEXT], LIMIT)


def total_log_prob(model: Any, tok: Any, text: str, answer: str) -> float:
    """Sum of the log-probabilities of an answer's tokens, computed here and nowhere else."""
    given, whole = tok(text)["input_ids"], tok(f"{text} {answer}")["input_ids"]
    with torch.no_grad():
        found = model(torch.tensor([whole])).logits[0].log_softmax(-1)
    return sum(found[place - 1, whole[place]].item() for place in range(len(given), len(whole)))


def test_a_model_in_memory_gets_the_scores_that_its_own_probabilities_give(
    loaded: tuple[Any, Any], tasks: Tasks, tmp_path: Path
) -> None:
    model, tok = loaded
    before = fingerprint(model.state_dict().items())
    padding, state, numbers = (tok.padding_side, tok.pad_token), random.getstate(), np.random.get_state()[1].tolist()
    torch_state, handlers = torch.get_rng_state(), list(logging.getLogger().handlers)
    choice, text = tasks.measure(model, tok)
    assert (choice.name, text.name) == ("factworld_choice acc", "factworld_text word_perplexity")
    assert (choice.higher_is_better, text.higher_is_better) == (True, False)
    asked = [json.loads(line) for line in (write_world_tasks(tmp_path) / f"{CHOICE}.jsonl").open()][:LIMIT]
    own = []
    for doc in asked:
        likely = [total_log_prob(model, tok, doc["prompt"], option) for option in doc["options"]]
        own.append(float(likely.index(max(likely)) == doc["right"]))
    assert [value for (value,) in choice.samples] == own
    texts = [json.loads(line)["text"] for line in (tmp_path / f"{TEXT}.jsonl").open()][:LIMIT]
    assert [words for _, words in text.samples] == [len(line.split()) for line in texts]
    assert fingerprint(model.state_dict().items()) == before
    assert (tok.padding_side, tok.pad_token) == padding
    assert random.getstate() == state and np.random.get_state()[1].tolist() == numbers
    assert torch.equal(torch.get_rng_state(), torch_state) and logging.getLogger().handlers == handlers


def test_an_edit_of_the_head_alone_is_scored_and_stays(loaded: tuple[Any, Any], tasks: Tasks) -> None:
    model, tok = deepcopy(loaded[0]), loaded[1]
    assert model.config.tie_word_embeddings and model.lm_head.weight is model.get_input_embeddings().weight
    _, before = tasks.measure(model, tok)
    head = model.lm_head.weight = torch.nn.Parameter(torch.zeros_like(model.lm_head.weight))
    _, after = tasks.measure(model, tok)
    assert after.value > 10 * before.value  # every token is as likely as any other
    assert model.lm_head.weight is head and not head.any()
    model.tie_weights()
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_what_is_asked_has_a_hash_that_the_limit_changes(tasks: Tasks) -> None:
    entry = tasks.entry()
    assert set(entry["tasks"]) == {CHOICE, TEXT} and entry["limit"] == LIMIT
    other = Tasks([CHOICE], LIMIT + 1).entry()
    assert other["tasks"][CHOICE] != entry["tasks"][CHOICE]
    assert tasks.entry() == entry


def test_a_task_of_a_file_is_scored_as_one_with_a_name(loaded: tuple[Any, Any], tmp_path: Path, tasks: Tasks) -> None:
    folder = write_world_tasks(tmp_path)
    found = abilities(*loaded, [str(folder / f"{CHOICE}.yaml")], LIMIT)
    assert found == {"factworld_choice acc": tasks.measure(*loaded)[0]}


def test_unknown_tasks_are_named_with_what_was_meant(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval")
    with pytest.raises(RunConfigError, match=r"no task 'factworld_choise'.*Did you mean 'factworld_choice'"):
        Tasks(["factworld_choise"])
    with pytest.raises(RunConfigError, match="there is no file"):
        Tasks([str(tmp_path / "none.yaml")])
    with pytest.raises(RunConfigError, match="no task is named"):
        Tasks([])
    broken = tmp_path / "broken.yaml"
    broken.write_text(f"task: broken\ndataset_path: json\ndataset_kwargs: {{data_files: {tmp_path}/none.jsonl}}\n")
    with pytest.raises(AbilityError, match=r"cannot be had.*factworld_choice"):
        Tasks([str(broken)])


@pytest.mark.parametrize("text", ["", "hello\n", "task: mine\n", "task: x\n  bad: [\n"])
def test_a_file_that_defines_no_task_is_blamed_and_not_the_network_alone(tmp_path: Path, text: str) -> None:
    pytest.importorskip("lm_eval")
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(AbilityError, match=r"mine\.yaml cannot be read as lm-eval's tasks are"):
        Tasks([str(file)])


def test_every_process_of_several_scores_and_no_program_is_started(
    loaded: tuple[Any, Any], tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(subprocess, "Popen", None)
    assert [own.task for own in tasks.measure(*loaded)] == [CHOICE, TEXT]


def test_a_model_that_is_none_of_transformers_is_refused(tasks: Tasks, loaded: tuple[Any, Any]) -> None:
    with pytest.raises(AbilityError, match="Linear has no config"):
        tasks.measure(torch.nn.Linear(1, 1), loaded[1])


def test_without_lm_eval_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'easyedit-ice\[abilities\]'"):
        Tasks([CHOICE])


def test_lm_eval_is_not_imported_before_it_is_asked() -> None:
    modules = "easyedit_ice.bench.running.one_run, easyedit_ice.cli.abilities"
    code = f"import sys, {modules}; sys.exit('lm_eval' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_questions_of_the_world_are_about_no_fact_that_the_test_split_edits(tmp_path: Path) -> None:
    folder, world = write_world_tasks(tmp_path / "new"), factworld.default_world()
    splits = split_of(world)
    for name in WORLD_TASKS[:2]:
        docs = [json.loads(line) for line in (folder / f"{name}.jsonl").open()]
        assert len(docs) == 100 and len({doc["prompt"] for doc in docs}) == 100
        for doc in docs:
            assert len(set(doc["options"])) == 4
            about = [subject for subject in splits if subject in doc["prompt"]]
            assert not about or any(splits[subject] == "dev" for subject in about)


def test_scores_that_do_not_follow_from_their_samples_are_not_paired() -> None:
    score = Ability("task", "acc", 0.5, True)
    assert with_samples(score, "mean", [1, 0]).samples == ((1.0,), (0.0,))
    assert with_samples(score, "mean", [1, 1]).samples == ()
    assert with_samples(score, "f1", [1, 0]).samples == ()
    assert with_samples(score, "mean", ["a", "b"]) == score
    perplexity = Ability("task", "word_perplexity", float(np.exp(7 / 5)), False)
    paired = with_samples(perplexity, "weighted_perplexity", [(-3.0, 2), (-4.0, 3)])
    assert paired.samples == ((-3.0, 2.0), (-4.0, 3.0))
    assert Ability.from_dict(json.loads(json.dumps(paired.to_dict()))) == paired


def test_a_group_is_one_ability_over_the_samples_of_its_tasks() -> None:
    pytest.importorskip("lm_eval")

    def samples(*values: float) -> list[dict[str, Any]]:
        return [{"doc_id": place, "filter": "none", "acc": value} for place, value in enumerate(values)]

    metric = {"metric_list": [{"metric": "acc", "aggregation": "mean"}]}
    found = {
        "results": {name: {"acc,none": 0.0, "acc_stderr,none": 0.1} for name in ("one", "other", "alone")},
        "groups": {"whole": {"acc,none": 0.6, "alias": "whole"}},
        "group_subtasks": {"whole": ["one", "other"]},
        "configs": dict.fromkeys(("one", "other", "alone"), metric),
        "higher_is_better": {name: {"acc": True} for name in ("one", "other", "alone")},
        "samples": {"one": samples(1, 0), "other": samples(1, 1, 0), "alone": samples(0, 0)},
    }
    whole, alone = _abilities(found)
    assert (whole.task, whole.value, len(whole.samples)) == ("whole", 0.6, 5)
    assert (alone.task, alone.value, len(alone.samples)) == ("alone", 0.0, 2)


@pytest.mark.long
def test_lm_evals_own_command_gives_the_same_numbers_of_the_model_on_the_disk(
    loaded: tuple[Any, Any], tmp_path: Path
) -> None:
    pytest.importorskip("lm_eval")
    model, tok = factworld.load()
    with torch.no_grad():
        model.transformer.h[2].mlp.c_proj.weight.mul_(1.1)
    ours = abilities(model, tok, WORLD_TASKS, 8)
    model.save_pretrained(tmp_path / "model")
    tok.save_pretrained(tmp_path / "model")
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={tmp_path / 'model'}"]
    command += ["--device", "cpu", "--batch_size", "8", "--limit", "8", "--output_path", str(tmp_path / "found")]
    command += ["--include_path", str(write_world_tasks(tmp_path / "tasks")), "--tasks", ",".join(WORLD_TASKS)]
    subprocess.run(command, check=True, capture_output=True)
    (file,) = (tmp_path / "found").rglob("results*.json")
    theirs = json.loads(file.read_text())["results"]
    assert len(ours) == 3
    assert {own.name: own.value for own in ours.values()} == {
        own.name: theirs[own.task][f"{own.metric},none"] for own in ours.values()
    }
