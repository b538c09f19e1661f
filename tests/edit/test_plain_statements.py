"""How far a model moves on plain statements."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from odd_tokenizers import byte_level

from easyedit_ice.edit.plain_statements import KEPT, MEASURED, movement, said, statements
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.testing.tiny_models import tokenizer
from easyedit_ice.text import rows as rows_of_text
from easyedit_ice.text.rows import Row, predict


def _texts(rows):
    return [tokenizer().decode(row.ids) for row in rows]


def _about(fact):
    return EditRequest.from_dict(fact.request())


def test_a_statement_is_a_fact_with_its_true_answer_all_of_it_predicted_but_the_first_token(model):
    rows = statements(model, tokenizer(), MEASURED)
    assert _texts(rows) == [f"{fact.prompt} {fact.answer}." for fact in MEASURED]
    assert all(row.span == len(row.ids) - 1 for row in rows)


def test_what_is_measured_on_is_not_what_training_may_hold_on_to():
    assert MEASURED
    assert KEPT
    assert not Counter(MEASURED) & Counter(KEPT)


@pytest.mark.parametrize("fact", MEASURED, ids=[fact.prompt for fact in MEASURED])
def test_statements_that_an_edit_is_about_are_left_out(model, fact):
    told = _texts(statements(model, tokenizer(), MEASURED, [_about(fact)]))
    assert told
    assert not any(fact.subject in text or fact.prompt in text for text in told)


def test_a_fact_without_a_subject_leaves_out_what_answers_its_prompt(model):
    fact = MEASURED[0]
    request = EditRequest.from_dict({"prompt": f"{fact.prompt} ", "target_new": fact.other})
    told = _texts(statements(model, tokenizer(), MEASURED, [request]))
    assert len(told) == len(MEASURED) - 1
    assert f"{fact.prompt} {fact.answer}." not in told


def test_statements_are_cut_to_the_models_context(model):
    model.config.max_position_embeddings = 5
    rows = statements(model, tokenizer(), MEASURED)
    assert {len(row.ids) for row in rows} == {6}  # the last token is predicted, and not read
    model.config.max_position_embeddings = 0
    assert statements(model, tokenizer(), MEASURED) == []


def test_statements_with_tokens_that_the_model_has_no_row_for_are_left_out(model):
    tok = byte_level()
    tok.add_tokens(["France"] + [f"Word{index}" for index in range(20)])
    assert tok.convert_tokens_to_ids("France") >= model.get_input_embeddings().num_embeddings
    told = [tok.decode(row.ids) for row in statements(model, tok, MEASURED)]
    assert told == [text for fact in MEASURED if "France" not in (text := f"{fact.prompt} {fact.answer}.")]


def test_a_tokenizer_that_makes_nothing_of_them_leaves_no_statement(model):
    class Mute:
        def encode(self, text, add_special_tokens=True):
            return []

    assert statements(model, Mute(), MEASURED) == []


def test_a_model_does_not_move_from_itself(model):
    rows = statements(model, tokenizer(), MEASURED)
    moved = movement(model, rows, said(model, rows))
    assert (moved.kl, moved.kept) == (0.0, 1.0)


def _changed(model):
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weight = model.transformer.h[0].mlp.c_proj.weight
        weight.add_(torch.randn_like(weight))


def test_movement_is_the_mean_divergence_of_each_token_and_the_share_of_likeliest_words_that_stay(model):
    rows = [Row((5, 6, 7), 2), Row((8, 9, 10, 11, 12), 4)]
    before, was = said(model, rows), predict(model, rows).log_probs
    _changed(model)
    now = predict(model, rows).log_probs
    expected = torch.nn.functional.kl_div(now, was, log_target=True, reduction="none").sum(-1).mean().item()
    moved = movement(model, rows, before)
    assert expected > 1e-3
    assert moved.kl == pytest.approx(expected, rel=1e-4)
    assert moved.kept == pytest.approx((was.argmax(-1) == now.argmax(-1)).float().mean().item())


def test_a_large_vocabulary_is_looked_at_a_few_statements_at_a_time_with_the_same_outcome(model, monkeypatch):
    rows = statements(model, tokenizer(), MEASURED)
    together = said(model, rows)
    monkeypatch.setattr(rows_of_text, "TOGETHER", 4 * 320 * 60)
    apart = said(model, rows)
    assert max(map(len, apart)) <= 60
    assert torch.allclose(torch.cat(apart), torch.cat(together), atol=1e-5)
    _changed(model)
    moved = movement(model, rows, apart)
    monkeypatch.undo()
    assert moved.kl == pytest.approx(movement(model, rows, together).kl, rel=1e-3)
