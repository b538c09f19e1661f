"""What we know of a method of EasyEdit, in one entry for each: :class:`HostSpec`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from easyedit_ice.easyedit.auto_settings.model_shape import ModelShape
from easyedit_ice.easyedit.auto_settings.published import Settings

Apply = Callable[..., Any]
"""The function by which EasyEdit applies a method."""


@dataclass(frozen=True)
class NotYet:
    """In place of the start of a global that comes into being with the first edit.

    Attributes:
        beside: another global, by which a module that will have this one is known.
    """

    beside: str


@dataclass(frozen=True)
class Globals:
    """Globals of EasyEdit's modules in which a method keeps something between calls: name -> value before any edit.

    Attributes:
        caches: what follows from the base model.
        records: what was edited before.
    """

    caches: Mapping[str, Any] = field(default_factory=dict)
    records: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class HostSpec:
    """What we know of a method of EasyEdit.

    Attributes:
        hparams: name of its class of settings.
        auto: makes its settings from a model's shape.
        padding_side: where it wants prompts padded; as EasyEdit chooses it for GPT-2.
        left_out: settings that a file may have because the other EasyEdit's class has them; they are left out.
        unlisted: settings that the class reads from a file although it has no field of that name.
        globals: where it keeps something between calls.
        fit: settles what its settings would otherwise get wrong about the model: called with the settings, which it
            changes, and the model.
        first_use: what it draws or computes at its first edit, to be done before: each is called with EasyEdit's
            function, the model, its tokenizer and the settings.
        demonstrates: it puts demonstrations before a question, and edits no model.
        asked_alone: its answer to a text depends on the texts in the same batch; it is asked one row at a time.
        keeps_texts: it wants a text that is to stay as it is with each fact.
        keeps_objects: it remembers edits in objects and not in tensors.
        returns_wrapper: an edit returns what the next one is given, with the model that answers inside.
    """

    hparams: str
    auto: Callable[[ModelShape], Settings]
    padding_side: Literal["left", "right"] = "left"
    left_out: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    globals: Globals = Globals()
    fit: Callable[[Any, nn.Module], None] | None = None
    first_use: tuple[Callable[[Apply, nn.Module, Any, Any], None], ...] = ()
    demonstrates: bool = False
    asked_alone: bool = False
    keeps_texts: bool = False
    keeps_objects: bool = False
    returns_wrapper: bool = False
