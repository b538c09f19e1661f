"""What an earlier build wrote is read, and equal settings give equal bits.

The files under `fixtures/` are those of `make_fixtures.py`, by the revision that `bits.json` names.
"""

from __future__ import annotations

import json
import shutil
import warnings

import pytest
import torch
import yaml
from compat_cases import HELD, SHAPES_HELD, digest, machine, sketch, solved
from make_fixtures import FIXTURES, RUN
from runs import configured, lines_of, shape_of

from easyedit_ice.bench.report.reading_runs import read_run
from easyedit_ice.bench.running.one_run import run
from easyedit_ice.easyedit import host_info
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.experts import Library
from easyedit_ice.testing.tiny_models import FACTS, tokenizer

BITS = json.loads((FIXTURES / "bits.json").read_text())
SAVED = sorted(path.name for path in (FIXTURES / "updates").iterdir())
APART = {torch.float32: 1e-5, torch.bfloat16: 0.05, torch.float64: 1e-6}
"""How far an update may be from the one held on other kernels, in their norms, by the precision it was made in."""
STILL = {"SVF, reinforced": 1e-9}
"""Norm below which an update is rounding, of a case that has nothing to follow in double precision."""
SOLVED_AT_ONCE = ("FastMEMIT", "FastEMMET", "FastROME", "FastICE")
"""Algorithms whose updates are apart by roundings alone, in any precision."""
ROUNDED = ("LoRA-BF, bf16",)
"""Cases that compute in bfloat16 here and there, whatever the model's own precision."""
RUN_TOGETHER = ("FastMEMIT, found",)
"""Cases whose few short rows run in one pass since, where those of one length did: apart by roundings."""
EXPECTED = [
    pytest.param(case, shape, marks=[] if case in ALGORITHMS and shape == "gpt2" else pytest.mark.slow)
    for case, shape in HELD
]


@pytest.fixture(scope="module")
def same_kernels():
    """Whether this machine computes as the one did that wrote the fixtures."""
    same = machine() == BITS["machine"]
    if not same:
        warnings.warn(f"other kernels than the fixtures' machine: updates are compared within {APART}", stacklevel=1)
    return same


@pytest.mark.parametrize(("case", "shape"), EXPECTED)
def test_equal_settings_give_the_bits_of_earlier_builds(case, shape, same_kernels):
    expected = BITS["updates"][f"{case}, {shape}"]
    if same_kernels and case not in RUN_TOGETHER:
        assert digest(solved(case, shape)) == expected["bits"]
    elif case.startswith(SOLVED_AT_ONCE):
        assert_near(sketch(solved(case, shape)), expected["sketch"], APART[torch.float32])
    elif case in ROUNDED:
        assert_near(sketch(solved(case, shape)), expected["sketch"], APART[torch.bfloat16])
    if not same_kernels:
        now = sketch(solved(case, shape, torch.float64))
        if case in STILL:
            assert torch.tensor([*now.values()]).norm() < STILL[case]
        else:
            assert_near(now, expected["double"], APART[torch.float64])


def assert_near(now, held, apart):
    assert now.keys() == held.keys()
    one, other = (torch.cat([torch.tensor(values[name]) for name in held]) for values in (now, held))
    assert (one - other).norm() <= apart * other.norm()


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_update_of_an_earlier_build_loads_and_edits(name):
    update, model = WeightUpdate.load(FIXTURES / "updates" / name), SHAPES_HELD["gpt2"].build()
    assert update.info["hparams"]["alg_name"] == name
    before = {path: model.get_parameter(f"{path}.weight").clone() for path in update.deltas}
    update.commit(model)
    assert not any(torch.equal(model.get_parameter(f"{path}.weight"), own) for path, own in before.items())
    update.revert(model)
    assert all(torch.equal(model.get_parameter(f"{path}.weight"), own) for path, own in before.items())


@pytest.mark.parametrize("name", SAVED)
def test_the_settings_in_a_saved_update_make_an_edit_again(name):
    update = WeightUpdate.load(FIXTURES / "updates" / name)
    hparams = ALGORITHMS[name].hparams_class.from_dict(update.info["hparams"])
    now = hparams.to_dict()
    assert {key: now[key] for key in now.keys() & update.info["hparams"].keys()} == {
        key: value for key, value in update.info["hparams"].items() if key in now
    }


def test_a_saved_expert_of_an_earlier_build_edits_its_model():
    one, other = Library(FIXTURES / "experts").load()
    assert (one.name, other.name) == ("fact-0", "fact-1")
    model = SHAPES_HELD["gpt2"].build()
    settings = ALGORITHMS["SVF"].hparams_class.from_dict(one.settings)
    again = solve(model, tokenizer(), list(FACTS[:1]), settings)
    update = one.update(model)
    for name, delta in update.deltas.items():
        torch.testing.assert_close(delta.matrix(), again.deltas[name].matrix(), atol=1e-5, rtol=1e-5)
    update.commit(model)
    update.revert(model)


@pytest.mark.parametrize("path", sorted((FIXTURES / "presets").iterdir()), ids=lambda path: path.stem)
def test_a_file_with_every_setting_of_an_earlier_build_is_read(path):
    kind, written = ALGORITHMS[path.stem].hparams_class, yaml.safe_load(path.read_text())
    assert kind.from_hparams(path) == kind.from_hparams(f"{path.stem}/gpt2-factworld")
    assert len(written) > 90


@pytest.fixture
def earlier_run(tmp_path):
    folder = shutil.copytree(FIXTURES / "run", tmp_path / "run")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"host": str(host_info())}))
    return folder


def test_a_finished_run_of_an_earlier_build_is_read_and_stays_as_it_is(earlier_run):
    ledger = (earlier_run / "ledger.jsonl").read_bytes()
    assert read_run(earlier_run).written == 4
    run(configured(*RUN), earlier_run)
    assert (earlier_run / "ledger.jsonl").read_bytes() == ledger
    assert len(json.loads((earlier_run / "manifest.json").read_text())["resumed"]) == 1


def test_half_a_run_of_an_earlier_build_is_gone_on_with(earlier_run):
    whole = lines_of(earlier_run)
    ledger = (earlier_run / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (earlier_run / "ledger.jsonl").write_bytes(b"".join(ledger[: len(ledger) // 2]))
    (earlier_run / "stream.safetensors").unlink()
    run(configured(*RUN), earlier_run)
    assert shape_of(earlier_run) == [(line["phase"], line["position"], line["step"]) for line in whole]
