"""Rows are cut into batches that hold each of them once, in the order and within the bounds that are said."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.runtime.batching import (
    alike,
    batches,
    batches_alike,
    batches_that_fit,
    by_row,
    longest_first,
    padded,
    shortest_first,
    tokens_on,
    windows,
)

LENGTHS = [5, 2, 9, 2, 3, 8, 40]


def test_batches_keep_the_order() -> None:
    assert [list(batch) for batch in batches(range(5), 2)] == [[0, 1], [2, 3], [4]]
    assert list(batches([], 2)) == []


def test_batches_are_filled_while_they_fit_and_hold_one_at_least() -> None:
    assert list(batches_that_fit([3, 3, 9, 1, 2], lambda own: sum(own) <= 6)) == [[3, 3], [9], [1, 2]]
    assert list(batches_that_fit([], bool)) == []


def test_windows_end_with_the_row_that_fills_them() -> None:
    rows = [(0,) * length for length in (3, 3, 9, 1)]
    assert [[len(row) for row in window] for window in windows(iter(rows), 5)] == [[3, 3], [9], [1]]


@pytest.mark.parametrize("order", [shortest_first, longest_first])
def test_rows_of_like_length_share_a_batch_within_the_tokens_also_padded(order) -> None:
    found = list(order(LENGTHS, 12))
    assert sorted(index for batch in found for index in batch) == list(range(len(LENGTHS)))
    assert all(len(batch) * max(LENGTHS[index] for index in batch) <= 12 or len(batch) == 1 for batch in found)
    lengths = [LENGTHS[index] for batch in found for index in batch]
    assert lengths == sorted(LENGTHS, reverse=order is longest_first)
    assert any(len(batch) > 1 for batch in found)


def test_groups_are_bounded_by_their_shortest_row() -> None:
    groups = [[LENGTHS[index] for index in group] for group in alike(LENGTHS)]
    assert groups == [[2, 2, 3], [5, 8], [9], [40]]
    assert [[LENGTHS[index] for index in group] for group in alike(LENGTHS, 1)] == [[2, 2], [3], [5], [8], [9], [40]]
    assert [len(batch) for batch in batches_alike(LENGTHS, 2)] == [2, 1, 2, 1, 1]


def test_rows_are_filled_up_on_either_side() -> None:
    ids, real = padded([(7, 8), (9,)])
    assert ids.tolist() == [[7, 8], [9, 0]]
    assert real.tolist() == [[True, True], [True, False]]
    assert padded([(7, 8), (9,)], left=True)[0].tolist() == [[7, 8], [0, 9]]


def test_tokens_of_all_rows_one_after_the_other_are_told_apart_by_row() -> None:
    assert by_row(torch.zeros(6, 4), 2).shape == by_row(torch.zeros(2, 3, 4), 2).shape == (2, 3, 4)


def test_any_accelerator_has_the_budget_of_cuda() -> None:
    budgets = {"cpu": 1, "cuda": 2}
    assert [tokens_on(torch.device(kind), budgets) for kind in ("cpu", "cuda:1", "mps")] == [1, 2, 2]
