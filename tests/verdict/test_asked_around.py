"""What a verdict asks besides a fact, kept from one edit to the next."""

from __future__ import annotations

import pytest

from easyedit_ice import factworld
from easyedit_ice.errors import DamagedFileError
from easyedit_ice.runtime.cache import cache_root
from easyedit_ice.verdict.asked_around import own_text


@pytest.mark.parametrize("content", ["", '{"openings": ["A', "{}", "[]", '{"openings": 3, "free": []}'])
def test_a_damaged_file_of_the_models_texts_is_named_with_what_to_do(content, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("easyedit_ice.verdict.asked_around._write_to", lambda path, *_: path.write_text(content))
    with pytest.raises(DamagedFileError, match=r"verdicts.*\.json cannot be read .*delete it, to have the model write"):
        own_text(*factworld.load())
    assert cache_root().is_relative_to(tmp_path)
