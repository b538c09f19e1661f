"""What every algorithm promises within EasyEdit's ``BaseEditor``, on whichever EasyEdit there is.

Whether edits stay is said in each EasyEdit's own way: the release restores with ``keep_original_weight=True`` and
otherwise lets edits stay; head restores unless ``sequential_edit=True``.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import copy, deepcopy
from functools import wraps
from inspect import signature
from typing import Any

import torch

from easyedit_ice.easyedit import base_editor, import_easyeditor
from easyedit_ice.edit.registry import ALGORITHMS, Algorithm
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.cases import Case, coming_out, raising, require, state, unchanged
from easyedit_ice.testing.tiny_models import FACTS

HOST_PROMISES: dict[str, Callable[[Case], None]] = {}
BARE_FACTS = [{key: fact[key] for key in ("prompt", "target_new", "ground_truth", "subject")} for fact in FACTS]
"""The facts without their probes, as ``batch_edit`` of every EasyEdit takes them."""


def host_promise(check: Callable[[Case], None]) -> Callable[[Case], None]:
    """Add a check to :data:`HOST_PROMISES`; while it runs, EasyEdit knows the algorithm and prints nothing."""

    @wraps(check)
    def run(case: Case) -> None:
        with _listed(case.spec), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            check(case)

    HOST_PROMISES[check.__name__.replace("_", " ")] = run
    return run


@host_promise
def base_editor_restores_every_bit_after_each_edit(case: Case) -> None:
    """And all else about the model, where restoring is asked for."""
    editor = _editor(case)
    with unchanged(case):
        _edit(editor, FACTS, stay=False)


@host_promise
def edits_of_base_editor_add_up_where_they_stay(case: Case) -> None:
    """To the very bits that solving and committing one after the other gives."""
    expected = case.twin()
    for fact in FACTS:
        expected.solve(fact).commit(expected.model)
    _edit(_editor(case), FACTS, stay=True)
    require(state(case.model) == state(expected.model), "edits that stay are not those of the facts, one after another")


@host_promise
def base_editor_restores_every_bit_after_a_batch(case: Case) -> None:
    """If the algorithm is batchable."""
    if case.spec.batchable:
        editor = _editor(case, batch_size=len(FACTS))
        with unchanged(case):
            _batch_edit(editor, stay=False)


@host_promise
def a_batch_of_base_editor_is_solved_together(case: Case) -> None:
    """If the algorithm is batchable."""
    if case.spec.batchable:
        expected = case.twin()
        expected.solve(*BARE_FACTS).commit(expected.model)
        _batch_edit(_editor(case, batch_size=len(FACTS)), stay=True)
        require(state(case.model) == state(expected.model), "a batch that stays is not the update of its facts")


@host_promise
def an_exception_within_base_editor_leaves_the_model_as_it_was(case: Case) -> None:
    """Wherever in the middle of the algorithm's work it strikes."""
    _interrupted(case, RuntimeError)


@host_promise
def an_interrupt_within_base_editor_leaves_the_model_as_it_was(case: Case) -> None:
    """Ctrl-C, likewise."""
    _interrupted(case, KeyboardInterrupt)


@host_promise
def metrics_have_the_keys_of_easyedits_own_methods(case: Case) -> None:
    """Down to each kind of probe; EasyEdit's FT edits the same fact on the same model."""
    ours = keys(_edit(_editor(case), FACTS[:1], stay=False))
    theirs = keys(_edit(_own_editor(case.twin()), FACTS[:1], stay=False))
    require(ours == theirs, f"the metrics have the keys {ours}, and those of EasyEdit's FT {theirs}")


def keys(metrics: Any) -> Any:
    """The keys of nested metrics, without their values."""
    if isinstance(metrics, Mapping):
        return {key: keys(value) for key, value in metrics.items() if key != "requested_rewrite"}
    if isinstance(metrics, list) and metrics and isinstance(metrics[0], Mapping):
        return [keys(metric) for metric in metrics]
    return None


def _editor(case: Case, batch_size: int = 1) -> Any:
    require(
        case.hparams.alg_name == case.spec.name,
        f"EasyEdit finds algorithms by alg_name, which is {case.hparams.alg_name!r} and not {case.spec.name!r}",
    )
    hparams: Any = copy(case.hparams)
    hparams.model_name, hparams.batch_size = (case.model, case.tok), batch_size
    hparams.device = _for_easyedit(case.device)
    return base_editor().from_hparams(hparams)


def _for_easyedit(device: str) -> int | str:
    """A device as EasyEdit's settings have it: a GPU by its number."""
    return "cpu" if device == "cpu" else torch.device(device).index


def _own_editor(case: Case) -> Any:
    """An editor for EasyEdit's FT, with a single step."""
    projection = ModelAnatomy(case.model).match(["mlp.out"], [0])[0]
    settings = {
        "alg_name": "FT",
        "model_name": (case.model, case.tok),
        "device": _for_easyedit(case.device),
        "layers": [0],
        "rewrite_module_tmp": projection.name,
        "num_steps": 1,
        "lr": 1e-4,
        "weight_decay": 0,
        "batch_size": 1,
        "objective_optimization": "prompt_last",
    }
    kind = import_easyeditor().FTHyperParams
    fields = signature(kind).parameters.values()
    unused = {field.name: None for field in fields if field.default is field.empty}
    names = {field.name for field in fields}
    return base_editor().from_hparams(kind(**unused | {key: settings[key] for key in settings.keys() & names}))


def _edit(editor: Any, facts: Sequence[Mapping[str, Any]], *, stay: bool) -> list[dict[str, Any]]:
    """Edit one fact after the other; their metrics."""
    facts = deepcopy(facts)
    probes = {
        f"{section}_inputs": {
            kind: {part: [fact[section][kind][part] for fact in facts] for part in ("prompt", "ground_truth")}
            for kind in facts[0][section]
        }
        for section in ("locality", "portability")
    }
    rephrases = [fact["rephrase_prompt"] for fact in facts]
    metrics: list[dict[str, Any]]
    metrics, _, _ = editor.edit(**_lists(facts), rephrase_prompts=rephrases, **probes, **_mode(editor, stay))
    return metrics


def _batch_edit(editor: Any, *, stay: bool) -> None:
    editor.batch_edit(**_lists(BARE_FACTS), **_mode(editor, stay))


def _lists(facts: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    return {
        name: [fact[key] for fact in facts]
        for name, key in (
            ("prompts", "prompt"),
            ("target_new", "target_new"),
            ("ground_truth", "ground_truth"),
            ("subject", "subject"),
        )
    }


def _mode(editor: Any, stay: bool) -> dict[str, bool]:
    head = "sequential_edit" in signature(editor.edit).parameters
    return {"verbose": False} | ({"sequential_edit": stay} if head else {"keep_original_weight": not stay})


def _interrupted(case: Case, error: type[BaseException]) -> None:
    for moment in case.moments():
        fresh = case.twin()
        editor = _editor(fresh)
        editor.apply_algo = _struck(editor, error, moment)
        with unchanged(fresh), coming_out(error):
            _edit(editor, FACTS[:1], stay=False)


def _struck(editor: Any, error: type[BaseException], moment: int) -> Callable[..., Any]:
    """The editor's algorithm, with an error at a forward pass of its own; EasyEdit's evaluation is not hit."""
    apply = editor.apply_algo

    def struck(*args: Any, **options: Any) -> Any:
        with raising(editor.model, error, moment):
            return apply(*args, **options)

    return struck


@contextmanager
def _listed(spec: Algorithm) -> Iterator[None]:
    """The algorithm is in the table, if only for now."""
    ours = spec.name in ALGORITHMS
    ALGORITHMS.add(spec)
    try:
        yield
    finally:
        if not ours:
            ALGORITHMS.remove(spec.name)
