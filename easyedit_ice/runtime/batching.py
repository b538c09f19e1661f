"""What is run side by side: rows cut into batches, and filled up to one length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")
MOST_PADDED = 1.6
"""How many times the length of the shortest row the longest that runs beside it may have."""
PER_PASS = {"cpu": 32, "cuda": 8192}
"""What a pass costs by itself, in tokens: a GPU waits for its kernels to be launched, whatever they work on."""


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Items in their order, so many together."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def batches_that_fit(items: Iterable[Item], fits: Callable[[list[Item]], bool]) -> Iterator[list[Item]]:
    """Items in their order, as many together as fit, and one at least."""
    batch: list[Item] = []
    for item in items:
        if batch and not fits([*batch, item]):
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def windows(rows: Iterable[Sequence[int]], tokens: int) -> Iterator[list[Sequence[int]]]:
    """Rows in their order, cut as soon as there are so many tokens."""
    window: list[Sequence[int]] = []
    counted = 0
    for row in rows:
        window.append(row)
        counted += len(row)
        if counted >= tokens:
            yield window
            window, counted = [], 0
    if window:
        yield window


def shortest_first(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Indices of many rows of these lengths, those of like length together, with so many tokens at most."""
    batch: list[int] = []
    for index in _by_length(lengths):
        if batch and lengths[index] * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def cheapest(lengths: Sequence[int], tokens: int, per_pass: int) -> list[list[int]]:
    """Indices of some rows of these lengths in batches that together cost least, the longest first.

    A batch costs the tokens of its rows, each filled up to the longest, and what a pass costs whatever is in it.

    Args:
        lengths: in tokens, one at least each.
        tokens: most of a batch, padding included; a longer row has a batch of its own.
        per_pass: what a pass costs, in tokens.
    """
    order = _by_length(lengths)[::-1]
    least, begins = [0], [0]  # of the first rows of the order: the least cost, and where the last batch begins
    for stop in range(1, len(order) + 1):
        cost, begin = min(_costs(lengths, order, stop, tokens, per_pass, least))
        least.append(cost)
        begins.append(begin)
    found: list[list[int]] = []
    stop = len(order)
    while stop:
        found.append(order[begins[stop] : stop])
        stop = begins[stop]
    return found[::-1]


def _costs(
    lengths: Sequence[int], order: Sequence[int], stop: int, tokens: int, per_pass: int, least: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """What the rows before ``stop`` cost, by where the last batch of them begins."""
    for begin in range(stop - 1, -1, -1):
        padded_tokens = lengths[order[begin]] * (stop - begin)
        if padded_tokens > tokens and begin < stop - 1:
            return
        yield least[begin] + per_pass + padded_tokens, begin


def alike(lengths: Sequence[int], most_padded: float = MOST_PADDED) -> list[list[int]]:
    """Indices of rows of these lengths in groups, of which the longest is not much longer than the shortest.

    Args:
        lengths: in tokens.
        most_padded: how many times as long it may be; 1 for groups of one length.
    """
    groups: list[list[int]] = []
    shortest = 0
    for index in _by_length(lengths):
        if not groups or lengths[index] > most_padded * shortest:
            groups.append([])
            shortest = lengths[index]
        groups[-1].append(index)
    return groups


def batches_alike(lengths: Sequence[int], size: int, most_padded: float = MOST_PADDED) -> list[Sequence[int]]:
    """The groups of :func:`alike`, each cut into batches of so many rows."""
    return [batch for group in alike(lengths, most_padded) for batch in batches(group, size)]


def tokens_on(device: torch.device, budgets: Mapping[str, int]) -> int:
    """How many tokens run side by side on a device, given that for ``"cpu"`` and, for any other, for ``"cuda"``."""
    return budgets.get(device.type, budgets["cuda"])


def padded(rows: Sequence[Sequence[int]], left: bool = False) -> tuple[Tensor, Tensor]:
    """Rows side by side, and which cells are theirs: (n, longest) each."""
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    real = torch.zeros(len(rows), width, dtype=torch.bool)
    for index, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[index, place] = torch.tensor(row, dtype=torch.long)
        real[index, place] = True
    return ids, real


def by_row(values: Tensor, rows: int) -> Tensor:
    """(n, tokens, d); the MLPs of some models, such as OPT, see the tokens of all rows one after the other."""
    return values.reshape(rows, -1, values.shape[-1])


def _by_length(lengths: Sequence[int]) -> list[int]:
    return sorted(range(len(lengths)), key=lambda index: lengths[index])
