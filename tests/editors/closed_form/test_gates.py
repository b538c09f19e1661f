"""Gates open where a fact's key is read."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.editors.closed_form.gates import Gates
from easyedit_ice.precompute.factors import Factor, identity_factor


def test_a_reader_gives_one_at_its_key_and_the_least_elsewhere() -> None:
    generator = torch.Generator().manual_seed(0)
    texts = torch.randn(4000, 6, generator=generator) @ torch.diag(torch.tensor([9.0, 3.0, 1.0, 1.0, 0.3, 0.1]))
    key = torch.randn(1, 6, generator=generator)
    moment = texts.double().T @ texts.double() / len(texts)
    factor = Factor(torch.linalg.cholesky(moment))
    (reader,) = Gates(factor, 0.4, 0.6).of([key], torch.ones(1, 2), key[:0]).readers
    plain = key[0] / key.square().sum()
    assert abs((reader @ key[0]).item() - 1) < 1e-5
    assert (texts @ reader).square().mean() < 0.1 * (texts @ plain).square().mean()


def test_a_gate_is_open_wherever_its_own_fact_was_read() -> None:
    factor = identity_factor(3, 1.0, 1)
    states = [torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.9, 0.0]]), torch.tensor([[0.0, 0.0, 2.0]])]
    values = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    delta = Gates(factor, 0.4, 0.6).of(states, values, torch.empty(0, 3))
    for own, value in zip(states, values, strict=True):
        torch.testing.assert_close(delta.apply(own), value.expand(len(own), 2), atol=1e-6, rtol=0)
    assert torch.allclose(delta.open - delta.closed, torch.tensor(0.2))
    assert delta.open[1] == 0.6


def test_other_facts_open_no_gate_unless_they_cannot_be_told_apart() -> None:
    """As the key of the same subject after other words cannot."""
    gates, keys = Gates(identity_factor(3, 1.0, 1), 0.4, 0.6), torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0]])
    apart = gates.of([keys[:1], keys[1:]], torch.eye(2), torch.tensor([[0.5, 0.0, 0.9]]))
    torch.testing.assert_close(apart.apply(keys), torch.eye(2))
    assert apart.apply(torch.tensor([0.5, 0.0, 0.9])).abs().max() == 0
    own = torch.tensor([[1.0, 0.0, 0.0], [0.99, 0.03, 0.0], [0.97, -0.03, 0.0]])
    same = gates.of([own], torch.ones(1, 1), torch.tensor([[0.98, 0.01, 0.0]]))
    torch.testing.assert_close(same.apply(own), torch.ones(3, 1))
    assert same.closed >= 0.2


def test_a_gate_never_opens_for_what_is_read_anywhere() -> None:
    own = torch.tensor([[1.0, 0.0, 0.0], [-0.9, 0.9, 0.0]])
    delta = Gates(identity_factor(3, 1.0, 1), 0.4, 0.6).of([own], torch.ones(1, 1), own[:0])
    assert delta.closed.item() == pytest.approx(0.2)
    assert delta.apply(torch.zeros(3)) == 0
