"""Settings that follow from the model."""

from __future__ import annotations

import pytest

from easyedit_ice.algorithms.locft import LocFTHyperParams
from easyedit_ice.algorithms.lora import LoraHyperParams
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
