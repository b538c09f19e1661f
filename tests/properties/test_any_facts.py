"""Whatever stands in a list or a file of facts: they are read, or refused by name."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from values import BATCHES, TEXT, WORDS

from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.subject_position import last_token_of
from easyedit_ice.edit.token_checks import check_tokens
from easyedit_ice.errors import DataError, RequestError
from easyedit_ice.testing.tiny_models import tokenizer
from easyedit_ice.text.subjects import mentions, renamed
from easyedit_ice.text.tokens import tokens


@given(BATCHES, st.booleans())
def test_requests_are_prepared_or_refused(batch, needs_subject):
    tok = tokenizer()
    try:
        prepared = EditRequest.prepare(
            batch, needs_subject, None, lambda fact, at: check_tokens(fact, at, tok, 128, 320)
        )
    except RequestError as error:
        assert str(error)
        return
    assert prepared
    assert EditRequest.prepare(prepared, needs_subject) == prepared


@given(BATCHES)
def test_files_of_facts_are_read_or_refused(tmp_path, batch):
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(batch, ensure_ascii=True))
    try:
        records = load_records(path)
        for problem in records.problems:
            assert str(problem)
        if len(records):
            EditRequest.prepare(to_requests(records), unfit=[])
    except (DataError, RequestError) as error:
        assert str(error)


@given(st.lists(st.one_of(TEXT, WORDS), max_size=4).map(" ".join), st.one_of(TEXT, WORDS))
def test_a_mention_is_a_part_of_its_text(text, subject):
    found = mentions(text, subject)
    ends = [0, *(end for span in found for end in span)]
    assert ends == sorted(ends)
    assert all(first < last <= len(text) for first, last in found)
    assert len(mentions(renamed(text, subject, "\x00"), "\x00")) >= len(found)
    if found and not any("\ud800" <= character <= "\udfff" for character in text):
        assert 0 <= last_token_of(tokenizer(), text, subject) < len(tokens(tokenizer(), text))
