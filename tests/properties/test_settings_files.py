"""Whatever stands in a file of settings: it is loaded whole, or refused by name."""

from __future__ import annotations

import json

import yaml
from hypothesis import given
from hypothesis import strategies as st
from values import JSON, NUMBERS, SCALARS, TEXT

from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.errors import HyperParamsError

CLASSES = [ALGORITHMS[name].hparams_class for name in sorted(ALGORITHMS)]
ODD = st.sampled_from(["${oc.env:HOME}", "???", "1e-4", "1e999", "nan", "\ud800", "x" * 10_000])


def _settings(cls: type) -> st.SearchStrategy:
    names = [name for name, *_ in cls.describe() if name != "alg_name"]
    values = st.one_of(NUMBERS, SCALARS, JSON, ODD)
    return st.tuples(st.just(cls), st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=3))


@given(st.sampled_from(CLASSES).flatmap(_settings))
def test_settings_are_taken_or_refused(chosen):
    cls, values = chosen
    try:
        hparams = cls.from_dict(values)
    except HyperParamsError as error:
        assert len(str(error)) < 4000
        return
    assert cls.from_dict(hparams.to_dict()) == hparams


@given(st.sampled_from(CLASSES), st.one_of(JSON, st.dictionaries(TEXT, JSON)), st.sampled_from(["json", "yaml"]))
def test_files_of_settings_are_loaded_or_refused(tmp_path, cls, content, form):
    path = tmp_path / f"theirs.{form}"
    path.write_text(json.dumps(content) if form == "json" else yaml.safe_dump(json.loads(json.dumps(content))))
    _load(cls, path)


@given(st.sampled_from(CLASSES), st.binary(max_size=60), st.sampled_from(["json", "yaml"]))
def test_files_of_anything_are_refused(tmp_path, cls, content, form):
    path = tmp_path / f"theirs.{form}"
    path.write_bytes(content)
    _load(cls, path)


def _load(cls: type, path) -> None:
    try:
        cls.from_hparams(path)
    except HyperParamsError as error:
        assert str(error)
