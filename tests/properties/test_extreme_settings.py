"""Numbers at the ends of what a setting may be: an edit ends in an update, or in an error that names what to change."""

from __future__ import annotations

import random
import re
from dataclasses import Field, fields
from typing import Any

import pytest
from quick import FEW_TEXTS, of

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.errors import EasyEditIceError, HyperParamsError
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

EACH = pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
FEW_STEPS = {"num_steps": 3, "v_num_grad_steps": 3} | FEW_TEXTS
ENDS = (1e-320, 1e-60, 1e-30, 1e12, 1e30)
DRAWS = 3


def _numbers(algorithm: str) -> list[Field]:
    """Settings that are one number, and no whole one."""
    return [own for own in fields(ALGORITHMS[algorithm].hparams_class) if own.type in ("float", "float | None")]


def _hparams(algorithm: str, **settings: Any) -> Any:
    return ALGORITHMS[algorithm].hparams_class(**of(algorithm, FEW_STEPS) | settings)


@EACH
@pytest.mark.parametrize("value", [1e38, 1e39, 1e308])
def test_numbers_that_no_model_can_compute_with_are_refused_with_the_value(algorithm: str, value: float) -> None:
    for own in _numbers(algorithm):
        with pytest.raises(HyperParamsError, match=re.escape(f"{own.name} is {value}")):
            _hparams(algorithm, **{own.name: value})


@EACH
def test_a_rate_that_decays_more_than_there_is_is_refused(algorithm: str) -> None:
    if not ALGORITHMS[algorithm].has_setting("weight_decay"):
        pytest.skip("it decays nothing")
    with pytest.raises(HyperParamsError, match=r"lr 1e\+20 times weight_decay 1e\+20 is more than 1.*lower one"):
        _hparams(algorithm, lr=1e20, weight_decay=1e20)


@pytest.mark.slow
@EACH
def test_an_edit_with_numbers_at_their_ends_is_made_or_ends_in_a_named_error(algorithm: str) -> None:
    model, draw = SHAPES[0].build(), random.Random(algorithm)
    before = state(model)
    for _ in range(DRAWS):
        chosen = draw.sample(_numbers(algorithm), k=draw.randint(1, 3))
        settings = {own.name: draw.choice([*ENDS, *_bounds(own)]) for own in chosen}
        try:
            solve(model, tokenizer(), FACTS[:2], _hparams(algorithm, **settings))
        except EasyEditIceError:
            pass
        except Exception as error:
            raise AssertionError(f"{algorithm} with {settings} ends in {error!r}") from error
        assert state(model) == before


def _bounds(own: Field) -> list[float]:
    return [float(own.metadata[bound]) for bound in ("low", "high") if bound in own.metadata]
