"""Second moments are measured once, before any edit, and found again."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from launching import launched

from easyedit_ice import factworld
from easyedit_ice.errors import DataError, StatisticsError
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.precompute import moments as module
from easyedit_ice.precompute.moment_store import MOMENTS
from easyedit_ice.precompute.moments import Measuring, factors, moments
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer

NAMES = ["transformer.h.0.mlp.c_proj", "transformer.h.1.mlp.c_proj"]
FEW = Measuring("factworld", dynamic_multiplier=3)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Names of each pass over text."""
    passes: list[list[str]] = []
    own = module.second_moments

    def noting(model: object, tok: object, names: list[str], *rest: object) -> object:
        passes.append(list(names))
        return own(model, tok, names, *rest)

    monkeypatch.setattr(module, "second_moments", noting)
    return passes


def test_all_layers_are_measured_in_one_pass_of_exactly_the_tokens_asked_for(model, measured) -> None:
    found = moments(model, tokenizer(), NAMES, FEW)
    assert measured == [NAMES]
    assert [tokens for _, tokens in found.values()] == [3 * 128, 3 * 128]
    with_all = moments(model, tokenizer(), NAMES, replace(FEW, dynamic=False, mom2_n_samples=5))
    expected = sum(len(tokenizer()(text)["input_ids"][:128]) for text in factworld.general_text(5, seed=1))
    assert [tokens for _, tokens in with_all.values()] == [expected, expected]


def test_what_is_on_disk_is_not_measured_again(model, measured) -> None:
    first = moments(model, tokenizer(), NAMES[:1], FEW)
    again = moments(SHAPES[0].build(), tokenizer(), NAMES, FEW)
    assert measured == [NAMES[:1], NAMES[1:]]
    assert torch.equal(first[NAMES[0]][0], again[NAMES[0]][0])


def test_edits_that_add_up_do_not_change_what_is_known_of_the_model(model, measured) -> None:
    before = factors(model, tokenizer(), NAMES[:1], FEW, weight=2.0, ridge=0.1)
    with torch.no_grad():
        model.get_submodule(NAMES[0]).weight.add_(1.0)
    assert factors(model, tokenizer(), NAMES[:1], FEW, weight=2.0, ridge=0.1) == before
    other = moments(model, tokenizer(), NAMES[1:], FEW)
    assert measured == [NAMES[:1], NAMES[1:]]
    assert len(other) == 1


def test_what_is_measured_on_an_edited_model_is_not_kept_for_the_unedited_one(model) -> None:
    baseline_of(model)
    with torch.no_grad():
        model.get_submodule("transformer.h.0.attn.c_proj").weight.add_(1.0)
    edited = moments(model, tokenizer(), NAMES[:1], FEW)
    assert MOMENTS.paths() == []
    unedited = moments(SHAPES[0].build(), tokenizer(), NAMES[:1], FEW)
    assert not torch.equal(edited[NAMES[0]][0], unedited[NAMES[0]][0])
    assert torch.equal(moments(model, tokenizer(), NAMES[:1], FEW)[NAMES[0]][0], unedited[NAMES[0]][0])


def test_another_model_in_the_same_object_is_another_model(model, measured) -> None:
    first = baseline_of(model)
    model.load_state_dict({name: tensor + 1 for name, tensor in model.state_dict().items()})
    assert baseline_of(model) is not first


def test_a_weight_of_general_keys_scales_and_a_ridge_is_added(model) -> None:
    [(moment, _)] = moments(model, tokenizer(), NAMES[:1], FEW).values()
    [factor] = factors(model, tokenizer(), NAMES[:1], FEW, weight=2.0, ridge=0.1).values()
    expected = 2.0 * moment + 0.1 * torch.eye(128, dtype=torch.float64)
    torch.testing.assert_close(factor.lower @ factor.lower.T, expected, rtol=1e-10, atol=1e-12)


def test_too_little_text_is_refused(model) -> None:
    with pytest.raises(DataError, match=r"hold \d+ tokens, and second moments need 384"):
        moments(model, tokenizer(), NAMES, replace(FEW, mom2_dataset=("one text", "and another")))


def test_fewer_tokens_than_inputs_cannot_be_inverted(model) -> None:
    few = Measuring(["The capital of Avaria is Brinn"], dynamic=False, mom2_n_samples=1)
    with pytest.raises(StatisticsError, match="Raise dynamic_multiplier"):
        factors(model, tokenizer(), NAMES[:1], few, weight=1.0, ridge=0.0)


def test_a_folder_that_cannot_be_written_to_costs_the_next_time_only(model, monkeypatch, caplog) -> None:
    def full(*args: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "save_moment", full)
    assert len(moments(model, tokenizer(), NAMES[:1], FEW)) == 1
    assert "cannot be kept for the next time: No space left" in caplog.text


@pytest.mark.long
def test_processes_that_share_the_text_measure_what_one_does(tmp_path: Path) -> None:
    def stored(count: int) -> tuple[torch.Tensor, int]:
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / str(count)), "OMP_NUM_THREADS": "1"}
        command = [*launched(count), "-m", "easyedit_ice", "stats", "compute"]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(tmp_path / str(count)))
            assert len(list(MOMENTS.folder.iterdir())) == 1
            model, tok = factworld.load()
            [found] = moments(model, tok, ["transformer.h.2.mlp.c_proj"], Measuring()).values()
        return found

    (alone, tokens), (together, others) = stored(1), stored(2)
    assert tokens == others == 7680
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6 * alone.abs().max().item())
