"""A batch that several processes solve together."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import torch
from launching import launched
from solving_together import CASES

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.runtime.distributed import Share
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Path:
    """What two processes found, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("together")
    command = [*launched(2), str(HERE / "solving_together.py"), str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent.parent), environment.get("PYTHONPATH", "")])
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_find_the_update_that_one_finds(name, together):
    first, second = (WeightUpdate.load(together / process / name) for process in "01")
    alone = solve(SHAPES[2].build(), tokenizer(), FACTS, CASES[name])
    assert alone.deltas.keys() == first.deltas.keys() == second.deltas.keys()
    for key, delta in alone.deltas.items():
        assert delta.norm() > 0
        assert torch.equal(first.deltas[key].matrix(), second.deltas[key].matrix())
        assert (first.deltas[key].matrix() - delta.matrix()).norm() < 1e-3 * delta.norm()
    for course in (first.info["course"], second.info["course"]):
        assert course["steps"] == alone.info["course"]["steps"]
        for found, expected in zip(course["losses"], alone.info["course"]["losses"], strict=True):
            assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_a_process_alone_shares_with_nobody():
    hparams = next(iter(CASES.values()))
    alone, shared = (
        solve(SHAPES[2].build(), tokenizer(), FACTS, hparams.replace(data_parallel=on)) for on in (False, True)
    )
    for key, delta in alone.deltas.items():
        assert torch.equal(shared.deltas[key].matrix(), delta.matrix())


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_shares_are_dealt_out_in_turn_and_together_all(count):
    shares = [Share(index, count) for index in range(count)]
    dealt = [share.of([0, 1, 2, 3]) for share in shares]
    assert sorted(item for own in dealt for item in own) == [0, 1, 2, 3]
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
    assert [share.first for share in shares] == [True] + [False] * (count - 1)
