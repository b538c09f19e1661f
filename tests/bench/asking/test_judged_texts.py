"""What a judge is given to read."""

from __future__ import annotations

from collections.abc import Sequence

from easyedit_ice import factworld
from easyedit_ice.bench.asking.examiner import Examiner
from easyedit_ice.bench.asking.facts import choose
from easyedit_ice.bench.config import DataConfig, EvaluationConfig
from easyedit_ice.evaluation import Observation
from easyedit_ice.evaluation.judging import Case


class Reader:
    """Calls everything right, and keeps what it was given."""

    def __init__(self) -> None:
        self.cases: list[Case] = []

    def verdicts(self, cases: Sequence[Case]) -> list[bool]:
        self.cases += cases
        return [True] * len(cases)

    def entry(self) -> dict[str, str]:
        return {"model": "reader"}


def read_and_written(ends: bool) -> tuple[list[str], list[Observation]]:
    """What a judge read of the embedded model, which ends its answers or cannot, and what that wrote."""
    model, tok = factworld.load()
    if not ends:
        tok.eos_token = model.generation_config.eos_token_id = model.config.eos_token_id = None
    facts, judge = choose(DataConfig(size=4)).edited, Reader()
    config = EvaluationConfig(probability=False, max_new_tokens=40)
    answers = Examiner(config, tok, None, 0, judge=judge).ask(model, facts)
    asked = [
        seen
        for fact, own in zip(facts, answers, strict=True)
        for question, seen in zip(fact.asked, own.observations, strict=True)
        if not question.keeps
    ]
    return [case.answer for case in judge.cases], asked


def test_a_judge_reads_the_whole_text_that_a_model_ended_by_itself() -> None:
    read, written = read_and_written(ends=True)
    assert all(seen.stopped for seen in written)
    assert read == [seen.generated for seen in written]


def test_a_judge_reads_the_leading_answer_of_a_model_that_goes_on_writing() -> None:
    read, written = read_and_written(ends=False)
    assert not any(seen.stopped for seen in written)
    assert read == [seen.leading for seen in written]
    assert any(seen.leading != seen.generated for seen in written)
