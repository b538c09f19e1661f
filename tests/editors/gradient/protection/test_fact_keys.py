"""What projections read where facts are looked up and written."""

from __future__ import annotations

import pytest
import torch
from architectures import tiny

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient.protection import fact_keys as module
from easyedit_ice.editors.gradient.protection.fact_keys import fact_keys, text_keys
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.rows import Row

REQUESTS = EditRequest.prepare(FACTS)
WITHOUT_SUBJECTS = [EditRequest(request.prompt, request.target_new) for request in REQUESTS]
MODELS = {
    **{shape.name: shape.build for shape in SHAPES[:3]},
    "one after the other (OPT)": lambda: tiny("OPT", vocab_size=len(tokenizer())),
}
EACH = pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)


def _names(model):
    return [projection.name for projection in ModelAnatomy(model).match(["mlp.out", "attention.in"])]


def _keys(model, requests=REQUESTS, **settings):
    return fact_keys(model, tokenizer(), requests, _names(model), **{"append_eos": False} | settings)


@torch.no_grad()
def _read(model, text, tokens):
    """What each module reads at some tokens of a text that stands alone."""
    found = {}
    handles = [
        model.get_submodule(name).register_forward_pre_hook(
            lambda _, args, name=name: found.update({name: args[0].reshape(-1, args[0].shape[-1])[tokens].float()})
        )
        for name in _names(model)
    ]
    model(input_ids=torch.tensor([tokenizer().encode(text)]))
    for handle in handles:
        handle.remove()
    return found


def _expected(model, request, prefix="", eos=False):
    """By the texts' characters: the subject's last token, and those from the prompt's last to the last but one."""
    text = prefix + request.prompt + request.completion
    ends = [last for _, last in tokenizer()(text, return_offsets_mapping=True)["offset_mapping"]]
    before = len(prefix + request.prompt)
    tokens = {index for index, end in enumerate(ends) if end >= before} - (set() if eos else {len(ends) - 1})
    if request.subject:
        tokens.add(ends.index(prefix.__len__() + request.prompt.rindex(request.subject) + len(request.subject)))
    return _read(model, text, sorted(tokens))


def _same(found, expected):
    for name, own in found.items():
        assert own.dtype == torch.float32
        torch.testing.assert_close(own, expected[name], atol=1e-5, rtol=1e-4)


def _together(parts):
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


@EACH
@pytest.mark.parametrize("eos", [False, True])
def test_keys_are_what_is_read_at_the_subjects_last_token_and_wherever_the_target_is_predicted(build, eos):
    model = build().float()
    _same(_keys(model, append_eos=eos), _together([_expected(model, request, eos=eos) for request in REQUESTS]))


@EACH
def test_without_a_subject_they_are_those_of_the_target(build):
    model = build().float()
    _same(_keys(model, WITHOUT_SUBJECTS), _together([_expected(model, request) for request in WITHOUT_SUBJECTS]))


def test_a_subject_at_the_end_of_the_prompt_is_read_once():
    model = SHAPES[0].build()
    request = EditRequest("The capital is ruled from Avaria", "Lodel", subject="Avaria")
    assert all(
        len(own) == len(_keys(model, [EditRequest(request.prompt, "Lodel")])[name])
        for name, own in _keys(model, [request]).items()
    )


def test_facts_are_read_behind_each_prefix_as_well():
    model = SHAPES[0].build()
    stated = [(request, prefix) for request in REQUESTS for prefix in ("", "So it is. ", "The river. ")]
    expected = _together([_expected(model, *own) for own in stated])
    _same(_keys(model, prefixes=("So it is. ", "The river. ")), expected)


def test_a_prefix_that_leaves_no_room_for_the_fact_is_left_out():
    model = SHAPES[0].build()
    _same(_keys(model, prefixes=("a " * model.config.n_positions,)), _keys(model))


def test_many_facts_are_read_a_few_at_a_time(monkeypatch):
    model = SHAPES[0].build()
    whole = _keys(model)
    monkeypatch.setattr(module, "ROWS", 2)
    _same(_keys(model), whole)


def test_a_model_in_bf16_gives_keys_in_fp32():
    assert {own.dtype for own in _keys(SHAPES[1].build()).values()} == {torch.float32}


@EACH
def test_keys_of_texts_are_what_is_read_at_each_token_but_the_last(build):
    model = build().float()
    texts = ["The capital of Sundray is Tarn", "Otto Venn works as a smith in Ommer"]
    ids = [tuple(tokenizer().encode(text)) for text in texts]
    expected = [_read(model, text, range(len(own) - 1)) for text, own in zip(texts, ids, strict=True)]
    _same(text_keys(model, [Row(own, 2) for own in ids], _names(model)), _together(expected))
