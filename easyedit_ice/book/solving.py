"""Edits made for a book: what is kept with them, and how they are made anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn

from easyedit_ice.book.edits import Edit
from easyedit_ice.edit.base_model import fingerprint_of
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import BookError
from easyedit_ice.model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from easyedit_ice.edit.apply import Requests
    from easyedit_ice.edit.hparams import EditHyperParams


def solved(model: nn.Module, tok: Tokenizer, facts: Requests, hparams: EditHyperParams, verdict: bool) -> WeightUpdate:
    """An update that says what it was solved on, for which facts, and what it does.

    Args:
        model: with the edits in it that come before; it is left so.
        tok: its tokenizer.
        facts: as for :func:`easyedit_ice.solve`.
        hparams: and the algorithm's settings.
        verdict: whether to find out what it does.
    """
    from easyedit_ice.edit.apply import solve
    from easyedit_ice.verdict.edit_facts import edit_facts

    notes: dict[str, Any] = {"solved_on": fingerprint_of(model)}
    if not verdict:
        update = solve(model, tok, facts, hparams)
    else:
        result = edit_facts(model, tok, facts, hparams)
        update, told = result.update, result.verdict
        notes["requests"] = [fact.to_dict() for fact in result.facts]
        notes["verdict"] = {"took": told.took, "figures": told.figures(), "warnings": list(told.warnings)}
    return replace(update, info=update.info | notes)


def settings_of(edit: Edit) -> EditHyperParams:
    """The settings that an edit was made with.

    Raises:
        BookError: it does not say how it was made.
    """
    if not edit.facts or "hparams" not in edit.info:
        raise BookError(f"{edit.name!r} does not say how it was made; remove it, and add its facts anew")
    return ALGORITHMS[edit.algorithm].hparams_class.from_dict(edit.info["hparams"])
