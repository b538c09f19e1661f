"""What an edit is trained towards."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient import in_context as module
from easyedit_ice.editors.gradient.adapters import LowRankAdapter
from easyedit_ice.editors.gradient.in_context import InContext, InContextSettings, TargetInContext, Texts
from easyedit_ice.editors.gradient.objectives import Edit, FineTuning, Locality, fact_row
from easyedit_ice.editors.gradient.openings import Opening
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.rows import Row

REQUESTS = EditRequest.prepare(FACTS)
CONTEXTS = [[f"It is so: {r.prompt}{r.completion}. ", f"{r.prompt}{r.completion}. "] for r in REQUESTS]
OPENINGS = [
    [Opening(context + request.statement, request.statement) for context in own]
    for request, own in zip(REQUESTS, CONTEXTS, strict=True)
]
END = tokenizer().eos_token_id


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _in_context(model, openings=OPENINGS, **changes):
    texts = Texts("in context", changes.pop("weight", 1.0), changes.pop("samples", 3), 6)
    disabled = changes.pop("disabled", nullcontext)
    settings = InContextSettings(**{"ice_rows": 3, "teacher": "dynamic"} | changes)
    return InContext(texts, model, tokenizer(), openings, settings, disabled)


def _target_in_context(longest=None):
    model = SHAPES[0].build()
    if longest is not None:
        model.config.n_positions = longest
    edit = Edit(model, tokenizer(), REQUESTS, False, (), 0)
    return TargetInContext(edit, CONTEXTS, 3.0)


def _teacher(static) -> str:
    return "static" if static else "dynamic"


def _text(ids) -> str:
    return tokenizer().decode(ids)


def test_a_facts_row_is_its_prompt_with_the_target_predicted():
    row = fact_row(tokenizer(), REQUESTS[0], append_eos=False)
    assert _text(row.ids) == "The capital of Avaria is Lodel"
    assert _text(row.predicted) == " Lodel"


def test_the_end_of_text_is_predicted_after_the_target_on_request():
    plain = fact_row(tokenizer(), REQUESTS[0], append_eos=False)
    ended = fact_row(tokenizer(), REQUESTS[0], append_eos=True)
    assert ended == Row((*plain.ids, END), plain.span + 1)


def test_a_context_goes_before_the_prompt_and_is_not_predicted():
    row = fact_row(tokenizer(), REQUESTS[0], append_eos=False, context="So it is. ")
    assert _text(row.ids) == "So it is. The capital of Avaria is Lodel"
    assert _text(row.predicted) == " Lodel"


@pytest.mark.parametrize("append_eos", [False, True])
def test_a_prefix_that_leaves_no_room_for_a_fact_is_left_out_and_the_bare_fact_stays(append_eos):
    def texts(longest):
        objective = FineTuning(
            tokenizer(), REQUESTS[:1], append_eos=append_eos, prefixes=("So it is. ", "It is. "), longest=longest
        )
        terms = objective.terms([0], 0)
        assert sum(term.weight for term in terms) == pytest.approx(1.0)
        return [_text(term.row.ids).removesuffix("<|endoftext|>") for term in terms]

    bare, *after = (prefix + "The capital of Avaria is Lodel" for prefix in ("", "So it is. ", "It is. "))
    read = [len(tokenizer().encode(text)) - 1 + append_eos for text in after]
    assert texts(None) == texts(max(read)) == [bare, *after]
    assert texts(max(read) - 1) == [bare, after[1]]
    assert texts(1) == [bare]


def test_a_context_that_leaves_no_room_for_a_fact_is_left_out():
    objective = _target_in_context(longest=1)
    assert objective.terms([0, 1, 2], 0) == []


def test_fine_tuning_weighs_each_fact_as_one_and_has_no_teacher():
    terms = FineTuning(tokenizer(), REQUESTS, append_eos=False).terms([2, 0], 0)
    assert [(term.fact, term.weight, term.teacher) for term in terms] == [(2, 1.0, None), (0, 1.0, None)]
    assert [_text(term.row.predicted) for term in terms] == [" Ommer river", " Lodel"]


def test_the_targets_loss_in_context_is_shared_among_the_contexts():
    objective = _target_in_context()
    terms = objective.terms([1], 0)
    assert [_text(term.row.ids) for term in terms] == [
        f"{context}{REQUESTS[1].prompt}{REQUESTS[1].completion}" for context in CONTEXTS[1]
    ]
    assert {_text(term.row.predicted) for term in terms} == {" baker"}
    assert [(term.fact, term.weight) for term in terms] == [(1, 1.5)] * 2


def test_the_student_reads_the_teachers_text_without_the_context(model):
    terms = _in_context(model).terms([0, 1, 2], 0)
    assert {term.fact for term in terms} == {0, 1, 2}
    for term in terms:
        said = REQUESTS[term.fact].prompt + REQUESTS[term.fact].completion
        assert term.row.predicted == term.teacher.predicted
        assert _text(term.row.ids).startswith(said)
        assert any(_text(term.teacher.ids).startswith(context + said) for context in CONTEXTS[term.fact])


def test_a_facts_texts_share_the_weight(model):
    terms = _in_context(model, weight=3.0).terms([0, 1, 2], 0)
    for fact in range(3):
        assert sum(term.weight for term in terms if term.fact == fact) == pytest.approx(3.0)


@pytest.mark.parametrize("static", [True, False])
def test_the_terms_tell_whether_the_model_before_the_edit_teaches(model, static):
    assert {term.static for term in _in_context(model, teacher=_teacher(static)).terms([0, 1], 0)} == {static}


def test_a_static_teacher_writes_as_before_the_edit_and_a_dynamic_one_as_the_model_is():
    model = SHAPES[2].build()
    adapter = LowRankAdapter(model, ModelAnatomy(model).match(["all"]), rank=2, alpha=2.0, dropout=0.0)

    def texts(static, shift):
        with torch.no_grad():
            for parameter in adapter.parameters():
                parameter.fill_(shift)
        objective = _in_context(model, teacher=_teacher(static), disabled=adapter.disabled, top_k=1)
        return [term.row for term in objective.terms([0], 0)]

    assert texts(True, 0.0) == texts(True, 0.3) == texts(False, 0.0) != texts(False, 0.3)


def test_without_a_context_teacher_and_student_read_the_same(model):
    openings = [[Opening(request.statement, request.statement)] for request in REQUESTS]
    terms = _in_context(model, openings).terms([0, 1, 2], 0)
    assert [term.row for term in terms] == [term.teacher for term in terms]


def test_a_step_looks_at_some_of_the_texts_in_turn(model):
    objective = _in_context(model, samples=4, ice_rows=2)
    first, second, third = ([(t.row, t.weight) for t in objective.terms([0], step)] for step in range(3))
    assert {weight for _, weight in first} == {0.5}
    assert first == third != second


@pytest.mark.parametrize(("every", "drawn_at"), [(0, [0]), (1, [0, 1, 2, 3, 4]), (2, [0, 2, 4])])
def test_texts_are_drawn_anew_every_so_many_steps(model, monkeypatch, every, drawn_at):
    steps, draw = [], module.sample
    objective = _in_context(model, resample_every=every)
    for step in range(5):
        monkeypatch.setattr(module, "sample", lambda *a, step=step, **k: steps.append(step) or draw(*a, **k))
        objective.terms([0, 1], step)
    assert steps == drawn_at


def test_a_text_counts_only_from_behind_the_first_mention(model, monkeypatch):
    tok = tokenizer()
    written = [tuple(tok.encode(" of the river Sundray is the")), tuple(tok.encode(" of a baker"))]
    monkeypatch.setattr(module, "sample", lambda *a, **k: list(written))
    openings = [[Opening("So it is. The capital", "The capital", after="Sundray")]]
    (term,) = _in_context(model, openings, samples=2).terms([0], 0)
    assert _text(term.row.ids) == "The capital of the river Sundray is the"
    assert _text(term.row.predicted) == " is the"


def test_a_fact_for_which_nothing_was_written_has_no_terms(model, monkeypatch):
    monkeypatch.setattr(module, "sample", lambda model, tok, prefixes, **k: [()] * len(prefixes))
    assert _in_context(model).terms([0, 1, 2], 0) == []


ROWS = [Row((END, *range(first, first + 4)), 4) for first in (5, 15, 25, 35, 45)]


def _locality(rows, rows_per_step=2):
    return Locality(rows, weight=2.0, rows_per_step=rows_per_step)


def test_texts_out_of_scope_take_turns_and_share_the_weight():
    objective = _locality({None: ROWS})
    turns = [objective.shared_terms() for _ in range(5)]
    assert [term.row for terms in turns for term in terms] == [*ROWS, *ROWS]
    assert {(term.fact, term.weight) for terms in turns for term in terms} == {(None, 1.0)}


def test_the_model_before_the_edit_teaches_on_the_very_same_text():
    terms = _locality({None: ROWS, 0: ROWS}).terms([0], 0) + _locality({None: ROWS}).shared_terms()
    assert all(term.teacher == term.row and term.static for term in terms)


def test_fewer_texts_than_a_step_looks_at_are_not_repeated():
    terms = _locality({None: ROWS[:1]}, rows_per_step=4).shared_terms()
    assert [(term.row, term.weight) for term in terms] == [(ROWS[0], 2.0)]


def test_a_facts_own_surroundings_come_with_that_fact_alone():
    objective = _locality({0: ROWS[:2], 1: ROWS[2:4], 2: []})
    terms = objective.terms([1, 2], 0)
    assert [(term.fact, term.row) for term in terms] == [(1, ROWS[2]), (1, ROWS[3])]
    assert objective.shared_terms() == []
