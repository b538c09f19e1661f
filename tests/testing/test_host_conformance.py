"""The shipped algorithms keep every promise within every EasyEdit there is, and every such promise can be broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hosts import EACH_HOST, HOSTS, run_in_host

from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.errors import ConformanceError, HostNotFoundError
from easyedit_ice.testing import check_algorithm, conformance
from easyedit_ice.testing.host import HOST_PROMISES, keys

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).resolve().with_name("within_host.py")
RESTORED = "base editor restores every bit after each edit"
STAYING = "edits of base editor add up where they stay"
BATCH_RESTORED = "base editor restores every bit after a batch"
BATCH_STAYING = "a batch of base editor is solved together"
EXCEPTION = "an exception within base editor leaves the model as it was"
INTERRUPT = "an interrupt within base editor leaves the model as it was"
METRICS = "metrics have the keys of easyedits own methods"
KEEPS_ALL = (
    "leaves every weight alone",
    "is untidy about all but weights",
    "pads on the right",
    "takes single facts only and says so",
)
BREAKS = {
    "writes weights while it solves": {RESTORED, BATCH_RESTORED, EXCEPTION, INTERRUPT},
    "solves differently each time": {STAYING, BATCH_STAYING},
    "tidies up only at the end": {EXCEPTION, INTERRUPT},
    "swallows errors": {EXCEPTION, INTERRUPT},
    "takes single facts only": {BATCH_RESTORED, BATCH_STAYING},
    "is evaluated in a way of its own": {METRICS},
    "has the name of one of EasyEdit's own": set(HOST_PROMISES),
    "has settings that name another algorithm": set(HOST_PROMISES),
}


@pytest.fixture(scope="module", params=HOSTS)
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What ``within_host.py`` found in one EasyEdit, and what it printed."""
    results = tmp_path_factory.mktemp(request.param) / "results.json"
    output = run_in_host(request.param, SCRIPT, str(results))
    return json.loads(results.read_text()) | {"output": output}


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_every_algorithm_keeps_every_promise_within_easyedit(name: str, outcomes: dict) -> None:
    assert outcomes["algorithms"][name] == []


@pytest.mark.long
@EACH_HOST
def test_every_algorithm_keeps_every_promise_within_easyedit_on_each_form_of_weights(host: str, tmp_path: Path) -> None:
    run_in_host(host, SCRIPT, str(tmp_path / "results.json"), "--all")
    found = json.loads((tmp_path / "results.json").read_text())["algorithms"]
    assert found == {name: [] for name in ALGORITHMS}


@pytest.mark.parametrize("toy", KEEPS_ALL, ids=lambda toy: toy.replace(" ", "_"))
def test_all_promises_are_kept_by_an_algorithm_that(toy: str, outcomes: dict) -> None:
    assert outcomes["toys"][toy] == {}


@pytest.mark.parametrize("toy", BREAKS, ids=lambda toy: toy.replace(" ", "_"))
def test_a_promise_is_found_broken_within_easyedit_where_an_algorithm(toy: str, outcomes: dict) -> None:
    assert outcomes["toys"][toy].keys() == BREAKS[toy]


def test_every_promise_within_easyedit_is_shown_to_break() -> None:
    by_some = [promises for promises in BREAKS.values() if promises != set(HOST_PROMISES)]
    assert set().union(*by_some) == set(HOST_PROMISES)


def test_a_checked_algorithm_is_not_left_in_the_table(outcomes: dict) -> None:
    assert set(outcomes["table"]) == set(ALGORITHMS)


def test_checking_within_easyedit_prints_nothing(outcomes: dict) -> None:
    assert outcomes["output"] == ""


def test_metrics_are_compared_down_to_each_kind_of_probe() -> None:
    metrics = [{"post": {"rewrite_acc": [1.0], "locality": {"near_acc": [0.5]}}, "time": 3.0}]
    assert keys(metrics) == keys([{"post": {"rewrite_acc": [0.0], "locality": {"near_acc": [1.0]}}, "time": 1}])
    assert keys(metrics) != keys([{"post": {"rewrite_acc": [1.0], "locality": {"far_acc": [0.5]}}, "time": 3.0}])
    assert keys(metrics) != keys([{"post": {"locality": {"near_acc": [0.5]}}, "time": 3.0}])


@pytest.fixture
def no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no EasyEdit, and an algorithm that keeps no promise within one would be found out."""

    def missing() -> None:
        raise HostNotFoundError("there is none")

    monkeypatch.setattr(conformance, "host_info", missing)
    monkeypatch.setattr(conformance, "register", missing)
    monkeypatch.setattr(conformance, "PROMISES", {})
    monkeypatch.setattr(conformance, "HOST_PROMISES", {"all is well": lambda case: 1 / 0})


@pytest.mark.usefixtures("no_host")
def test_without_easyedit_the_promises_within_it_are_left_out_unless_asked_for() -> None:
    check_algorithm(ALGORITHMS["LoRA-BF"])
    with pytest.raises(HostNotFoundError):
        check_algorithm(ALGORITHMS["LoRA-BF"], host=True)


@pytest.mark.usefixtures("no_host")
def test_with_easyedit_the_promises_within_it_are_checked_unless_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "host_info", lambda: "EasyEdit release 1")
    monkeypatch.setattr(conformance, "register", lambda: None)
    with pytest.raises(ConformanceError, match=r"all is well \["):
        check_algorithm(ALGORITHMS["LoRA-BF"])
    check_algorithm(ALGORITHMS["LoRA-BF"], host=False)
