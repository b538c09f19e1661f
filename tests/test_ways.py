"""How many modules the settings of a solve, and the facts of a run, pass through: a way that a reader can follow."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from quick import CLOSED_FORM, FEW_STEPS, FEW_TEXTS
from runs import STREAM, configured

from easyedit_ice.bench.asking.fact_answers import Answers
from easyedit_ice.bench.asking.facts import Fact
from easyedit_ice.bench.running import one_run
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.sections import Section
from easyedit_ice.evaluation import Observation, Question
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

MAKING = {"__init__", "__post_init__", "__eq__", "__hash__", "check", "section", "replace", "to_dict"}
"""Where settings are made and checked, each by its class, and not passed on."""
SETTINGS = {"ICE-LoRA": FEW_STEPS | FEW_TEXTS, "GoRA": FEW_STEPS, "FastMEMIT": CLOSED_FORM}
A_FACT = (Fact, EditRequest, Question, Observation, Answers)


@contextmanager
def modules_given(wanted: Callable[[Any], bool], *, leaving_out: str = "") -> Iterator[set[str]]:
    """Modules of the package of which a function gets such a value, without all that one function calls."""
    modules: set[str] = set()
    within = 0

    def watch(frame: FrameType, event: str, _: Any) -> None:
        nonlocal within
        module, code = str(frame.f_globals.get("__name__")), frame.f_code
        if event not in ("call", "return") or not module.startswith("easyedit_ice."):
            return
        if code.co_name == leaving_out:
            within += 1 if event == "call" else -1
        elif event == "call" and not within and code.co_name not in MAKING and not code.co_name.startswith("<"):
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            if any(wanted(frame.f_locals.get(name)) for name in names):
                modules.add(module)

    sys.setprofile(watch)
    try:
        yield modules
    finally:
        sys.setprofile(None)


def is_of_a_fact(value: Any) -> bool:
    """Whether it is a fact in any of its shapes, what was answered, a line of the ledger, or a list of such."""
    if isinstance(value, dict):
        return "phase" in value or {"prompt", "target_new"} <= value.keys()
    if isinstance(value, (list, tuple)):
        return bool(value) and is_of_a_fact(value[0])
    return isinstance(value, A_FACT)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_of_a_solve_are_passed_to_fewer_than_15_modules(name: str):
    hparams = ALGORITHMS[name].hparams_class.from_dict(SETTINGS[name])
    with modules_given(lambda value: isinstance(value, Section)) as modules:
        solve(SHAPES[0].build(), tokenizer(), FACTS[1:2], hparams)
    assert "easyedit_ice.edit.apply" in modules
    assert len(modules) < 15, sorted(modules)


def test_the_facts_of_a_stream_are_passed_to_fewer_than_30_modules(tmp_path):
    with modules_given(is_of_a_fact, leaving_out="apply") as modules:
        one_run.run(
            configured(
                *STREAM, "evaluation=fast", "data.size=2", "algorithm.hparams.layers=[5]", "algorithm.hparams.rank=2"
            ),
            tmp_path / "run",
        )
    assert "easyedit_ice.bench.asking.lines" in modules
    assert len(modules) < 30, sorted(modules)
