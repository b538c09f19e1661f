"""Where a fact is looked up: at its subject's last token, and not at the first of a text if that can be helped."""

from __future__ import annotations

import pytest
import torch
from quick import CLOSED_FORM

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams
from easyedit_ice.editors.closed_form.near_subjects import near_rows
from easyedit_ice.editors.closed_form.subject_rows import fact_rows, looked_up
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.chat import Asking
from easyedit_ice.text.tokens import tokens

WORD = next(word for word in ("A", "I", "a", "the") if len(tokenizer().encode(word)) == 1)
SETTINGS = {**CLOSED_FORM, "mom2_adjustment": False, "context_template_length_params": [[3, 2]]}
PREFIXES = ("", "It is so. ", "As was said: ")
FIRST = EditRequest(f"{WORD} is a part of", "Lodel", subject=WORD)
LATER = EditRequest(f"Now {WORD} is a part of", "Lodel", subject=WORD)


def test_a_subject_behind_other_tokens_is_looked_up_in_one_place() -> None:
    assert looked_up(tokenizer(), LATER, PREFIXES) == (fact_rows(tokenizer(), LATER, PREFIXES),)


def test_a_subject_that_is_the_first_token_is_looked_up_one_later_and_at_itself_after_contexts() -> None:
    tok = tokenizer()
    bare, after = looked_up(tok, FIRST, PREFIXES)
    whole = fact_rows(tok, FIRST, PREFIXES)
    (row,) = bare.stated
    assert (row.ids, row.span) == (whole.stated[0].ids, whole.stated[0].span)
    assert row.at == 1
    assert row.predicted == whole.stated[0].predicted
    assert bare.essence.ids == row.ids[:2]
    assert after.stated == whole.stated[1:]
    assert tok.decode(after.essence.ids) == f"{PREFIXES[1]}{WORD}"
    assert all(one.at > 0 for part in (bare, after) for one in part.all)


def test_without_room_for_contexts_there_is_the_later_place_alone() -> None:
    (bare,) = looked_up(tokenizer(), FIRST, PREFIXES, longest=1)
    assert bare.stated[0].at == 1


def test_a_prompt_of_one_token_leaves_no_other_place() -> None:
    request = EditRequest(WORD, "Lodel", subject=WORD)
    assert looked_up(tokenizer(), request, PREFIXES) == (fact_rows(tokenizer(), request, PREFIXES),)


def test_what_stands_before_a_prompt_in_a_chat_comes_first() -> None:
    asked = EditRequest(FIRST.prompt, FIRST.target_new, subject=WORD, asking=Asking(before="User: ", after="\n"))
    assert len(looked_up(tokenizer(), asked, PREFIXES)) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_such_a_fact_is_written_beside_others_and_undone(shape, dtype: torch.dtype) -> None:
    model, tok = shape.build().to(dtype), tokenizer()
    before = state(model)
    hparams = FastMEMITHyperParams(**SETTINGS)
    facts = [{"prompt": FIRST.prompt, "subject": WORD, "target_new": "Lodel"}, FACTS[1]]
    update = solve(model, tok, facts, hparams)
    (keys,) = update.keys.values()
    assert len(keys) == 3, "one place of the one fact, two of the other"
    assert len(update.info["course"]["steps"]) == len(update.info["course"]["losses"]) == 2
    told = update.info["target_nll"]
    assert all(after < was for after, was in zip(told["after"], told["before"], strict=True))
    update.commit(model)
    update.revert(model)
    assert state(model) == before


def test_nothing_is_written_at_the_first_token() -> None:
    """So that what the model says after other first tokens moves no more than it must."""
    model, tok = SHAPES[0].build(), tokenizer()
    hparams = FastMEMITHyperParams(**SETTINGS)
    update = solve(model, tok, [{"prompt": FIRST.prompt, "subject": WORD, "target_new": "Lodel"}], hparams)
    ids = tokens(tok, FIRST.prompt)
    (delta,) = update.deltas.values()
    read: list[torch.Tensor] = []
    (path,) = update.deltas
    hook = model.get_submodule(path.removesuffix(".weight")).register_forward_pre_hook(
        lambda module, args: read.append(args[0].detach())
    )
    with torch.no_grad():
        model(torch.tensor([ids]))
    hook.remove()
    written = delta.apply(read[0][0].float()).norm(dim=1)
    assert written[1] > 2 * written[0]


def test_names_nearly_alike_are_read_where_the_fact_is_looked_up() -> None:
    model, tok = SHAPES[0].build(), tokenizer()
    second = tokens(tok, FIRST.prompt)[1]
    rows = list(near_rows(model, tok, [FIRST], 4))
    assert len(rows) == 4
    assert all(len(row) == 2 and row[0] != tokens(tok, WORD)[0] and row[1] == second for row in rows)
