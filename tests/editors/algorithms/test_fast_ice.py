"""FastICE."""

from __future__ import annotations

import logging

import pytest
import torch

from easyedit_ice import factworld
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.apply import solve
from easyedit_ice.editors.algorithms.fast_ice import FastICEHyperParams
from easyedit_ice.editors.closed_form import scales as scaled
from easyedit_ice.editors.closed_form.solver_settings import place_of
from easyedit_ice.errors import AnatomyError, HyperParamsError
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.likely_answers import answers_right

PRESET = FastICEHyperParams.from_hparams("FastICE/gpt2-factworld")
NAME = "transformer.h.5.mlp.c_proj"


@pytest.fixture(scope="module")
def embedded() -> tuple:
    return factworld.load()


@pytest.fixture(scope="module")
def facts() -> list[dict]:
    return to_requests(load_records("factworld", split="dev").records[40:48])


def _right(embedded: tuple, asked: list[tuple[str, str]]) -> float:
    right = answers_right(*embedded, asked)
    return sum(right) / len(right)


def _rewrites(facts: list[dict]) -> list[tuple[str, str]]:
    return [(fact["prompt"], fact["target_new"]) for fact in facts]


def _rephrased(facts: list[dict]) -> list[tuple[str, str]]:
    return [(fact["rephrase_prompt"], fact["target_new"]) for fact in facts]


def _elsewhere(facts: list[dict]) -> list[tuple[str, str]]:
    """Probes of locality."""
    found = []
    for fact in facts:
        for probes in fact["locality"].values():
            answers = [answer if isinstance(answer, str) else answer[0] for answer in probes["ground_truth"]]
            found += zip(probes["prompt"], answers, strict=True)
    return [(prompt, answer if isinstance(answer, str) else answer[0]) for prompt, answer in found]


def test_each_fact_is_written_in_other_words_too_and_its_neighbours_stay(embedded, facts) -> None:
    model, _ = embedded
    before = state(model)
    rewrites, rephrased, elsewhere = [], [], []
    for fact in facts:
        update = solve(*embedded, [fact], PRESET)
        known = [asked for asked in _elsewhere([fact]) if _right(embedded, [asked])]
        update.commit(model)
        rewrites.append(_right(embedded, _rewrites([fact])))
        rephrased.append(_right(embedded, _rephrased([fact])))
        elsewhere.append(_right(embedded, known))
        update.revert(model)
    assert min(rewrites) == 1
    assert sum(rephrased) >= 6
    assert sum(elsewhere) >= 0.85 * len(facts)
    assert state(model) == before


def test_a_batch_is_written_together_by_one_change_of_low_rank(embedded, facts) -> None:
    model, _ = embedded
    update = solve(*embedded, facts, PRESET)
    assert list(update.deltas) == [NAME]
    assert update.deltas[NAME].rank == len(update.keys[NAME])
    assert len(update.info["course"]["scales"]) == len(facts)
    update.commit(model)
    assert _right(embedded, _rewrites(facts)) == 1
    update.revert(model)


def test_later_edits_leave_earlier_ones_alone(embedded, facts) -> None:
    model, _ = embedded
    updates = []
    for fact in facts[:4]:
        updates.append(solve(*embedded, [fact], PRESET))
        updates[-1].commit(model)
    assert _right(embedded, _rewrites(facts[:4])) == 1
    for update in reversed(updates):
        update.revert(model)


def test_keys_of_earlier_edits_are_read_less_where_they_are_kept(embedded, facts) -> None:
    model, _ = embedded
    first = solve(*embedded, facts[:1], PRESET)
    first.commit(model)
    moved = {
        keep: solve(*embedded, facts[1:2], PRESET.replace(keep_edits=keep)).deltas[NAME].apply(first.keys[NAME]).norm()
        for keep in (True, False)
    }
    first.revert(model)
    assert moved[True] < 0.7 * moved[False]


def test_a_fact_without_a_subject_is_written_and_has_no_neighbours(embedded, facts, monkeypatch) -> None:
    model, _ = embedded
    fact = {name: facts[0][name] for name in ("prompt", "target_new")}
    update = solve(*embedded, [fact], PRESET)
    update.commit(model)
    assert _right(embedded, _rewrites([fact])) == 1
    update.revert(model)


def test_where_the_model_follows_no_context_the_heads_direction_is_written(embedded, facts) -> None:
    model, _ = embedded
    hparams = PRESET.replace(context_templates=["Some say {target}, or something else. "])
    update = solve(*embedded, facts[:2], hparams)
    assert update.info["course"]["headed"]
    assert "not_written" not in update.info
    update.commit(model)
    assert _right(embedded, _rewrites(facts[:2])) == 1
    update.revert(model)


def test_what_is_not_written_is_said(embedded, facts, monkeypatch, caplog) -> None:
    monkeypatch.setattr(scaled, "SCALES", ())
    with caplog.at_level(logging.WARNING):
        update = solve(*embedded, facts[:2], PRESET.replace(least_scale=1e-3))
    assert len(update.info["not_written"]) == 2
    assert "not written" in caplog.text


def test_more_is_written_where_the_least_scale_is_greater(embedded, facts) -> None:
    weak, strong = (
        solve(*embedded, facts[:1], PRESET.replace(least_scale=scale)).norms()[NAME] for scale in (1.5, 3.0)
    )
    assert strong == pytest.approx(2 * weak, rel=1e-3)


@pytest.mark.parametrize(("count", "layer"), [(2, 1), (6, 5), (18, 16), (30, 27), (32, 29)])
def test_the_block_follows_from_the_depth(count: int, layer: int) -> None:
    assert FastICEHyperParams().usual_layer(count) == layer
    assert FastICEHyperParams(depth=0).usual_layer(count) == 0


def test_a_block_can_be_named_from_the_last(embedded) -> None:
    assert place_of(embedded[0], FastICEHyperParams(layers=[-2])).layers == (4,)
    with pytest.raises(AnatomyError, match="layer 9 does not exist"):
        solve(*embedded, FACTS[:1], PRESET.replace(layers=[9]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": [1, 2]}, "one block"),
        ({"layers": []}, "layers is empty"),
        ({"context_templates": []}, "context_templates is empty"),
        ({"context_templates": ["once upon a time"]}, "must state the fact"),
        ({"least_scale": 0}, "greater than 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(HyperParamsError, match=message):
        FastICEHyperParams(**settings)


def test_no_gradient_is_ever_asked_for(monkeypatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a gradient was asked for")

    monkeypatch.setattr(torch.Tensor, "backward", refuse)
    monkeypatch.setattr(torch.autograd, "grad", refuse)
    hparams = FastICEHyperParams(mom2_adjustment=False, mom2_dataset="factworld")
    assert solve(SHAPES[0].build(), tokenizer(), FACTS[:1], hparams).info["algorithm"] == "FastICE"
