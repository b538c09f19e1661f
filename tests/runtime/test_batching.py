"""Rows are cut into batches that hold each of them once, in the order and within the bounds that are said."""

from __future__ import annotations

from itertools import combinations, pairwise
from math import inf

import pytest
import torch

from easyedit_ice.runtime.batching import (
    alike,
    batches,
    batches_alike,
    batches_that_fit,
    by_row,
    cheapest,
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


def test_rows_of_like_length_share_a_batch_within_the_tokens_also_padded() -> None:
    found = list(shortest_first(LENGTHS, 12))
    assert sorted(index for batch in found for index in batch) == list(range(len(LENGTHS)))
    assert all(len(batch) * max(LENGTHS[index] for index in batch) <= 12 or len(batch) == 1 for batch in found)
    assert [LENGTHS[index] for batch in found for index in batch] == sorted(LENGTHS)
    assert any(len(batch) > 1 for batch in found)


@pytest.mark.parametrize("tokens", [1, 12, 50, 1000])
@pytest.mark.parametrize("per_pass", [0, 3, 10, 1000])
def test_no_other_batches_of_like_rows_cost_less(tokens: int, per_pass: int) -> None:
    longest = sorted(LENGTHS, reverse=True)

    def cost(batches: list[list[int]]) -> float:
        sizes = [len(batch) * max(batch) for batch in batches]
        fits = all(size <= tokens or len(batch) == 1 for batch, size in zip(batches, sizes, strict=True))
        return sum(sizes) + per_pass * len(batches) if fits else inf

    found = [[LENGTHS[index] for index in batch] for batch in cheapest(LENGTHS, tokens, per_pass)]
    ways = (
        [longest[begin:stop] for begin, stop in pairwise((0, *cuts, len(longest)))]
        for count in range(len(longest))
        for cuts in combinations(range(1, len(longest)), count)
    )
    assert [length for batch in found for length in batch] == longest
    assert cost(found) == min(map(cost, ways)) < inf


def test_a_long_row_does_not_fill_short_ones_up_unless_passes_are_dear() -> None:
    lengths = [240, 18, 17, 18, 62]
    assert [[lengths[index] for index in batch] for batch in cheapest(lengths, 1536, 32)] == [[240], [62], [18, 18, 17]]
    assert len(cheapest(lengths, 1536, 8192)) == 1
    assert cheapest([], 1536, 32) == []


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
