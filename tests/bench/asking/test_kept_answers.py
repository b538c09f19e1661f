"""What the unedited model says is asked once for all runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from runs import configured, lines_of

from easyedit_ice.bench.asking.examiner import Examiner
from easyedit_ice.bench.asking.fact_answers import Answers
from easyedit_ice.bench.asking.facts import choose
from easyedit_ice.bench.asking.kept_answers import UNEDITED, KeptAnswers
from easyedit_ice.bench.config import DataConfig, EvaluationConfig
from easyedit_ice.bench.running.one_run import run
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.errors import DamagedFileError
from easyedit_ice.runtime.cache import fingerprint
from easyedit_ice.text.chat import PLAIN, Asking

EVALUATION = EvaluationConfig(max_new_tokens=4, fluency=True, probes=["choice", "dialogue", "reversed"])
SHORT = ("verbosity=quiet", "evaluation=fast", "evaluation.probes=[choice,long]", "data.size=2")
STREAM = ("mode=sequential", "data.untouched=1")


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def world():
    model, tok = load_model(EditHyperParams(model_name="gpt2-factworld", device="cpu"))
    return model, tok, choose(DataConfig(size=2)).with_claims(0).edited


def kept(model, tok, asking: Asking = PLAIN, **settings: object) -> KeptAnswers:
    return KeptAnswers(model, tok, asking, settings, fingerprint(model.state_dict().items()))


def answers_of(world, kept_answers: KeptAnswers | None) -> list[Answers]:
    model, tok, facts = world
    return Examiner(EVALUATION, tok, None, 0, kept=kept_answers).ask_unedited(model, facts)


def never() -> list[Answers]:
    raise AssertionError("the model was asked again")


def test_kept_answers_are_what_the_model_said_to_the_last_bit(world) -> None:
    model, tok, facts = world
    first = answers_of(world, kept(model, tok))
    again = kept(model, tok).of(facts, never)
    asked = answers_of(world, None)

    assert again == first
    assert [replace(answers, seconds=0) for answers in again] == [replace(answers, seconds=0) for answers in asked]
    assert all(answers.able and answers.probed and answers.fluency for answers in again)


def test_further_facts_are_asked(world) -> None:
    model, tok, facts = world
    answers_of(world, kept(model, tok))
    with pytest.raises(AssertionError, match="asked again"):
        kept(model, tok).of(facts[:1], never)


@pytest.mark.parametrize("what", ["weights", "settings", "chat", "tokenizer", "config", "threads"])
def test_another_model_or_another_way_to_ask_is_asked(world, what: str) -> None:
    model, tok, facts = world
    answers_of(world, kept(model, tok, seed=0))
    threads = torch.get_num_threads()
    asking, seed = PLAIN, 0
    if what == "weights":
        weight = next(model.parameters())
        weight.data[0, 0] = weight.data[0, 0].nextafter(torch.tensor(9.0))
    elif what == "settings":
        seed = 1
    elif what == "chat":
        asking = Asking(before="User: ", after="\n")
    elif what == "tokenizer":
        tok.add_tokens(["Quorvish"])
    elif what == "config":
        model.config.layer_norm_epsilon *= 2
    else:
        torch.set_num_threads(threads + 1)
    try:
        with pytest.raises(AssertionError, match="asked again"):
            kept(model, tok, asking, seed=seed).of(facts, never)
    finally:
        torch.set_num_threads(threads)


def test_a_damaged_file_is_refused_with_what_to_do(world) -> None:
    model, tok, facts = world
    answers_of(world, kept(model, tok))
    (path,) = UNEDITED.paths()
    path.write_text(path.read_text()[:100])
    with pytest.raises(DamagedFileError, match="delete it, to have the model asked again"):
        kept(model, tok).of(facts, never)


def test_a_second_method_does_not_ask_the_unedited_model_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one, other = "algorithm=Prompt", "algorithm=Retrieval"
    first = run(configured(*SHORT, one), tmp_path / "first")
    stream = run(configured(*SHORT, one, *STREAM), tmp_path / "stream")
    monkeypatch.setattr(Examiner, "_ask_unedited", lambda *args: never())

    assert _before(run(configured(*SHORT, other), tmp_path / "second")) == _before(first)
    assert _before(run(configured(*SHORT, *STREAM, other), tmp_path / "second_stream")) == _before(stream)


def test_a_run_scored_by_easyedit_asks_for_itself(tmp_path: Path) -> None:
    settings = ("verbosity=quiet", "evaluation=easyedit", "evaluation.known_facts=0", "algorithm=LoRA-BF")
    run(configured(*settings, "algorithm.hparams.num_steps=1", "data.size=1"), tmp_path / "run")
    assert not UNEDITED.paths()


def _before(folder: Path) -> list[dict]:
    return [
        {key: line[key] for key in ("scores", "answers", "case")}
        for line in lines_of(folder)
        if line["phase"] in ("before", "untouched")
    ]
