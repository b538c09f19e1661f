"""Names that end nearly as a subject does: which they are, and that an edit leaves them alone."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice import factworld
from easyedit_ice.data import to_requests
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams
from easyedit_ice.editors.closed_form import near_subjects
from easyedit_ice.editors.closed_form.near_subjects import near_keys, near_rows, near_tokens
from easyedit_ice.editors.closed_form.subject_rows import fact_rows
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.reading import at_last_token

EACH = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)


@pytest.fixture(scope="module")
def embedded():
    return factworld.load()


@pytest.fixture(scope="module")
def requests() -> list[EditRequest]:
    return EditRequest.prepare(to_requests(factworld.records("dev")[:3]))


def test_they_are_the_prompt_up_to_the_subject_with_another_token_at_its_end(embedded, requests) -> None:
    model, tok = embedded
    row = fact_rows(tok, requests[0], ("",)).stated[0]
    rows = list(near_rows(model, tok, requests[:1], 8))
    assert len(rows) == len(set(rows)) == 8
    assert all(near[:-1] == row.before and near[-1] != row.ids[row.at] for near in rows)


def test_the_tokens_have_the_most_alike_embeddings_and_neither_the_same_letters_nor_the_same_word(embedded) -> None:
    model, tok = embedded
    table = model.get_input_embeddings().weight
    cosines = torch.cosine_similarity(table - table.mean(0), table[100:101] - table.mean(0))
    found = near_tokens(model, tok, 100, 12, set())
    assert cosines[found].tolist() == sorted(cosines[found].tolist(), reverse=True)
    letters = [tok.decode([token]).strip().lower() for token in (100, *found)]
    assert len(set(letters)) == 13
    assert "" not in letters
    assert not any(text.startswith(letters[0][:4]) for text in letters[1:])
    assert not set(found) & set(tok.all_special_ids)
    assert near_tokens(model, tok, 100, 5, {found[0]}) == found[1:6]


def test_embeddings_are_compared_in_parts_with_the_same_outcome(embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = near_tokens(*embedded, 50, 8, set())
    monkeypatch.setattr(near_subjects, "_ROWS", 7)
    assert near_tokens(*embedded, 50, 8, set()) == whole


def test_the_end_of_no_subject_of_a_batch_is_kept_as_it_was(embedded, requests) -> None:
    model, tok = embedded
    ends = [row.ids[row.at] for row in (fact_rows(tok, request, ("",)).stated[0] for request in requests)]
    for asked in (requests, requests[:1]):
        rows = list(near_rows(model, tok, asked, 24))
        assert not {row[-1] for row in rows} & set(ends[: len(asked)])


def test_of_many_facts_fewer_names_are_looked_at(embedded, requests) -> None:
    model, tok = embedded
    name = "transformer.h.2.mlp.c_proj"
    assert len(near_keys(model, tok, requests, [name], 4)[name]) == 12
    assert len(near_keys(model, tok, requests * 200, [name], 4)[name]) <= 256
    assert near_keys(model, tok, requests, [name], 0) == {}


def test_the_ends_of_facts_that_are_not_looked_at_are_left_alone_as_well(embedded, requests) -> None:
    model, tok = embedded
    many = requests[:1] * 299
    (nearest,) = {row[-1] for row in near_rows(model, tok, many, 1)}
    name = tok.decode([nearest]).strip()
    fact = {"prompt": f"Long ago {name} lived in", "subject": name, "target_new": "Brethdale"}
    (last,) = EditRequest.prepare([fact])
    row = fact_rows(tok, last, ("",)).stated[0]
    assert row.ids[row.at] == nearest
    assert nearest not in {row[-1] for row in near_rows(model, tok, [*many, last], 1)}


@EACH
def test_more_than_there_are_tokens_can_be_asked_for(shape) -> None:
    update = solve(shape.build(), tokenizer(), FACTS[:1], FastMEMITHyperParams(layers=[0], near_tokens=100_000))
    assert all(delta.matrix().isfinite().all() for delta in update.deltas.values())


def test_an_edit_writes_less_for_such_names_and_as_much_for_its_own(embedded, requests) -> None:
    model, tok = embedded
    before, name = state(model), "transformer.h.2.mlp.c_proj"
    settings = {"layers": [2], "mom2_dataset": "factworld"}
    own = fact_rows(tok, requests[0], ("",)).stated[0]
    rows = [(*own.before, own.ids[own.at]), *near_rows(model, tok, requests[:1], 32)]
    keys = at_last_token(model, rows, name, "in")
    shares = {}
    for count in (0, 32):
        hparams = FastMEMITHyperParams(**settings, near_tokens=count)
        wrote = (keys @ solve(model, tok, requests[:1], hparams).deltas[name].matrix().T).norm(dim=1)
        shares[count] = (wrote[1:] / wrote[0]).square().mean().sqrt()
    assert shares[32] < 0.5 * shares[0]
    assert state(model) == before
