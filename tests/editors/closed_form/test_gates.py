"""Gates open where a fact's key is read."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.editors.closed_form.gates import Gates
from easyedit_ice.precompute.factors import Factor, identity_factor

NONE = torch.empty(0, 3)


def _gates(factor: Factor | None = None) -> Gates:
    return Gates(factor or identity_factor(3, 1.0, 1), 0.4, 0.6, bounded=True)


def test_a_reader_gives_one_at_its_key_and_the_least_elsewhere() -> None:
    generator = torch.Generator().manual_seed(0)
    texts = torch.randn(4000, 6, generator=generator) @ torch.diag(torch.tensor([9.0, 3.0, 1.0, 1.0, 0.3, 0.1]))
    key = torch.randn(1, 6, generator=generator)
    moment = texts.double().T @ texts.double() / len(texts)
    factor = Factor(torch.linalg.cholesky(moment))
    (reader,) = _gates(factor).of([key], torch.ones(1, 2), key[:0], [key[:0]]).readers
    plain = key[0] / key.square().sum()
    assert abs((reader @ key[0]).item() - 1) < 1e-5
    assert (texts @ reader).square().mean() < 0.1 * (texts @ plain).square().mean()


def test_a_gate_is_open_wherever_its_own_fact_was_read() -> None:
    """By opening earlier, where a context has a little less of the key."""
    states = [torch.tensor([[1.0, 0.0, 0.0], [0.42, 0.88, 0.0], [0.8, -0.5, 0.0]]), torch.tensor([[0.0, 0.0, 2.0]])]
    values = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    delta = _gates().of(states, values, NONE, [NONE, NONE])
    for own, value in zip(states, values, strict=True):
        torch.testing.assert_close(delta.apply(own), value.expand(len(own), 2), atol=1e-6, rtol=0)
    assert 0.5 <= delta.open[0] < 0.6
    assert torch.allclose(delta.open - delta.closed, torch.tensor(0.2))
    assert delta.open[1] == 0.6


def test_other_facts_open_no_gate_unless_they_cannot_be_told_apart() -> None:
    """As the key of the same subject after other words cannot."""
    gates, keys = _gates(), torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0]])
    apart = gates.of([keys[:1], keys[1:]], torch.eye(2), torch.tensor([[0.5, 0.0, 0.9]]), [NONE, NONE])
    torch.testing.assert_close(apart.apply(keys), torch.eye(2))
    assert apart.apply(torch.tensor([0.5, 0.0, 0.9])).abs().max() == 0
    own = torch.tensor([[1.0, 0.0, 0.0], [0.99, 0.03, 0.0], [0.97, -0.03, 0.0]])
    same = gates.of([own], torch.ones(1, 1), torch.tensor([[0.98, 0.01, 0.0]]), [NONE])
    torch.testing.assert_close(same.apply(own), torch.ones(3, 1))


def test_a_gate_opens_no_more_than_a_tenth_of_a_key_earlier() -> None:
    own = torch.tensor([[1.0, 0.0, 0.0], [-0.9, 0.9, 0.0]])
    delta = _gates().of([own], torch.ones(1, 1), NONE, [NONE])
    assert delta.closed.item() == pytest.approx(0.3)
    assert delta.apply(torch.zeros(3)) == 0


def test_plain_text_that_cannot_be_told_from_a_key_leaves_its_gate_shut() -> None:
    """As what is read at the first token of any text is, where that of the fact is like it: the gate opens above it."""
    key, alike = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.9, 0.0, 0.01], [0.7, 0.1, 0.0]])
    delta = _gates().of([key], torch.ones(1, 1), NONE, [alike])
    assert delta.apply(alike).abs().max() == 0
    torch.testing.assert_close(delta.apply(key), torch.ones(1, 1))
    told = _gates().of([key], torch.ones(1, 1), NONE, [torch.tensor([[0.6, 0.8, 0.0]])])
    assert told.closed.item() == pytest.approx(0.4)
    assert told.apply(torch.tensor([0.6, 0.8, 0.0])) == 0


def test_a_long_input_counts_for_what_is_read_of_it_where_lengths_tell_nothing() -> None:
    key = torch.tensor([[1.0, 0.0, 0.0]])
    free = Gates(identity_factor(3, 1.0, 1), 0.4, 0.6, bounded=False).of([key], torch.ones(1, 1), NONE, [NONE])
    assert not free.bounded
    assert free.apply(torch.tensor([1.0, 9.0, 0.0])) == 1
    assert _gates().of([key], torch.ones(1, 1), NONE, [NONE]).apply(torch.tensor([1.0, 9.0, 0.0])) == 0
