"""What a module reads or writes at some tokens of each text, by a pass that ends there.

Shapes: n rows, p places in all, d the width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from easyedit_ice.model.capture import Side, captured, hidden_of
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.runtime.batching import by_row, padded, shortest_first, tokens_on

TOKENS = {"cpu": 2048, "cuda": 32768}
"""Most tokens run side by side, where nothing else is said."""


def at_last_token(
    model: nn.Module, rows: Sequence[Sequence[int]], module: str, side: Side, together: int | None = None
) -> Tensor:
    """What a module reads or writes at the last token of each row: (n, d), as :func:`at_places` has it."""
    return at_places(model, rows, [(len(row) - 1,) for row in rows], module, side, together)


@torch.no_grad()
def at_places(
    model: nn.Module,
    rows: Sequence[Sequence[int]],
    places: Sequence[Sequence[int]],
    module: str,
    side: Side,
    together: int | None = None,
) -> Tensor:
    """What a module reads or writes at some tokens of each row: (p, d) in fp32, one row's after the other's; the pass
    ends there.

    Args:
        model: in evaluation mode.
        rows: token ids.
        places: of each row, indices of its tokens.
        module: its path.
        side: ``"in"`` or ``"out"``.
        together: most tokens run side by side; ``None`` for what suits the device.

    Raises:
        AnatomyError: the model does not call the module.
    """
    picked: dict[int, Tensor] = {}
    watched = model.get_submodule(module)
    device = embedding_weight(model).device
    for chunk in shortest_first([len(row) for row in rows], together or tokens_on(device, TOKENS)):
        ids, real = padded([rows[index] for index in chunk])
        inputs = {"input_ids": ids.to(device), "attention_mask": real.long().to(device), "use_cache": False}
        with captured({module: watched}, side, keep=hidden_of, stop=True) as states:
            model(**inputs)
        values = by_row(states[module], len(chunk))
        picked |= {index: hidden[list(places[index])].float() for index, hidden in zip(chunk, values, strict=True)}
    return torch.cat([picked[index] for index in range(len(rows))])
