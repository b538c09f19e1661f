"""How EasyEdit's rows may be run side by side with others, and how far rounding may carry the logits then.

Padding before a text is left out where the model takes the tokens' positions instead, and rows are filled up on the
right. Whether that changes nothing but rounding depends on the model, so it is tried on its own rows, against the
rows as EasyEdit runs them.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from easyedit_ice.evaluation.teacher_forced.host_rows import Cell, HostRow
from easyedit_ice.evaluation.teacher_forced.readings import Line, merges_texts, tensors
from easyedit_ice.model.edit_state import state_of
from easyedit_ice.model.fused_activation import fused_activations
from easyedit_ice.model.logits import logits_at, logits_of

ROUNDING = {torch.float32: 64, torch.bfloat16: 4, torch.float16: 4}
"""Leads below this many units of rounding are not trusted, nor below twice what a logit was seen to move on the model.

Measured on GPT-2, Llama, Qwen and OPT shapes, at several thousand places each: a lead changed by at most 23 units in
fp32 and 4.3 in half precision, and the likeliest token changed only where its lead was below 1.3 units.
"""
CREDIBLE = 4
"""A difference of more than this many times the above has another cause than rounding."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Form:
    """A way to run rows side by side.

    Attributes:
        names: the model's inputs.
        filler: the cell that fills lines up.
        stripped: whether padding before a text is left out.
        doubt: a lead of at most this much, by the largest absolute logit, may be due to rounding.
    """

    names: tuple[str, ...]
    filler: Cell
    stripped: bool
    doubt: float

    def shift(self, row: HostRow) -> int:
        """How many cells before a row are left out."""
        return row.left if self.stripped and row.start > row.left else 0

    def line(self, row: HostRow) -> Line:
        """A row's line: up to the last token whose prediction is read."""
        shift = self.shift(row)
        cells = row.padded[:-1]
        if self.stripped:
            cells = tuple((*cell, place) for place, cell in enumerate(cells))
        places = sorted({*row.places, *row.answer_places})
        return Line(cells[shift:], tuple((place - shift, row.token(place + 1)) for place in places))


def form_for(model: nn.Module, groups: Sequence[Sequence[HostRow]]) -> Form | None:
    """The fastest form that gives what EasyEdit's rows give, or ``None`` if there is none, or nothing to read.

    A model is tried once for each kind of rows.
    """
    asked = [group for group in groups if any(row.places for row in group)]
    if not asked or not merges_texts(model):
        return None
    padded = any(row.left for group in asked for row in group)
    forms = state_of(model).derived.setdefault("forms", {})
    kind = (_dtype(model), asked[0][0].names, asked[0][0].padding, padded)
    if kind not in forms:
        forms[kind] = _try_forms(model, asked, padded)
    form: Form | None = forms[kind]
    return form


def exact_logits(model: nn.Module, group: Sequence[HostRow]) -> Tensor:
    """Logits of a group just as EasyEdit runs it: (b, t, v)."""
    return logits_of(model(**tensors(model, group[0].names, group[0].padding, [row.padded for row in group])))


def _try_forms(model: nn.Module, groups: Sequence[Sequence[HostRow]], padded: bool) -> Form | None:
    """Try forms on the group with the most padding before a text, beside the widest group, which it is filled up to."""
    most_padded = max(groups, key=lambda group: max(row.left for row in group))
    widest = max(groups, key=lambda group: group[0].width)
    expected = [exact_logits(model, group) for group in (most_padded, widest)]
    names, filler = groups[0][0].names, groups[0][0].padding
    doubt = ROUNDING.get(_dtype(model), ROUNDING[torch.float32]) * torch.finfo(_dtype(model)).eps
    forms = [Form(names, filler, False, 0.0)]
    if padded and "position_ids" in inspect.signature(model.forward).parameters:
        forms.insert(0, Form((*names, "position_ids"), (*filler, 0), True, 0.0))
    for form in forms:
        difference = _difference(model, (most_padded, widest), expected, form)
        if difference <= CREDIBLE * doubt:
            return replace(form, doubt=max(doubt, 2 * difference))
    logger.warning("%s gives other logits beside other rows; each is run on its own", type(model).__name__)
    return None


def _difference(model: nn.Module, groups: Sequence[Sequence[HostRow]], expected: Sequence[Tensor], form: Form) -> float:
    """The largest difference of a logit, by the largest absolute logit at its place."""
    rows = [row for group in groups for row in group]
    lines = [form.line(row) for row in rows]
    where = [(index, place) for index, line in enumerate(lines) for place, _ in line.places]
    with fused_activations(model):
        ours = logits_at(model, tensors(model, form.names, form.filler, [line.cells for line in lines]), where)
    whole = [logits for group, rows in zip(groups, expected, strict=True) for logits in rows[: len(group)]]
    true = torch.stack([whole[index][place + form.shift(rows[index])] for index, place in where])
    return ((ours - true).abs().amax(-1) / true.abs().amax(-1)).max().item()


def _dtype(model: nn.Module) -> torch.dtype:
    return next(parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
