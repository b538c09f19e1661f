"""How a model's belief in some facts answers to small changes of its projections.

A fact's *log-odds* are those of its whole target, o = log(p / (1 - p)), where p is the probability that all of its
tokens follow: above 0 the model is likelier to write it than anything else, and far from there o is as linear in the
logits as log p. A change ΔW of a projection moves it, to first order, by Σ gᵀ ΔW k over the text's tokens: k is what
the projection reads there, and g the gradient of o by what it writes.

Shapes: n rows, t tokens of all of them, in and out the widths of a projection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easyedit_ice.model.pulls import odds, pulled
from easyedit_ice.model.reentry import Below
from easyedit_ice.runtime.batching import alike
from easyedit_ice.text.rows import Row


@dataclass(frozen=True)
class Linearised:
    """Some rows in a model as it is.

    Attributes:
        odds: log-odds of each row's predicted tokens, (n,) in nats.
        tokens: how many tokens of each row are read.
        keys: k, (t, in) in fp32 on the CPU by path of the projection, one row's tokens after the other's.
        pulls: g, (t, out), the same.
        first: of each token the first that the same text ends with, (t,): the model reads the same at both.
    """

    odds: Tensor
    tokens: tuple[int, ...]
    keys: dict[str, Tensor]
    pulls: dict[str, Tensor]
    first: Tensor

    def owners(self) -> Tensor:
        """The row of each token, (t,)."""
        return torch.arange(len(self.tokens)).repeat_interleave(torch.tensor(self.tokens))


def linearised(model: nn.Module, rows: Sequence[Row], names: Sequence[str], below: Below | None = None) -> Linearised:
    """A pass forward and one back over rows of like length side by side.

    Args:
        model: in evaluation mode; its parameters get no gradient.
        rows: whose predicted tokens are a fact's target.
        names: paths of the projections.
        below: blocks that need not run again for rows that the model has read before; all run if left out.

    Raises:
        AnatomyError: the model does not call a projection.
    """
    groups = [sorted(group) for group in alike([len(row.ids) for row in rows])]
    parts = [_side_by_side(model, [rows[index] for index in group], names, below or Below()) for group in groups]
    if len(parts) == 1:
        return parts[0]
    place = {row: index for index, row in enumerate(row for group in groups for row in group)}
    order = [place[row] for row in range(len(rows))]

    def in_order(tensors: Iterable[Tensor]) -> Tensor:
        of_rows = [tokens for tensor, part in zip(tensors, parts, strict=True) for tokens in tensor.split(part.tokens)]
        return torch.cat([of_rows[index] for index in order])

    return Linearised(
        torch.cat([part.odds for part in parts])[order],
        tuple(len(row.ids) - 1 for row in rows),
        {name: in_order(part.keys[name] for part in parts) for name in names},
        {name: in_order(part.pulls[name] for part in parts) for name in names},
        _first([row.ids[:-1] for row in rows]),
    )


def _side_by_side(model: nn.Module, rows: Sequence[Row], names: Sequence[str], below: Below) -> Linearised:
    """The same with all rows in one pass."""
    places = [
        (index, place) for index, row in enumerate(rows) for place in range(len(row.ids) - row.span, len(row.ids))
    ]
    wanted = torch.tensor([rows[index].ids[place] for index, place in places])
    owners = torch.tensor([index for index, _ in places])

    def odds_of(logits: Tensor) -> Tensor:
        log_probs = logits.float().log_softmax(-1).gather(1, wanted.to(logits.device)[:, None])[:, 0]
        return odds(log_probs.new_zeros(len(rows)).index_add(0, owners.to(log_probs.device), -log_probs))

    before = [(index, place - 1) for index, place in places]
    read = tuple(row.ids[:-1] for row in rows)
    with below.once(read):
        values, keys, pulls = pulled(model, read, names, before, odds_of)
    return Linearised(values.detach().cpu(), tuple(map(len, read)), keys, pulls, _first(read))


def _first(texts: Sequence[tuple[int, ...]]) -> Tensor:
    """The first token of all that the same text ends with, for each of theirs: (t,)."""
    ends = [ids[: end + 1] for ids in texts for end in range(len(ids))]
    known: dict[tuple[int, ...], int] = {}
    return torch.tensor([known.setdefault(text, place) for place, text in enumerate(ends)])
