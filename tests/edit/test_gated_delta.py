"""Changes that act only where a key is read."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.edit.delta import Delta, DenseDelta
from easyedit_ice.edit.gated_delta import ANY_LENGTH, GatedDelta
from easyedit_ice.errors import UpdateError

KEY = torch.tensor([3.0, 4.0, 0.0])


def _gated(scale: float = 1.0, **changes) -> GatedDelta:
    """One value that is written where KEY is read: not below half of it, wholly from four fifths on."""
    parts = {
        "readers": (KEY / KEY.square().sum())[None],
        "lengths": KEY.norm()[None],
        "values": scale * torch.tensor([[1.0, -2.0]]),
        "closed": torch.tensor([0.5]),
        "open": torch.tensor([0.8]),
    }
    return GatedDelta(**(parts | changes))


@pytest.mark.parametrize(("share", "written"), [(0.3, 0.0), (0.5, 0.0), (0.65, 0.5), (0.8, 1.0), (1.0, 1.0)])
def test_a_gate_opens_with_how_much_of_the_key_is_read(share, written):
    torch.testing.assert_close(_gated().apply(share * KEY), written * torch.tensor([1.0, -2.0]))


def test_a_long_input_reads_no_more_of_a_key_than_its_direction_says():
    long, across = 100 * KEY, torch.tensor([4.0, -3.0, 0.0])
    assert torch.equal(_gated().apply(long), torch.tensor([1.0, -2.0]))
    assert torch.equal(_gated().apply(KEY + 10 * across), torch.zeros(2))
    assert torch.equal(_gated().apply(torch.zeros(3)), torch.zeros(2))


def test_any_length_counts_for_all_that_is_read():
    free, across = _gated(lengths=torch.tensor([ANY_LENGTH])), torch.tensor([4.0, -3.0, 0.0])
    assert _gated().bounded and not free.bounded
    assert torch.equal(free.apply(KEY + 10 * across), torch.tensor([1.0, -2.0]))
    assert torch.equal(free.apply(0.3 * KEY), torch.zeros(2))
    assert torch.equal(free.apply(torch.zeros(3)), torch.zeros(2))


def test_gates_of_several_deltas_are_one_delta():
    other = _gated(readers=torch.tensor([[0.0, 0.0, 1.0]]), lengths=torch.ones(1), values=torch.tensor([[5.0, 0.0]]))
    both = _gated().plus(other)
    inputs = torch.stack([KEY, torch.tensor([0.0, 0.0, 1.0]), torch.zeros(3)])
    assert torch.equal(both.apply(inputs), _gated().apply(inputs) + other.apply(inputs))
    torch.testing.assert_close(both.scaled(2).apply(inputs), 2 * both.apply(inputs))
    loaded = Delta.load("gated", both.tensors())
    assert torch.equal(loaded.apply(inputs), both.apply(inputs))


@pytest.mark.parametrize("gated_first", [True, False])
def test_gates_do_not_add_to_a_matrix(gated_first):
    dense = DenseDelta(torch.ones(2, 3))
    one, other = (_gated(), dense) if gated_first else (dense, _gated())
    with pytest.raises(UpdateError, match="do not add to one; commit them as two updates"):
        one.plus(other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": torch.ones(2, 2)}, r"expected \(n, in\) and \(n, out\)"),
        ({"lengths": torch.ones(2)}, r"expected \(1,\) of each"),
        ({"closed": torch.tensor([0.8])}, "open before it opens"),
        ({"readers": torch.ones(1, 3, dtype=torch.int64)}, "expected float32"),
    ],
)
def test_what_makes_no_gates_is_refused(changes, message):
    with pytest.raises(UpdateError, match=message):
        _gated(**changes)
