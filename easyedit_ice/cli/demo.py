"""Watch facts of a model being edited, what stays as it was, and the edits being undone."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from easyedit_ice.checkpoints.names import EMBEDDED
from easyedit_ice.cli.command_settings import MODEL_HELP, add_threads
from easyedit_ice.cli.console import table, whole_number, working
from easyedit_ice.cli.shown_facts import MOST_FACTS, shown_facts
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.usual_settings import usual_settings
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.threads import threads

if TYPE_CHECKING:
    from torch import Tensor, nn

    from easyedit_ice.data.easyedit_requests import RequestDict
    from easyedit_ice.evaluation import Observation, Question

SECTIONS = ("rewrite", "rephrase", "portability", "locality")
MOST_ROWS = 24
"""Of answers that are shown; of more questions, one of each measure."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--model", default=EMBEDDED, help=MODEL_HELP)
    parser.add_argument(
        "--facts",
        type=whole_number(1, MOST_FACTS),
        metavar="N",
        help=f"how many facts to edit, 1 to {MOST_FACTS}; by default 4 of the embedded world, or 1 real one. Several "
        "are edited one by one as well, by EasyEdit's BaseEditor",
    )
    parser.add_argument(
        "--algorithm", action="append", choices=tuple(ALGORITHMS), help="edit with this one; may be given several times"
    )
    add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    """Edit, print, restore; the status is 1 if anything did not come back to the same bits."""
    with threads(arguments.threads):
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from easyedit_ice.checkpoints.loading import load_model
    from easyedit_ice.easyedit.locate import REMEDY, find_host
    from easyedit_ice.edit.hparams import EditHyperParams

    with working():
        model, tok = load_model(EditHyperParams(model_name=arguments.model))
        shown = shown_facts(arguments.model, model, tok, arguments.facts)
    print(f"{shown.what} Facts to edit: {len(shown.requests)}\n")
    print(table(("prompt", "true", "new"), [(r["prompt"], r["ground_truth"], r["target_new"]) for r in shown.requests]))
    print(flush=True)
    several = len(shown.requests) > 1
    one_by_one = several and find_host() is not None
    how = ", one by one and then all together" if one_by_one else ""
    results = []
    for method in arguments.algorithm or shown.methods:
        print(f"Editing with {method}{how} ...", end=" ", flush=True)
        results.append(_edit(method, arguments.model, model, tok, shown.requests, one_by_one))
        print(f"{results[-1].seconds:.0f} s, {_counted(arguments.threads)}", flush=True)

    if one_by_one:
        _show_host_scores(results)
    elif several:
        print(f"\nEasyEdit's own scores are left out, since there is no EasyEdit: {REMEDY}")
    together = " after all edits together" if several else ""
    print(f"\nWhat the model writes by itself{together}")
    print("(+ right, - wrong; locality: + unchanged, - changed)\n")
    rows = sorted(_answers(results), key=lambda row: _place(row[1]))
    print(table(("question", "measure", "before", *(result.method for result in results)), rows))

    print("\nHow far plain statements move that no edit is about (update.info['drift'])\n")
    drift = [(result.method, f"{result.drift['kl']:.4f}", f"{result.drift['kept']:.0%}") for result in results]
    print(table(("method", "nats per token", "likeliest words kept"), drift))

    print("\nUndone\n")
    for result in results:
        outcome = "is back to the same bits" if result.restored else "did NOT come back"
        print(f"{result.method}: every one of the model's {result.tensors} tensors {outcome}.")
    return int(not all(result.restored for result in results))


def _counted(count: int) -> str:
    return f"{count} thread{'s' * (count != 1)}"


@dataclass(frozen=True)
class _Result:
    method: str
    host_scores: dict[str, dict[str, str]]
    questions: Sequence[Question]
    before: Sequence[Observation]
    after: Sequence[Observation]
    drift: Mapping[str, float]
    tensors: int
    restored: bool
    seconds: float


def _place(measure: str) -> int:
    return SECTIONS.index(measure.partition(".")[0])


def _edit(
    method: str, name: str, model: nn.Module, tok: Tokenizer, requests: Sequence[RequestDict], one_by_one: bool
) -> _Result:
    """Edit all facts together, and before that one by one through BaseEditor; every time the model is restored."""
    from easyedit_ice import EditRequest, solve
    from easyedit_ice.evaluation import observe, questions

    hparams = usual_settings(ALGORITHMS[method].hparams_class, name)
    original = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    facts = EditRequest.prepare(requests)
    asked = [questions(fact) for fact in facts]
    started = time.perf_counter()
    with working():
        scores = _by_base_editor(hparams, model, tok, requests) if one_by_one else {}
        before = observe(model, tok, asked)
        update = solve(model, tok, facts, hparams)
        update.commit(model)
        after = observe(model, tok, asked)
        update.revert(model)
    seconds = time.perf_counter() - started
    state = model.state_dict()
    return _Result(
        method=method,
        host_scores=scores,
        questions=list(chain(*asked)),
        before=list(chain(*before)),
        after=list(chain(*after)),
        drift=update.info["drift"],
        tensors=len(state),
        restored=state.keys() == original.keys() and all(_same(state[key], old) for key, old in original.items()),
        seconds=seconds,
    )


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same bits: 0.0 and -0.0 do not."""
    import torch

    return torch.equal(*(tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)))


def _by_base_editor(
    hparams: Any, model: nn.Module, tok: Tokenizer, requests: Sequence[RequestDict]
) -> dict[str, dict[str, str]]:
    """EasyEdit's scores, before and after each edit, of which each is undone before the next."""
    from easyedit_ice.easyedit import base_editor

    loaded = hparams.replace()
    loaded.model_name = (model, tok)
    editor = base_editor().from_hparams(loaded)
    metrics, *_ = editor.edit_requests(list(requests), keep_original_weight=True, verbose=False)
    return {phase: _host_means([metric[phase] for metric in metrics]) for phase in ("pre", "post")}


def _host_means(metrics: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Mean over facts of each of EasyEdit's accuracies, those of a section's kinds under ``section.kind``."""
    from easyedit_ice.evaluation.teacher_forced.host_scores import by_measure

    measures: dict[str, list[float]] = {}
    for metric in metrics:
        for measure, value in by_measure({"portability": {}, "locality": {}} | metric).items():
            measures.setdefault(measure, []).append(value)
    return {measure: f"{100 * np.mean(values):.1f}" for measure, values in measures.items()}


def _show_host_scores(results: Sequence[_Result]) -> None:
    print("\nOne by one, each undone before the next: EasyEdit's BaseEditor and its scores")
    print("(share of right tokens, per cent; locality: of unchanged ones)\n")
    before = results[0].host_scores["pre"]
    rows = [
        (measure, before.get(measure, "-"), *(result.host_scores["post"][measure] for result in results))
        for measure in sorted(results[0].host_scores["post"], key=_place)
    ]
    print(table(("measure", "before", *(result.method for result in results)), rows))


def _answers(results: Sequence[_Result]) -> list[tuple[str, ...]]:
    """Questions with each method's leading answer; a plus where it is as it shall be."""
    rows: list[tuple[str, ...]] = []
    measures = set()
    sample = len(results[0].questions) > MOST_ROWS
    for index, question in enumerate(results[0].questions):
        if sample and question.measure in measures:
            continue
        measures.add(question.measure)
        old = results[0].before[index].leading or ""
        new = [result.after[index].leading or "" for result in results]
        marked = [f"{answer} {'+' if _as_it_shall_be(question, old, answer) else '-'}" for answer in new]
        rows.append((question.prompt, question.measure, old, *marked))
    return rows


def _as_it_shall_be(question: Question, old: str, new: str) -> bool:
    """Whether an answer is a right one, or, where it shall stay, says what it said before."""
    from easyedit_ice.evaluation.leading_answer import leads_with, same_answer

    if not question.keeps:
        return leads_with(new, question.aliases)
    return same_answer(new, old) or all(leads_with(text, question.aliases) for text in (old, new))
