"""Whole runs in each mode, killed ones among them."""

import json
import re
import signal

import pytest
from runs import APART, QUICK, STREAM, configured, lines_of, run_until_killed, shape_of

from easyedit_ice.bench.running.one_run import run
from easyedit_ice.errors import AllFactsFailedError


def more(*moments):
    """Kills after so many lines that ``make test-long`` alone tries."""
    return [pytest.param(after, marks=pytest.mark.long) for after in moments]


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return run(configured(*QUICK), tmp_path_factory.mktemp("single"))


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return run(configured(*STREAM), tmp_path_factory.mktemp("stream"))


def test_single_edits_leave_a_line_before_and_one_after_each_fact(single):
    expected = [(phase, position, step) for position in range(4) for phase, step in (("before", 0), ("immediate", 1))]
    assert shape_of(single) == expected


def test_an_edit_is_scored_in_every_way_and_its_change_and_cost_are_kept(single):
    line = next(line for line in lines_of(single) if line["phase"] == "immediate")
    assert line["scores"].keys() == {"teacher_forced", "generated", "leading", "probability"}
    assert line["scores"]["teacher_forced"].keys() >= {"rewrite", "rephrase"}
    assert all(0 <= score <= 1 for own in line["scores"].values() for score in own.values())
    assert line["update"]["norm"]
    assert all(0 < relative < norm for norm, relative in line["update"]["norm"].values())
    assert {answer["measure"] for answer in line["answers"]} == line["scores"]["generated"].keys()


def test_edits_of_single_mode_do_not_depend_on_those_before(single, tmp_path):
    later = run(configured(*QUICK, "data.start=2", "data.size=2"), tmp_path)

    def known(folder, index):
        return [
            {key: value for key, value in line.items() if key != "position"}
            for line in lines_of(folder)
            if line["case"]["index"] == index
        ]

    for index in (2, 3):
        assert known(later, index) == known(single, index)


def test_a_batch_is_written_together_and_undone_before_the_next(tmp_path):
    folder = run(configured(*QUICK, "mode=batch", "mode.batch_size=2"), tmp_path)
    expected = [(phase, position, step) for position in range(4) for phase, step in (("before", 0), ("immediate", 2))]
    assert shape_of(folder) == expected
    changed = [line["update"]["norm"] for line in lines_of(folder) if line["phase"] == "immediate"]
    assert changed[0] == changed[1] != changed[2] == changed[3]


def test_a_stream_is_asked_before_after_each_fact_every_k_facts_and_at_the_end(stream):
    expected = [("before", position, 0) for position in range(4)] + [("untouched", position, 0) for position in (0, 1)]
    for step in (1, 2, 3, 4):
        expected.append(("immediate", step - 1, step))
        if step in (2, 4):
            expected += [("retained", position, step) for position in range(step)]
            expected += [("untouched", position, step) for position in (0, 1)]
    assert shape_of(stream) == expected


def test_facts_of_a_stream_accumulate(stream):
    norms = [
        next(iter(line["update"]["norm"].values()))[0] for line in lines_of(stream) if line["phase"] == "immediate"
    ]
    assert norms == sorted(norms)
    last = [line for line in lines_of(stream) if line["phase"] == "retained" and line["step"] == 4]
    own = [line for line in lines_of(stream) if line["phase"] == "immediate"]
    assert last[3]["answers"] == to_rounding(own[3]["answers"])
    assert all(one["answers"] != to_rounding(other["answers"]) for one, other in zip(last[:3], own[:3], strict=True))


def to_rounding(answers):
    """What the same answers may be where they were asked beside others: likelihoods are rounded in another way."""
    return [
        {key: pytest.approx(value, abs=1e-5) if key in ("p_new", "p_old") else value for key, value in answer.items()}
        for answer in answers
    ]


def test_drift_is_nothing_before_an_edit_and_something_after(tmp_path):
    folder = run(configured(*STREAM, "data.size=2", "evaluation.drift_texts=4"), tmp_path)
    first, last = (line for line in lines_of(folder) if line["phase"] == "drift")
    assert (first["step"], first["kl"]) == (0, 0.0)
    assert last["step"] == 2
    assert last["kl"] > 0
    assert last["perplexity"] != first["perplexity"]


@pytest.mark.parametrize("after", [0, 3, *more(1, 2, 6)])
def test_a_killed_single_run_ends_with_the_lines_of_one_that_was_not(after, single, tmp_path):
    _killed(configured(*QUICK), tmp_path, after)
    assert len(shape_of(tmp_path)) == after

    run(configured(*QUICK), tmp_path)

    assert lines_of(tmp_path) == lines_of(single)


@pytest.mark.parametrize("after", [3, 12, *more(0, 6, 7, 9, 13, 15, 17)])
def test_a_killed_stream_ends_with_the_lines_of_one_that_was_not(after, stream, tmp_path):
    _killed(configured(*STREAM), tmp_path, after)
    assert len(shape_of(tmp_path)) == after

    run(configured(*STREAM), tmp_path)

    assert lines_of(tmp_path) == lines_of(stream)


def test_a_run_that_has_ended_is_not_done_again(stream, monkeypatch):
    before = (stream / "ledger.jsonl").read_bytes()
    monkeypatch.setattr("easyedit_ice.edit.apply.solve_with", None)

    run(configured(*STREAM), stream)

    assert (stream / "ledger.jsonl").read_bytes() == before


def test_a_fact_that_a_method_cannot_write_is_a_line_and_the_others_go_on(tmp_path):
    _records(tmp_path / "facts.json", subjects=["Voumel Quemwick", "Nobody Atall"])
    overrides = (f"data.source={tmp_path / 'facts.json'}", "data.size=null", "algorithm=ROME", "verbosity=quiet")

    folder = run(configured(*overrides, "algorithm.hparams.v_num_grad_steps=2"), tmp_path / "run")

    failed = [line for line in lines_of(folder) if line["phase"] == "failed"]
    assert [line["position"] for line in failed] == [1]
    assert failed[0]["case"]["subject"] == "Nobody Atall"
    assert re.match("HostEditError: ROME of EasyEdit .* failed with AssertionError: assert", failed[0]["error"])
    assert [line["position"] for line in lines_of(folder) if line["phase"] == "immediate"] == [0]


def test_a_fact_at_fault_does_not_take_its_batch_with_it(tmp_path):
    _records(tmp_path / "facts.json", subjects=["Voumel Quemwick", "Voumel Quemwick", "Faeso Faerkov"])
    overrides = (f"data.source={tmp_path / 'facts.json'}", "data.size=3", *QUICK[:3], "mode=batch", "mode.batch_size=3")

    folder = run(configured(*overrides), tmp_path / "run")

    phases = {line["position"]: line["phase"] for line in lines_of(folder) if line["phase"] not in ("before", "undone")}
    assert phases == {0: "immediate", 1: "failed", 2: "immediate"}


def test_a_method_that_fails_on_every_fact_is_an_error(tmp_path):
    _records(tmp_path / "facts.json", subjects=["Nobody Atall"])
    overrides = (f"data.source={tmp_path / 'facts.json'}", "data.size=1", "algorithm=ROME", "verbosity=quiet")

    with pytest.raises(AllFactsFailedError, match="failed on each of the 1 facts, first with HostEditError: ROME of"):
        run(configured(*overrides), tmp_path / "run")


def _records(path, subjects):
    records = [
        {
            "prompt": "Faeso Faerkov has a job at" if "Faeso" in subject else "Voumel Quemwick lives in",
            "subject": subject,
        }
        | {"target_new": "Brethdale", "ground_truth": "Zarm", "portability": {}, "locality": {}}
        for subject in subjects
    ]
    path.write_text(json.dumps(records))


def _killed(config, folder, after):
    """Run in a process of its own that is killed while it writes the line after so many."""
    child = APART.Process(target=run_until_killed, args=(config, folder, after))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
