"""What modules read and return is seen as they run, and the pass ends where all has been seen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from easyedit_ice.model.capture import captured, hidden_of, watching, with_hidden

INPUT = torch.tensor([[1.0, -2.0]])


@pytest.fixture
def layers() -> nn.Sequential:
    """Doubles, cuts off below zero, and fails."""

    class Failing(nn.Module):
        def forward(self, value: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("the pass went on")

    double = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        double.weight.copy_(2 * torch.eye(2))
    return nn.Sequential(double, nn.ReLU(), Failing())


def _hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_the_pass_ends_where_all_has_been_seen(layers: nn.Sequential) -> None:
    with captured({"double": layers[0], "cut": layers[1]}, "out", stop=True) as seen:
        layers(INPUT)
    assert seen["double"].tolist() == [[2.0, -4.0]]
    assert seen["cut"].tolist() == [[2.0, 0.0]]
    with captured({"cut": layers[1]}, "in", keep=torch.Tensor.tolist, stop=True) as seen:
        layers(INPUT)
    assert seen == {"cut": [[2.0, -4.0]]}
    assert _hooks(layers) == 0


def test_a_pass_goes_on_unless_it_is_stopped_and_its_errors_are_raised(layers: nn.Sequential) -> None:
    with pytest.raises(RuntimeError, match="went on"), captured({"cut": layers[1]}, "in") as seen:
        layers(INPUT)
    assert seen["cut"].tolist() == [[2.0, -4.0]]
    assert _hooks(layers) == 0


def test_an_inner_watch_does_not_end_where_an_outer_one_has_seen_enough(layers: nn.Sequential) -> None:
    went_on = []
    with captured({"double": layers[0]}, "out", stop=True):
        with captured({"failing": layers[2]}, "in", stop=True):
            layers(INPUT)
        went_on.append("after the pass")
    assert went_on == []


def test_what_is_watched_may_be_given_something_else(layers: nn.Sequential) -> None:
    with watching([layers[0]], before=lambda module, args: (args[0] + 1,), after=lambda module, args, output: -output):
        assert layers[:2](INPUT).tolist() == [[0.0, 2.0]]
    assert layers[:2](INPUT).tolist() == [[2.0, 0.0]]


def test_hidden_states_are_taken_out_of_and_put_into_what_blocks_return() -> None:
    hidden, other = torch.ones(1), torch.zeros(1)
    assert hidden_of((hidden, "cache")) is hidden_of(hidden) is hidden
    assert with_hidden((hidden, "cache"), other) == (other, "cache")
    assert with_hidden(hidden, other) is other


def test_a_pass_that_ended_early_leaves_no_tensors_to_the_garbage_collector():
    import gc
    import weakref

    model, made = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)), []
    model[0].register_forward_hook(lambda module, args, output: made.append(weakref.ref(output)))
    gc.disable()
    try:
        with captured({"second": model[1]}, "in", keep=lambda value: value.shape, stop=True):
            model(torch.ones(2, 3))
        assert made[0]() is None
    finally:
        gc.enable()
