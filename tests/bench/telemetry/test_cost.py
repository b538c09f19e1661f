import sys
import time

import pytest
import torch
from torch import nn

from easyedit_ice.bench.telemetry.cost import Meter, measured

MODEL = nn.Linear(2, 2)


def test_the_time_of_the_block_is_measured_also_when_it_raises():
    with pytest.raises(ValueError), measured(MODEL) as cost:
        time.sleep(0.05)
        raise ValueError
    assert 0.05 <= cost.seconds < 5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_peak_is_what_the_block_had_at_its_highest_above_what_was_there_before():
    before = torch.ones(2**22)  # 16 MiB
    with measured(MODEL) as cost:
        torch.ones(2**24).sum()  # 64 MiB, given back at once
        torch.ones(2**22).sum()
    assert 48 <= cost.peak_mib <= 96
    assert before.sum() == 2**22


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_each_block_has_a_peak_of_its_own():
    with measured(MODEL):
        torch.ones(2**24).sum()
    with measured(MODEL) as small:
        pass
    assert small.peak_mib < 16


def test_the_first_block_of_a_meter_is_told_from_the_others():
    meter = Meter(MODEL)
    costs = []
    for _ in range(3):
        with meter.measured() as cost:
            costs.append(cost)
    assert [cost.first for cost in costs] == [True, False, False]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_peak_is_the_gpus():
    with measured(nn.Linear(2, 2).cuda()) as cost:
        torch.ones(2**24, device="cuda").sum()
    assert cost.peak_mib == pytest.approx(64, abs=4)
