"""Watch EasyEdit's BaseEditor edit the embedded model and restore it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from easyedit_ice.cli.console import quiet, table, whole_number
from easyedit_ice.registry import ALGORITHMS

if TYPE_CHECKING:
    from easyedit_ice.evaluation import Observation, Question

METHODS = ("LoRA-BF", "ICE-LoRA")
RELATIONS = ("residence", "employer", "headquarters", "capital")
MOST_FACTS = 40
SECTIONS = ("rewrite", "rephrase", "portability", "locality")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    count = whole_number(1, MOST_FACTS)
    parser.add_argument(
        "--facts", type=count, default=len(RELATIONS), metavar="N", help=f"how many facts to edit, 1 to {MOST_FACTS}"
    )


def run(arguments: argparse.Namespace) -> int:
    """Edit, print, restore; the status is 1 if anything did not come back to the same bits."""
    from easyedit_ice import world
    from easyedit_ice.data import read_records, to_requests

    requests = to_requests(read_records(_choose(world.records("test"), arguments.facts)))
    print(f"The embedded model knows an invented world. Facts to edit: {len(requests)}\n")
    print(table(("prompt", "true", "new"), [(r["prompt"], r["ground_truth"], r["target_new"]) for r in requests]))
    print(flush=True)
    results = []
    for method in METHODS:
        print(f"Editing with {method}, one by one and then all together ...", end=" ", flush=True)
        results.append(_edit(method, requests))
        print(f"{results[-1].seconds:.0f} s")

    print("\n1. One by one, each undone before the next: EasyEdit's BaseEditor and its scores")
    print("   (share of right tokens, per cent; locality: of unchanged ones)\n")
    before = results[0].host_scores["pre"]
    measures = sorted(results[0].host_scores["post"], key=_place)
    rows = [
        (measure, before.get(measure, "-"), *(result.host_scores["post"][measure] for result in results))
        for measure in measures
    ]
    print(table(("measure", "before", *METHODS), rows))

    print("\n2. All together: what the model then writes by itself")
    print("   (+ right, - wrong; locality: + unchanged, - changed)\n")
    print(table(("question", "measure", "before", *METHODS), sorted(_answers(results), key=lambda row: _place(row[1]))))

    print("\n3. Undone\n")
    for result in results:
        outcome = "is back to the same bits" if result.restored else "did NOT come back"
        print(f"{result.method}: every one of the model's {result.tensors} tensors {outcome}.")
    return int(not all(result.restored for result in results))


@dataclass(frozen=True)
class _Result:
    method: str
    host_scores: dict[str, dict[str, str]]
    questions: Sequence[Question]
    before: Sequence[Observation]
    after: Sequence[Observation]
    tensors: int
    restored: bool
    seconds: float


def _place(measure: str) -> int:
    return SECTIONS.index(measure.partition(".")[0])


def _choose(records: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Records of different relations and subjects, those with the most kinds of probes first."""
    ranked = sorted(records, key=lambda record: -len(record["portability"]) - len(record["locality"]))
    chosen: list[dict[str, Any]] = []
    for relation in islice(cycle(RELATIONS), count):
        taken = {record["subject"] for record in chosen}
        chosen.append(next(r for r in ranked if r["relation"] == relation and r["subject"] not in taken))
    return chosen


def _edit(method: str, requests: Sequence[dict[str, Any]]) -> _Result:
    """Edit one by one through BaseEditor, then all together; every time the model is restored."""
    from easyedit_ice import EditRequest, solve
    from easyedit_ice.evaluation import observe, questions
    from easyedit_ice.host import base_editor

    started = time.perf_counter()
    hparams = ALGORITHMS[method].hparams_class.from_hparams(f"{method}/gpt2-factworld")
    with quiet():
        editor = base_editor().from_hparams(hparams)
        model, tok = editor.model, editor.tok
        original = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        metrics, *_ = editor.edit_requests(list(requests), keep_original_weight=True, verbose=False)

        facts = EditRequest.prepare(requests)
        asked = [questions(fact) for fact in facts]
        before = observe(model, tok, asked)
        update = solve(model, tok, facts, hparams)
        update.commit(model)
        after = observe(model, tok, asked)
        update.revert(model)
    state = model.state_dict()
    return _Result(
        method=method,
        host_scores={phase: _host_means([metric[phase] for metric in metrics]) for phase in ("pre", "post")},
        questions=list(chain(*asked)),
        before=list(chain(*before)),
        after=list(chain(*after)),
        tensors=len(state),
        restored=state.keys() == original.keys() and all(state[name].equal(old) for name, old in original.items()),
        seconds=time.perf_counter() - started,
    )


def _host_means(metrics: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Mean over facts of each of EasyEdit's accuracies, those of a section's kinds under ``section.kind``."""
    from easyedit_ice.evaluation.host_scores import by_measure

    found: dict[str, list[float]] = {}
    for metric in metrics:
        for measure, value in by_measure({"portability": {}, "locality": {}} | metric).items():
            found.setdefault(measure, []).append(value)
    return {measure: f"{100 * np.mean(values):.1f}" for measure, values in found.items()}


def _answers(results: Sequence[_Result]) -> list[tuple[str, ...]]:
    """One question of each measure, with each method's answer; a check mark where it is the right one."""
    rows: dict[str, tuple[str, ...]] = {}
    for index, question in enumerate(results[0].questions):
        old = results[0].before[index].generated
        right = {old} if question.keeps else set(question.aliases)
        answers = [result.after[index].generated for result in results]
        marked = [f"{answer} {'+' if answer in right else '-'}" for answer in answers]
        rows.setdefault(question.measure, (question.prompt, question.measure, old, *marked))
    return list(rows.values())
