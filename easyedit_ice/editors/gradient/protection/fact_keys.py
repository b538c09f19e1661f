"""What projections read where facts are looked up and written: at the subject's last token, and before the target's.

Shapes: n keys, in the width of a projection's input.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.subject_position import subject_in
from easyedit_ice.editors.gradient.objectives import fact_rows
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.capture import captured
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import batches, by_row, padded
from easyedit_ice.text.rows import Row
from easyedit_ice.text.subjects import mentions

ROWS = 64
"""Texts that run side by side."""


@torch.no_grad()
def fact_keys(
    model: nn.Module,
    tok: Tokenizer,
    requests: Sequence[EditRequest],
    names: Sequence[str],
    *,
    append_eos: bool,
    prefixes: Sequence[str] = (),
) -> dict[str, Tensor]:
    """The keys of some facts: (n, in) in fp32, by module.

    Args:
        model: as it shall be read, in evaluation mode.
        tok: its tokenizer.
        requests: the facts.
        names: paths of the modules.
        append_eos: whether the end of text is written after the target.
        prefixes: texts that each fact is stated after as well, where the model's context has room.

    Returns:
        for each statement the keys at the subject's last token, if it has one, and wherever a token of the target is
        predicted.
    """
    longest = ModelAnatomy(model).context_length
    stated = [
        (request, prefix, row)
        for request in requests
        for prefix, row in fact_rows(tok, request, append_eos, ("", *prefixes), longest)
    ]
    return _read(model, [row for _, _, row in stated], [_columns(tok, *parts) for parts in stated], names)


@torch.no_grad()
def text_keys(model: nn.Module, rows: Sequence[Row], names: Sequence[str]) -> dict[str, Tensor]:
    """What modules read of some texts, at each token but the last: (n, in) in fp32, by module.

    Args:
        model: as it shall be read, in evaluation mode.
        rows: the texts; at least one.
        names: paths of the modules.
    """
    return _read(model, rows, [range(len(row.ids) - 1) for row in rows], names)


def _read(
    model: nn.Module, rows: Sequence[Row], columns: Sequence[Sequence[int]], names: Sequence[str]
) -> dict[str, Tensor]:
    """What modules read at some columns of each row."""
    by_name: dict[str, list[Tensor]] = {name: [] for name in names}
    for together, places in zip(batches(rows, ROWS), batches(columns, ROWS), strict=True):
        for name, keys in _together(model, together, places, names).items():
            by_name[name].append(keys)
    return {name: torch.cat(rows) for name, rows in by_name.items()}


def _together(
    model: nn.Module, rows: Sequence[Row], columns: Sequence[Sequence[int]], names: Sequence[str]
) -> dict[str, Tensor]:
    """The same of rows in one pass."""
    wanted = torch.tensor([(index, column) for index, of_row in enumerate(columns) for column in of_row])
    ids, real = padded([row.ids[:-1] for row in rows])
    device = embedding_weight(model).device

    def at_columns(value: Tensor) -> Tensor:
        values = by_row(value, len(rows))
        return values[tuple(wanted.T.to(values.device))].float()

    with captured({name: model.get_submodule(name) for name in names}, "in", keep=at_columns, stop=True) as states:
        model(input_ids=ids.to(device), attention_mask=real.long().to(device), use_cache=False)
    return states


def _columns(tok: Tokenizer, request: EditRequest, prefix: str, row: Row) -> list[int]:
    """Where a statement's keys are."""
    first = len(row.ids) - row.span - 1
    columns = set(range(first, len(row.ids) - 1))
    if request.subject and mentions(request.prompt, request.subject):
        columns.add(min(subject_in(tok, request, prefix), first))
    return sorted(columns)
