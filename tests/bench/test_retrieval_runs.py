"""Runs of retrieval: every question goes through it, and it stands among the editors in a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from runs import configured, lines_of

from easyedit_ice.bench.report import compare, read_run, write_report
from easyedit_ice.bench.running.one_run import run
from easyedit_ice.errors import RunConfigError

SHORT = ("verbosity=quiet", "evaluation.known_facts=4", "evaluation.generate=false")
STREAM = ("algorithm=Retrieval", "mode=sequential", "data.size=4", "data.untouched=2", "mode.retain_every=2", *SHORT)


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(configured(*STREAM), tmp_path_factory.mktemp("stream"))


def test_facts_are_found_among_all_that_are_in_force(stream: Path) -> None:
    retained = [line["scores"] for line in lines_of(stream) if line["phase"] == "retained" and line["step"] == 4]
    assert len(retained) == 4
    assert sum(own["probability"]["rewrite"] for own in retained) >= 3


def test_questions_about_facts_never_edited_go_through_it_too(tmp_path: Path) -> None:
    states = run(configured(*STREAM, "data.size=2", "algorithm.hparams.search=own"), tmp_path)
    lines = [line for line in lines_of(states) if line["phase"] == "untouched"]
    before, after = ([line["answers"] for line in lines if line["step"] == step] for step in (0, 2))
    assert len(before) == len(after) == 2
    assert _largest_change(before, after) > 0.1, "they share no word with a fact, but have states like one's"


def _largest_change(before: list[Any], after: list[Any]) -> float:
    """Of any answer's log-likelihood, in nats a token."""
    likelihoods = [[answer.get("p_new") for answers in lines for answer in answers] for lines in (before, after)]
    return max(abs(new - old) for old, new in zip(*likelihoods, strict=True) if old is not None and new is not None)


def test_a_batch_is_searched_as_a_whole(tmp_path: Path) -> None:
    folder = run(configured("algorithm=Retrieval", "mode=batch", "mode.batch_size=4", "data.size=4", *SHORT), tmp_path)
    found = [line["scores"]["probability"]["rewrite"] for line in lines_of(folder) if line["phase"] == "immediate"]
    assert sum(found) >= 3


def test_a_report_counts_it_among_the_contenders(stream: Path, tmp_path: Path) -> None:
    write_report(compare([read_run(stream)]), tmp_path, ["md"])
    assert "told which fact a question is about" not in (tmp_path / "report.md").read_text()


def test_easyedits_evaluator_is_refused_as_for_prompts(tmp_path: Path) -> None:
    with pytest.raises(RunConfigError, match="Retrieval edits none"):
        run(configured("algorithm=Retrieval", "evaluation=easyedit", "data.size=1"), tmp_path)
