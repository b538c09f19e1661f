"""Runs that score abilities, that see what stays of edits, and whose answers are judged: ledgers and reports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs import APART, QUICK, configured, lines_of, run_until_killed, shape_of

from easyedit_ice.bench.report import compare, read_run, write_report
from easyedit_ice.bench.report.ability_changes import changes
from easyedit_ice.bench.report.afterlife import afterlife_rows
from easyedit_ice.bench.running import one_run
from easyedit_ice.bench.running.one_run import run
from easyedit_ice.errors import IncomparableRunsError, JudgeError, MissingExtraError, RunConfigError
from easyedit_ice.evaluation.abilities import Ability
from easyedit_ice.runtime import extras

SHORT = (*QUICK[:3], "data.size=3", "evaluation=fast", "evaluation.known_facts=4")
TREATED = ("evaluation.afterlife=[merge,quantise8]", "evaluation.afterlife_steps=1", "evaluation.afterlife_rank=1")
SCORED = ("evaluation.abilities=[factworld_choice,factworld_text]", "evaluation.abilities_limit=2")
BATCH = (*SHORT, "mode=batch", "mode.batch_size=2", *TREATED)
STREAM = (*SHORT, "mode=sequential", "mode.retain_every=2", *TREATED)
AFTER = ["after_merge", "after_quantise8"]


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("lm_eval")
    pytest.importorskip("bitsandbytes")
    return run(configured(*BATCH, *SCORED), tmp_path_factory.mktemp("batch"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run without any of it."""
    return run(configured(*BATCH[: -len(TREATED)]), tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("bitsandbytes")
    return run(configured(*STREAM), tmp_path_factory.mktemp("stream"))


def test_the_unedited_model_and_the_first_edit_are_scored_and_treated_alike(batch: Path) -> None:
    lines = lines_of(batch)
    assert [(own["position"], own["step"]) for own in lines if own["phase"] == "abilities"] == [(0, 0), (0, 2)]
    before, after = ([Ability.from_dict(a) for a in own["abilities"]] for own in lines if own["phase"] == "abilities")
    assert [own.name for own in before] == [own.name for own in after]
    assert before[1].value != after[1].value
    unedited, edited = (own["afterlife"] for own in lines if own["phase"] == "afterlife")
    assert unedited.keys() == edited.keys() == {"merge", "quantise8"}
    assert all(own["known"]["facts"] == 4 for own in (*unedited.values(), *edited.values()))
    asked = [(own["phase"], own["position"]) for own in lines if own["phase"] in AFTER]
    assert sorted(asked) == [(phase, place) for phase in AFTER for place in (0, 1)]
    assert all("rewrite" in own["scores"]["teacher_forced"] for own in lines if own["phase"] in AFTER)


def test_edits_are_those_of_a_run_that_follows_nothing_up(batch: Path, plain: Path) -> None:
    ours = [own for own in lines_of(batch) if own["phase"] not in (*AFTER, "abilities", "afterlife")]
    assert ours == lines_of(plain)
    manifest = json.loads((plain / "manifest.json").read_text())
    assert not any(name.startswith(("abilities", "afterlife", "judge")) for name in manifest["evaluation"])
    assert "abilities" not in manifest["data"] and "judge" not in manifest["data"]


def test_a_stream_is_treated_once_at_its_end_with_all_of_its_facts(stream: Path) -> None:
    found = [own for own in shape_of(stream) if own[0] in (*AFTER, "afterlife")]
    assert sorted(found) == sorted(
        [("afterlife", 0, 0), *((phase, place, 3) for phase in AFTER for place in range(3)), ("afterlife", 0, 3)]
    )


@pytest.mark.slow
@pytest.mark.parametrize("after", [4, 12])
def test_a_run_that_is_killed_ends_with_the_lines_of_one_that_was_not(stream: Path, tmp_path: Path, after: int) -> None:
    child = APART.Process(target=run_until_killed, args=(configured(*STREAM), tmp_path, after))
    child.start()
    child.join()
    assert len(lines_of(tmp_path)) == after
    run(configured(*STREAM), tmp_path)
    assert lines_of(tmp_path) == lines_of(stream)


def test_a_report_has_tables_of_both(batch: Path, tmp_path: Path) -> None:
    write_report(compare([read_run(batch)]), tmp_path, ["md", "csv", "html", "tex"])
    text = (tmp_path / "report.md").read_text()
    assert "### Abilities" in text and "| factworld_text word_perplexity ↓ | LoRA-BF" in text
    table = text[text.index("### What stays of the edits") :]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines() if row.startswith("| ")][2:5]
    assert [row[0] for row in rows] == ["none", "merge", "quantise8"]
    assert all(row[-1] != "–" for row in rows)
    scores = (tmp_path / "scores.csv").read_text()
    assert ",abilities,factworld_choice acc," in scores and ",after_merge,2,teacher_forced,rewrite," in scores


def test_a_run_has_no_row_of_a_treatment_that_it_did_not_go_through(batch: Path) -> None:
    whole = read_run(batch)
    part = replace(whole, label="other", lines=tuple(line for line in whole.lines if line["phase"] != "after_merge"))
    (group,) = compare([whole, part]).groups
    assert [row[:2] for row in afterlife_rows(group, "teacher_forced")] == [
        ("none", whole.label),
        ("none", "other"),
        ("merge", whole.label),
        ("quantise8", whole.label),
        ("quantise8", "other"),
    ]


def test_runs_that_score_other_abilities_are_not_compared(batch: Path, plain: Path) -> None:
    with pytest.raises(IncomparableRunsError, match=r"data\.abilities\.tasks\.factworld_choice"):
        compare([read_run(batch), read_run(plain, "other")])


def test_differences_are_paired_over_samples_and_have_an_interval() -> None:
    def ability(metric: str, aggregation: str, samples: Any, value: float) -> Ability:
        return Ability("task", metric, value, True, aggregation, tuple(tuple(own) for own in samples))

    before = ability("acc", "mean", [(1.0,)] * 30 + [(0.0,)] * 10, 0.75)
    after = ability("acc", "mean", [(1.0,)] * 20 + [(0.0,)] * 20, 0.5)
    (change,) = changes([before], [[after]])
    assert change.difference.mean == -0.25
    assert -0.45 < change.difference.low < -0.25 < change.difference.high < -0.1
    alike = ability("ppl", "weighted_perplexity", [(-2.0, 2.0), (-9.0, 3.0)], 9.03)
    (same,) = changes([alike], [[alike]])
    assert (same.difference.mean, same.difference.low, same.difference.high) == (0, 0, 0)
    assert changes([before], []) == []


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("evaluation.afterlife=[quantize4]", "no treatment 'quantize4'"),
        ("evaluation.afterlife_learning_rate=0", "between 0 and 1"),
        ("evaluation.afterlife_scale=nan", "afterlife_scale is nan; it must lie between -1000 and 1000"),
        ("evaluation.afterlife_scale=1e39", "afterlife_scale is 1e"),
        ("evaluation.afterlife_rank=100000", "afterlife_rank is 100000; it must be from 1 to 4096"),
        ("evaluation.afterlife_adapter=folder", "afterlife_adapter is 'folder', which only 'merge' reads"),
        ("evaluation.judge_key=KEY", "only an endpoint takes evaluation.judge_key, but nobody judges"),
        ("evaluation.judge=http://127.0.0.1:9/v1", "evaluation.judge_model"),
        ("evaluation.judge=HTTP://127.0.0.1:9/v1", "evaluation.judge_model"),
        ("evaluation.judge=gpt2-factworld", "evaluation.generate is false"),
    ],
)
def test_settings_that_cannot_be_met_end_a_run_before_it_begins(tmp_path: Path, setting: str, told: str) -> None:
    generate = "evaluation.generate=true" if "9/v1" in setting else "evaluation.generate=false"
    with pytest.raises(RunConfigError, match=told):
        run(configured(*SHORT, generate, setting), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_without_lm_eval_a_run_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "lm_eval" else known(name))
    with pytest.raises(MissingExtraError, match=r"easyedit-ice\[abilities\]"):
        run(configured(*SHORT, *SCORED), tmp_path / "none")


class Letters:
    """Calls an answer right that begins with the right one's first letter; or is out of order."""

    works = True

    def verdicts(self, cases: Any) -> list[bool]:
        if not self.works:
            raise JudgeError("out of order")
        return [case.answer[:1] == case.gold[:1] for case in cases]

    def entry(self) -> dict[str, str]:
        return {"model": "letters"}


def test_a_judge_is_a_style_of_scores_whose_agreement_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_run, "judge_of", lambda config, device: Letters() if config.judge else None)
    config = configured(*SHORT, "evaluation.generate=true", "evaluation.judge=letters", "evaluation.known_facts=0")
    monkeypatch.setattr(Letters, "works", False)
    with pytest.raises(JudgeError, match="out of order"):
        run(config, tmp_path / "run")
    monkeypatch.setattr(Letters, "works", True)
    folder = run(config, tmp_path / "run")
    asked = [line for line in lines_of(folder) if line["phase"] in ("before", "immediate")]
    assert len(asked) == 6
    for line in asked:
        answers = [own for own in line["answers"] if "judged" in own]
        assert answers and not any(own["measure"].startswith("locality") for own in answers)
        assert all(own["judged"] == (own["generated"][:1] == own["answer"][:1]) for own in answers)
        rewritten = [own["judged"] for own in answers if own["measure"] == "rewrite"]
        assert line["scores"]["judged"]["rewrite"] == sum(rewritten) / len(rewritten)
    write_report(compare([read_run(folder)]), tmp_path / "report", ["md", "csv"])
    text = (tmp_path / "report" / "report.md").read_text()
    table = text[text.index("### The judge and exact match") :]
    assert "The judge is letters." in table
    assert ",judged,rewrite," in (tmp_path / "report" / "scores.csv").read_text()
