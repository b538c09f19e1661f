"""Second moments of what projections read, over general text: C = E[k kᵀ].

MEMIT (arXiv 2210.07229, section 4.2) and its kin weigh by C how much a write may disturb other keys. All projections
are measured in one pass, before any edit; the pass ends at the last of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from easyedit_ice.errors import DataError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.capture import captured
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import padded, shortest_first, windows
from easyedit_ice.runtime.distributed import Share
from easyedit_ice.runtime.progress import progress
from easyedit_ice.text.tokens import tokens

logger = logging.getLogger(__name__)

BATCH_TOKENS = 8192
"""Tokens that run side by side, with padding."""
LONGEST = 1024
"""Most tokens of a text that are read: models of a long context need not fill it."""
_WINDOW = 16
"""Batches' worth of texts among which those of like length are put together."""


@dataclass(frozen=True)
class SecondMoments:
    """What was measured.

    Attributes:
        moments: module path -> (d, d) mean of k kᵀ in fp64 on the CPU, where d is the width of the module's input; of
            e fused experts (e, d, d), where d is the width of one.
        tokens: over how many tokens.
    """

    moments: Mapping[str, Tensor]
    tokens: int


def longest_text(model: nn.Module) -> int:
    """Tokens of a text that are read: the model's context, and no more than :data:`LONGEST`."""
    return min(ModelAnatomy(model).context_length or LONGEST, LONGEST)


@torch.no_grad()
def second_moments(
    model: nn.Module,
    tok: Tokenizer,
    names: Sequence[str],
    texts: Iterable[str],
    tokens: int | None = None,
    share: Share | None = None,
) -> SecondMoments:
    """Measure second moments of the inputs of some modules, at every token of some texts.

    Products are computed in fp32 and summed in fp64.

    Args:
        model: as it is before any edit; it is left as it is.
        tok: its tokenizer.
        names: paths of the modules, such as ``transformer.h.3.mlp.c_proj``.
        texts: read in order; each counts up to :func:`longest_text`.
        tokens: stop after this many; at the texts' end if ``None``.
        share: which of the texts to run here, where several processes share them; the result is that of all.

    Raises:
        AnatomyError: the model has no projection of such a path.
        DataError: the texts hold no token, or fewer than ``tokens``.
    """
    part = share or Share()
    anatomy = ModelAnatomy(model)
    projections = {name: anatomy.site(name) for name in names}
    sums = {
        name: torch.zeros(projection.moments_shape, dtype=torch.float64) for name, projection in projections.items()
    }
    rows = islice(_token_rows(tok, texts, longest_text(model), tokens), part.index, None, part.count)
    read = 0
    with progress(logger, "second moments", tokens, "token") as advance:
        for batch in _batches(rows):
            for name, keys in _read(model, names, batch).items():
                sums[name] += _products(keys, projections[name].experts).cpu()
            counted = sum(map(len, batch))
            read += counted
            advance(counted * part.count)
    read = int(part.total(torch.tensor(read)))
    if read == 0 or (tokens is not None and read < tokens):
        raise DataError(
            f"the texts hold {read} tokens, and second moments need {tokens or 'some'}; give more text, or lower "
            "dynamic_multiplier"
        )
    return SecondMoments({name: part.total(total) / read for name, total in sums.items()}, read)


def _products(keys: Tensor, experts: int) -> Tensor:
    """Kᵀ K of keys (t, d), (d, d); or of each expert's, (e, d / e, d / e)."""
    if experts == 1:
        return keys.T @ keys
    parts = keys.unflatten(1, (experts, -1)).transpose(0, 1)
    products: Tensor = parts.mT @ parts
    return products


def _token_rows(tok: Tokenizer, texts: Iterable[str], longest: int, count: int | None) -> Iterator[tuple[int, ...]]:
    left = count
    for text in texts:
        ids = tokens(tok, text)[: longest if left is None else min(longest, left)]
        if ids:
            yield ids
        if left is not None:
            left -= len(ids)
            if left == 0:
                return


def _read(model: nn.Module, names: Sequence[str], rows: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """What modules read at every token of some rows, (t, d) in fp32; the pass ends when all have read."""
    ids, real = padded(rows)
    device = embedding_weight(model).device

    def at_real(value: Tensor) -> Tensor:
        return value.reshape(*real.shape, -1)[real.to(value.device)].float()

    with captured({name: model.get_submodule(name) for name in names}, "in", keep=at_real, stop=True) as keys:
        model(input_ids=ids.to(device), attention_mask=real.long().to(device), use_cache=False)
    return keys


def _batches(rows: Iterable[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    """All rows, those of like length side by side, as many together as :data:`BATCH_TOKENS` allows."""
    for window in windows(rows, _WINDOW * BATCH_TOKENS):
        for batch in shortest_first([len(row) for row in window], BATCH_TOKENS):
            yield [window[index] for index in batch]
