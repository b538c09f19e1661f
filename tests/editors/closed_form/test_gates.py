"""Gates open where a fact's key is read."""

from __future__ import annotations

import torch

from easyedit_ice.editors.closed_form.gates import Gates
from easyedit_ice.precompute.factors import Factor, identity_factor


def test_a_reader_gives_one_at_its_key_and_the_least_elsewhere() -> None:
    generator = torch.Generator().manual_seed(0)
    texts = torch.randn(4000, 6, generator=generator) @ torch.diag(torch.tensor([9.0, 3.0, 1.0, 1.0, 0.3, 0.1]))
    key = torch.randn(1, 6, generator=generator)
    moment = texts.double().T @ texts.double() / len(texts)
    factor = Factor(torch.linalg.cholesky(moment))
    (reader,) = Gates(factor, 0.4, 0.6).readers(key, key[:0])
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


def test_other_facts_open_no_gate_unless_they_are_of_the_same_subject() -> None:
    gates, keys = Gates(identity_factor(3, 1.0, 1), 0.4, 0.6), torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.9, 0.0]])
    others = torch.tensor([[0.5, 0.0, 0.9], [0.99, 0.01, 0.0]])
    readers = gates.readers(keys, others)
    read = readers @ torch.cat([keys, others]).T
    torch.testing.assert_close(read[:, :2], torch.eye(2), atol=1e-2, rtol=0)
    assert abs(read[0, 2]) < 1e-2
    assert read[0, 3] > 0.9
