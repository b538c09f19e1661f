"""What contexts add to a block's output."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.closed_form import contrast as module
from easyedit_ice.editors.closed_form.contrast import contrast, old_answers, read, taught
from easyedit_ice.editors.closed_form.outcome import stated
from easyedit_ice.editors.gradient.contexts import filled
from easyedit_ice.testing.tiny_models import FACTS, tokenizer
from easyedit_ice.text.rows import prefix_ids

PROJECTION, BLOCK = "transformer.h.0.mlp.c_proj", "transformer.h.0"
WORDINGS = ("{fact}. ", "New fact: {fact}. ")
REQUESTS = tuple(EditRequest.from_dict(fact) for fact in FACTS)


def _taught(request: EditRequest, old: str | None = None, wordings=WORDINGS, longest=None):
    return taught(tokenizer(), request, request.ground_truth if old is None else old, wordings, filled, longest)


@torch.no_grad()
def _ends(model, text: str, target: tuple[int, ...]) -> torch.Tensor:
    """What the block returns before each token of the target."""
    ids = torch.tensor([[*prefix_ids(tokenizer(), text), *target]])
    return model(ids, output_hidden_states=True).hidden_states[1][0, -len(target) - 1 : -1]


def test_it_is_the_difference_between_the_new_fact_and_the_old_answer_in_the_same_words(model) -> None:
    request = REQUESTS[2]
    fact = _taught(request)
    found = contrast(model, [fact], PROJECTION, BLOCK)
    target = fact.alone.predicted
    differences = [
        _ends(model, filled(wording, request) + request.prompt, target)
        - _ends(model, filled(wording, replace(request, target_new="Sarn")) + request.prompt, target)
        for wording in WORDINGS
    ]
    torch.testing.assert_close(found.residuals, torch.stack(differences).mean(0), rtol=1e-3, atol=1e-4)
    assert found.spans == (len(target),)


def test_facts_stand_one_after_the_other_each_as_if_alone(model) -> None:
    facts = [_taught(request) for request in REQUESTS]
    together = contrast(model, facts, PROJECTION, BLOCK)
    alone = [contrast(model, [fact], PROJECTION, BLOCK) for fact in facts]
    assert together.spans == sum((own.spans for own in alone), ())
    torch.testing.assert_close(together.residuals, torch.cat([own.residuals for own in alone]), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(together.keys, torch.cat([own.keys for own in alone]), rtol=1e-3, atol=1e-4)


def test_what_is_read_of_a_batch_at_a_time_is_bounded_by_tokens(model, monkeypatch) -> None:
    facts = [_taught(request) for request in REQUESTS]
    at_once = contrast(model, facts, PROJECTION, BLOCK)
    groups: list[int] = []

    def watched(model, rows, name, side, together=None):
        if side == "out":
            groups.append(len(rows))
        return read(model, rows, name, side, together)

    monkeypatch.setattr(module, "read", watched)
    in_parts = contrast(model, facts, PROJECTION, BLOCK, together=1)
    assert groups == [2 * len(fact.pairs) for fact in facts]
    torch.testing.assert_close(in_parts.residuals, at_once.residuals, rtol=1e-3, atol=1e-4)


def test_keys_are_what_the_projection_reads_without_a_context(model) -> None:
    fact = _taught(REQUESTS[0])
    found = contrast(model, [fact], PROJECTION, BLOCK)
    torch.testing.assert_close(found.keys, read(model, [fact.alone], PROJECTION, "in"))


def test_a_model_that_does_not_follow_its_context_is_found_out(model) -> None:
    request = REQUESTS[0]
    assert contrast(model, [_taught(request)], PROJECTION, BLOCK).followed == (False,)


def test_wordings_that_are_not_followed_do_not_count_where_another_is(model, monkeypatch) -> None:
    fact = _taught(REQUESTS[0])
    monkeypatch.setattr(module, "rows_right", lambda model, rows: [False, True][-len(rows) :])
    found = contrast(model, [fact], PROJECTION, BLOCK)
    second = contrast(model, [replace(fact, pairs=fact.pairs[1:])], PROJECTION, BLOCK)
    assert found.followed == (True,)
    torch.testing.assert_close(found.residuals, second.residuals, rtol=1e-3, atol=1e-4)


def test_contexts_that_the_model_has_no_room_for_are_left_out(model) -> None:
    whole = _taught(REQUESTS[0])
    short, long = (max(len(row.ids) for row in pair) for pair in whole.pairs)
    assert len(_taught(REQUESTS[0], longest=short).pairs) == 1 < len(_taught(REQUESTS[0], longest=long).pairs)
    nothing = contrast(model, [_taught(REQUESTS[0], longest=1)], PROJECTION, BLOCK)
    assert nothing.followed == (False,)
    assert not nothing.residuals.any()


def test_the_old_answer_is_the_records(model) -> None:
    assert old_answers(model, tokenizer(), REQUESTS[:2]) == ["Brinn", "nurse"]


@pytest.mark.parametrize("missing", [None, "", "<|endoftext|>"])
def test_without_one_the_model_writes_it(model, missing: str | None) -> None:
    found = old_answers(model, tokenizer(), [replace(REQUESTS[0], ground_truth=missing), REQUESTS[1]])
    assert found == [*old_answers(model, tokenizer(), [replace(REQUESTS[0], ground_truth=None)]), "nurse"]
    assert "<|endoftext|>" not in found[0]


def test_an_answer_ends_where_its_sentence_does(model, monkeypatch) -> None:
    monkeypatch.setattr(module, "write", lambda *args, **kwargs: [tuple(tokenizer().encode(" Tarn, and Lodel."))])
    assert old_answers(model, tokenizer(), [replace(REQUESTS[0], ground_truth=None)]) == ["Tarn"]


def test_how_far_a_target_leads_is_told_of_its_least_sure_token(model) -> None:
    found = stated(model, tokenizer(), REQUESTS)
    assert all((lead >= 0) == right for lead, right in zip(found.leads, found.likeliest, strict=True))
