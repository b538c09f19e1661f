"""A text has the same tokens everywhere, whatever a tokenizer puts around it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from odd_tokenizers import byte_level, chatting, rendered
from torch import nn

from easyedit_ice import factworld
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.subject_position import last_token_of
from easyedit_ice.editors.gradient.objectives import fact_row
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer
from easyedit_ice.text.rows import encode, prefix_ids
from easyedit_ice.text.tokens import beginning, ends_of_text, opening, padding_id, tokens

TEXT = "The capital of Avaria is"


@pytest.mark.parametrize("before", ["", "<s>"])
@pytest.mark.parametrize("after", ["", "</s>"])
def test_a_text_begins_once_and_never_ends(before: str, after: str) -> None:
    tok = byte_level(before, after, bos_token="<s>")
    bare = tok.encode(TEXT, add_special_tokens=False)
    begun = ([tok.bos_token_id] if before else []) + bare
    assert list(tokens(tok, TEXT)) == begun
    assert list(tokens(tok, f"<s>{TEXT}")) == [tok.bos_token_id, *bare]
    assert list(tokens(tok, "")) == begun[: len(begun) - len(bare)]


def test_an_end_that_a_text_spells_itself_stays() -> None:
    tok = byte_level("<s>", "</s>", bos_token="<s>")
    assert tokens(tok, f"{TEXT}</s>") == (*tokens(tok, TEXT), tok.eos_token_id)


def test_ordinary_tokenizers_are_followed_to_the_token() -> None:
    for tok in (tokenizer(), factworld.load()[1]):
        assert tokens(tok, TEXT) == tuple(tok.encode(TEXT))
        assert opening(tok) == ""


def test_the_text_of_a_template_has_the_templates_own_tokens() -> None:
    tok = chatting()
    text = rendered(tok, TEXT)
    [own] = tok.apply_chat_template(
        [[{"role": "user", "content": TEXT}]], add_generation_prompt=True, return_dict=True
    )["input_ids"]
    assert list(prefix_ids(tok, text)) == own
    assert encode(tok, text, "Lodel").ids[: len(own)] == tuple(own)


def test_what_a_model_goes_on_from_loses_spaces_at_its_end_and_nothing_else() -> None:
    tok = byte_level()
    assert prefix_ids(tok, f"{TEXT}  ") == tokens(tok, TEXT)
    assert prefix_ids(tok, f"{TEXT}\n") == tokens(tok, f"{TEXT}\n") != tokens(tok, TEXT)


@pytest.mark.parametrize("before", ["", "<s>"])
@pytest.mark.parametrize("after", ["", "</s>"])
def test_a_target_is_followed_by_one_end_of_text_if_it_is_trained(before: str, after: str) -> None:
    tok = byte_level(before, after, bos_token="<s>")
    request = EditRequest(TEXT, "Lodel", "Avaria")
    target = tuple(tok.encode(" Lodel", add_special_tokens=False))
    assert fact_row(tok, request, append_eos=True).predicted == (*target, tok.eos_token_id)
    assert fact_row(tok, request, append_eos=False).predicted == target


def test_nothing_ends_a_target_where_the_tokenizer_has_no_end() -> None:
    tok, request = byte_level(eos_token=None), EditRequest(TEXT, "Lodel")
    assert fact_row(tok, request, append_eos=True) == fact_row(tok, request, append_eos=False)


@pytest.mark.parametrize("before", ["", "<s>"])
@pytest.mark.parametrize("spelt", ["", "<s>"])
def test_a_subjects_place_counts_the_text_as_the_model_reads_it(before: str, spelt: str) -> None:
    tok = byte_level(before, "</s>", bos_token="<s>")
    at = last_token_of(tok, spelt + TEXT, "Avaria")
    read = tok.decode(tokens(tok, spelt + TEXT)[: at + 1])
    assert read.replace("<s>", "") == "The capital of Avaria"


def _model(listed: object, rows: int = 320) -> nn.Module:
    model = nn.Module()
    model.generation_config = SimpleNamespace(eos_token_id=listed)
    model.get_input_embeddings = lambda: nn.Embedding(rows, 2)
    return model


@pytest.mark.parametrize(
    ("listed", "own", "ends"),
    [(None, 1, (1,)), (3, 1, (1, 3)), ([3, 1], 1, (1, 3)), ([3], None, (3,)), (None, None, ())],
)
def test_ends_of_text_are_the_tokenizers_and_all_that_the_model_lists(listed, own, ends) -> None:
    assert ends_of_text(_model(listed), SimpleNamespace(eos_token_id=own)) == ends


def test_a_model_without_generation_settings_ends_as_its_tokenizer_does() -> None:
    assert ends_of_text(nn.Linear(1, 1), SimpleNamespace(eos_token_id=7)) == (7,)


@pytest.mark.parametrize(("pad", "used"), [(None, 0), (5, 5), (320, 0)])
def test_padding_is_a_token_that_the_model_has_a_row_for(pad, used) -> None:
    assert padding_id(_model(None), SimpleNamespace(pad_token_id=pad)) == used


@pytest.mark.parametrize(
    ("marks", "first"),
    [
        ({"bos_token": "<s>"}, "<s>"),
        ({}, "</s>"),
        ({"eos_token": None}, "\n"),
    ],
)
def test_a_text_of_the_models_own_begins_with_a_beginning_or_else_what_precedes_one(marks, first) -> None:
    assert byte_level(**marks).decode([beginning(_model(None), byte_level(**marks))]) == first


def test_marks_that_the_model_has_no_row_for_are_never_written() -> None:
    few = _model([3, 7], rows=5)
    tok = SimpleNamespace(bos_token_id=6, eos_token_id=5, encode=lambda text, **_: [ord(text) % 5])
    assert ends_of_text(few, tok) == (3,)
    assert beginning(few, tok) == 0


@pytest.mark.parametrize("shape", SHAPES[::2], ids=lambda shape: shape.name)
def test_the_tiny_models_have_a_row_for_every_token(shape) -> None:
    assert shape.build().get_input_embeddings().weight.shape[0] >= len(byte_level())
