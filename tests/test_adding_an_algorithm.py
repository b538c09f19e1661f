"""The algorithm of ten lines in the page on the architecture, as it stands there."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch

from easyedit_ice.edit.apply import solve_with
from easyedit_ice.edit.delta import DenseDelta
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import ConformanceError
from easyedit_ice.testing import check_algorithm, failures
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

PAGE = Path(__file__).resolve().parent.parent / "docs" / "architecture.md"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page's code, as a module."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text().partition("## Adding an algorithm\n")[2], re.S)[1]
    path = tmp_path_factory.mktemp("page") / "one_step.py"
    path.write_text(code)
    spec = importlib.util.spec_from_file_location("one_step", path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "one_step", module)
        spec.loader.exec_module(module)
        yield module


def test_it_is_ten_lines(page):
    body = re.search(r"\n@dataclass.*", Path(page.__file__).read_text(), re.S)[0]
    assert len([line for line in body.splitlines() if line.strip()]) <= 11


def test_it_keeps_every_promise(page):
    assert list(failures(page.ALGORITHM, shapes=SHAPES[:3])) == []


def test_it_writes_a_fact(page):
    update = solve_with(page.ALGORITHM, SHAPES[0].build(), tokenizer(), FACTS[:1], page.OneStepHyperParams())
    assert update.norms()


def test_what_it_breaks_is_told_by_cause(page):
    """A delta the wrong way round breaks nearly every promise, and is one fault."""

    def wrong(model, tok, requests, hparams):
        update = page.solve(model, tok, requests, hparams)
        return WeightUpdate({name: DenseDelta(delta.matrix().T) for name, delta in update.deltas.items()})

    derived = type("WrongHyperParams", (page.OneStepHyperParams,), {})
    with pytest.raises(ConformanceError) as caught:
        check_algorithm(Algorithm("Wrong", derived, wrong), host=False)
    lines = str(caught.value).splitlines()
    told = [line for line in lines if line.startswith("* ")]
    assert lines[0].startswith("Wrong breaks ") and lines[0].endswith(f"; {len(told)} causes:")
    assert "a delta is (out, in), whichever way the weight is stored" in told[0]
    assert len(told) < 4 < len(lines) - len(told)


def test_a_square_delta_is_taken_as_it_is():
    model = SHAPES[0].build()
    name = "transformer.h.0.attn.c_proj"
    WeightUpdate({name: DenseDelta(torch.zeros(32, 32))}).commit(model)
