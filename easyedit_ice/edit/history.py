"""What edits that are in a model answer to: the keys by which later edits can leave them alone."""

from __future__ import annotations

from torch import nn

from easyedit_ice.model.edit_state import Keys, state_of


def edits_in(model: nn.Module) -> tuple[Keys, ...]:
    """The keys of each edit that is in the model and told them, the earliest first."""
    return state_of(model).edits


def remember(model: nn.Module, keys: Keys) -> None:
    """An edit with these keys is in the model now."""
    if keys:
        recall(model, (*edits_in(model), keys))


def forget(model: nn.Module, keys: Keys) -> None:
    """The edit with these keys is no longer in the model."""
    recall(model, tuple(other for other in edits_in(model) if other is not keys))


def recall(model: nn.Module, edits: tuple[Keys, ...]) -> None:
    """Exactly these edits are in the model."""
    state_of(model).edits = edits
