"""Scores in batches are EasyEdit's own, to the last digit, on the release and at head."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hosts import EACH_HOST, found_in_host

from easyedit_ice.errors import HyperParamsError, ScoringProtocolError, UnscorableProbeError
from easyedit_ice.evaluation.teacher_forced.host_scores import edit_qualities, with_locality
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

SCRIPT = Path(__file__).with_name("against_easyedit.py")


def compared(host: str) -> dict[str, Any]:
    """What a comparison with one EasyEdit found."""
    data = os.environ.get("EASYEDIT_ICE_DATA")
    return found_in_host(host, SCRIPT, *([str(Path(data).resolve())] if data else []))


@EACH_HOST
@pytest.mark.slow
def test_every_score_of_every_record_is_easyedits_on_every_model_and_padding_side(host: str):
    cases = compared(host)["cases"]
    assert len(cases) == 16
    for name, case in cases.items():
        assert case["probes"] > 100, name
        assert case["different"] == [], name


@EACH_HOST
@pytest.mark.slow
def test_groups_are_run_again_one_by_one_seldom_in_fp32(host: str):
    for name, case in compared(host)["cases"].items():
        if "float32" in name:
            assert case["settled"] <= 0.1 * case["groups"], name


@EACH_HOST
@pytest.mark.slow
def test_padding_is_left_out_only_where_the_model_takes_positions(host: str):
    forms = {name: case["form"] for name, case in compared(host)["cases"].items()}
    padded_on_left = [name for name in forms if host == "head" or name.endswith("left")]
    assert {forms[name] for name in padded_on_left if "OPT" in name} == {"padded"}
    assert {forms[name] for name in padded_on_left if "OPT" not in name} == {"stripped"}
    assert {forms[name] for name in forms.keys() - padded_on_left} <= {"padded"}


@EACH_HOST
@pytest.mark.slow
def test_probes_are_refused_where_easyedit_fails_and_nowhere_else(host: str):
    found = compared(host)["failures"]
    assert all(ours == theirs for ours, theirs in found.values()), found
    assert sum(ours for ours, _ in found.values()) == (2 if host == "release" else 1)


@EACH_HOST
@pytest.mark.slow
def test_scores_before_and_after_an_edit_give_the_metrics_of_base_editor(host: str):
    found = compared(host)["edit"]
    assert found["ours"] == found["theirs"]
    assert all(0 <= share <= 1 for share in found["ours"]["locality"]["Relation_Specificity_acc"])


@EACH_HOST
@pytest.mark.slow
def test_texts_that_fluency_is_measured_on_are_those_easyedit_draws(host: str):
    texts = compared(host)["texts"]
    assert texts["ours"] == texts["theirs"]


@EACH_HOST
@pytest.mark.slow
def test_fluency_is_easyedits_formula(host: str):
    entropies = compared(host)["entropies"]
    assert entropies["ours"] == pytest.approx(entropies["theirs"])


@EACH_HOST
def test_scores_of_requests_do_not_depend_on_those_beside_them(host):
    model, tok = SHAPES[0].build(), tokenizer()
    together = edit_qualities(model, tok, FACTS, max_length=64, host=host)
    assert together == [edit_qualities(model, tok, [fact], max_length=64, host=host)[0] for fact in FACTS]


def test_locality_is_the_share_of_tokens_that_stayed_and_replaces_them_on_the_release_alone():
    before = {"rewrite_acc": [0.0], "locality": {"near_output": [[1, 2, 3, 4], [5]]}, "portability": {}}
    after = {"rewrite_acc": [1.0], "locality": {"near_output": [[1, 2, 3, 9], [5]]}, "portability": {}}
    assert with_locality(before, after, host="release")["locality"] == {"near_acc": [0.75, 1.0]}
    head = with_locality(before, after | {"metric_meta": {}}, host="head")
    assert head["locality"] == after["locality"] | {"near_acc": [0.75, 1.0]}
    assert head["metric_meta"]["locality.near"]["result_key"] == "locality.near_acc"


def test_an_encoder_decoder_is_refused():
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=320, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    with pytest.raises(ScoringProtocolError, match="encoder-decoder"):
        edit_qualities(T5ForConditionalGeneration(config), tokenizer(), FACTS, max_length=64, host="head")


def test_a_prompt_that_fills_max_length_is_refused_with_its_index_and_kind():
    model, tok = SHAPES[0].build(), tokenizer()
    probes = {"far": {"prompt": ["Avaria " * 60], "ground_truth": ["Sarn"]}}
    with pytest.raises(UnscorableProbeError, match="fact 1: its portability far prompt") as caught:
        edit_qualities(model, tok, [FACTS[0], FACTS[1] | {"portability": probes}], max_length=60, host="release")
    assert caught.value.index == 1


def test_a_max_length_that_is_no_length_is_refused():
    with pytest.raises(HyperParamsError, match="max_length is 0"):
        edit_qualities(SHAPES[0].build(), tokenizer(), FACTS, max_length=0, host="head")


def test_a_probe_kind_without_prompts_is_refused():
    empty = FACTS[0] | {"locality": {"none": {"prompt": [], "ground_truth": []}}}
    with pytest.raises(UnscorableProbeError, match="holds no prompt"):
        edit_qualities(SHAPES[0].build(), tokenizer(), [empty], max_length=64, host="head")


def test_no_requests_have_no_scores():
    assert edit_qualities(SHAPES[0].build(), tokenizer(), [], max_length=64, host="head") == []


def test_scores_are_plain_enough_for_json():
    scores = edit_qualities(SHAPES[0].build(), tokenizer(), FACTS[:1], max_length=64, host="head")
    assert math.isfinite(json.loads(json.dumps(scores))[0]["rewrite_acc"][0])
