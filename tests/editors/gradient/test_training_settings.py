"""Settings that follow from the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from easyedit_ice.editors.algorithms.gora import GoRAHyperParams
from easyedit_ice.editors.algorithms.ice_lora import IceLoraHyperParams
from easyedit_ice.editors.algorithms.locft import LocFTHyperParams
from easyedit_ice.editors.algorithms.lora import LoraHyperParams
from easyedit_ice.editors.algorithms.svf import SVFHyperParams
from easyedit_ice.editors.gradient.adapters import DecomposedSettings, DenseSettings, LowRankSettings
from easyedit_ice.editors.gradient.objectives import ObjectiveSettings
from easyedit_ice.editors.gradient.protection.subspaces import ProtectionSettings
from easyedit_ice.editors.gradient.reinforce import ReinforceSettings
from easyedit_ice.editors.gradient.training_settings import TrainingHyperParams
from easyedit_ice.errors import HyperParamsError

COUNTS = (1, 2, 6, 12, 18, 30, 32)


@pytest.mark.parametrize(
    ("depth", "first", "last"),
    [
        ([0.0, 0.0], (0, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0)),
        ([0.18, 0.31], (0, 0, 1, 2, 3, 5, 6), (0, 0, 2, 3, 5, 9, 10)),
        ([0.75, 1.0], (0, 1, 4, 8, 13, 22, 23), (0, 1, 5, 11, 17, 29, 31)),
    ],
)
def test_depth_tells_the_blocks_of_a_model_of_any_height(depth, first, last):
    hparams = LoraHyperParams(depth=depth)
    blocks = [hparams.usual_layers(count) for count in COUNTS]
    assert blocks == [list(range(low, high + 1)) for low, high in zip(first, last, strict=True)]


@pytest.mark.parametrize("hparams", [LoraHyperParams(), LocFTHyperParams()], ids=["LoRA-BF", "LocFT-BF"])
def test_by_default_there_is_a_block_in_every_model_and_not_all_of_a_tall_one(hparams):
    for count in COUNTS:
        blocks = hparams.usual_layers(count)
        assert blocks
        assert set(blocks) <= set(range(count))
    assert len(hparams.usual_layers(32)) < 32


@pytest.mark.parametrize("depth", [[], [0.5], [0.6, 0.4], [-0.1, 0.5], [0.5, 1.1], [0.1, 0.2, 0.3], [float("nan"), 1]])
def test_a_depth_that_is_none_is_refused(depth):
    with pytest.raises(HyperParamsError, match="depth is"):
        LoraHyperParams(depth=depth)


def test_protection_of_an_adapter_that_reads_every_input_is_refused():
    @dataclass
    class Unprotectable(ProtectionSettings, DecomposedSettings, TrainingHyperParams):
        adapters: ClassVar = {"dora": DecomposedSettings}

    assert Unprotectable().protected is None
    with pytest.raises(HyperParamsError, match="protection is 'soft', and DecomposedAdapter reads every input"):
        Unprotectable(protection="soft")


def test_a_choice_of_adapter_or_objective_gets_the_settings_of_that_one():
    dense = IceLoraHyperParams(adapter="dense", clamp=0.5)
    assert (type(dense.trained), dense.trained.bound) == (DenseSettings, 0.5)
    assert type(IceLoraHyperParams(rank=3).trained) is LowRankSettings
    assert SVFHyperParams(objective="reinforce", answers=3).towards == ReinforceSettings(answers=3)
    assert type(SVFHyperParams().towards) is ObjectiveSettings
    assert [kind().teaches_itself for kind in (SVFHyperParams, IceLoraHyperParams)] == [False, True]
    assert SVFHyperParams(objective="ice").teaches_itself


def test_what_equal_settings_protect_is_found_by_them():
    one, other = (GoRAHyperParams(softness=0.5, rank=rank).protected for rank in (2, 3))
    assert one == other
    assert hash(one) == hash(other)
    assert one != GoRAHyperParams(softness=0.4).protected
