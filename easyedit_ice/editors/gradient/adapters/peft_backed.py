"""Adapters that are layers of peft, put in place of a model's projections."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from easyedit_ice.editors.gradient.adapters.adapter import Adapter
from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.anatomy import Projection
from easyedit_ice.model.pretrained import weight_of
from easyedit_ice.runtime.randomness import lent_to_libraries

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer

NAME = "edit"
"""The adapter's name among those peft's layers may hold."""


class TunedAdapter(Adapter):
    """Layers of one of peft's tuners.

    Args:
        model: gets the adapter's layers in place of the projections'.
        projections: where; all of this model.
        tuner: class of the tuner.
        config: its configuration, without ``target_modules``.

    Raises:
        AnatomyError: peft has no such layers for these projections.
    """

    def __init__(self, model: nn.Module, projections: Sequence[Projection], tuner: type, config: Any) -> None:
        super().__init__(model, projections)
        self.draws = config.lora_dropout > 0
        config.target_modules = {projection.name for projection in projections}
        config.fan_in_fan_out = any(projection.transposed for projection in projections)
        with warnings.catch_warnings(), lent_to_libraries(model):
            warnings.simplefilter("ignore")
            self.tuner = _put_in(model, tuner, config, [projection.name for projection in projections])
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for trained in self.parameters():
            trained.data = trained.data.float()
            trained.requires_grad_(True)
        for projection in projections:
            self.layer(projection.name).lora_dropout.eval()

    def layer(self, name: str) -> LoraLayer:
        """The layer that stands in a projection's place."""
        return cast("LoraLayer", self.model.get_submodule(name))

    def layers(self) -> dict[str, LoraLayer]:
        """All layers, by the names of their projections."""
        return {projection.name: self.layer(projection.name) for projection in self.projections}

    def factor(self, name: str, kind: str) -> Tensor:
        """A trained tensor of a layer, such as its ``lora_A``."""
        held: nn.Module | Tensor = getattr(self.layer(name), kind)[NAME]
        return weight_of(held) if isinstance(held, nn.Module) else held

    def factors(self, *kinds: str) -> dict[str, list[Tensor]]:
        """Trained tensors of these kinds, of each projection."""
        return {name: [self.factor(name, kind) for kind in kinds] for name in self.layers()}

    def train(self, *, gradient_checkpointing: bool) -> None:
        """Switch on the adapter's dropout, and on request gradient checkpointing."""
        for layer in self.layers().values():
            layer.lora_dropout.train()
        super().train(gradient_checkpointing=gradient_checkpointing)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """The model without the adapter."""
        cast("Any", self.tuner).disable_adapter_layers()
        try:
            yield
        finally:
            cast("Any", self.tuner).enable_adapter_layers()


def _put_in(model: nn.Module, tuner: type, config: Any, names: Sequence[str]) -> nn.Module:
    """peft's layers in place of these modules; peft renames what it is told for some kinds of models."""
    try:
        put: nn.Module | None = tuner(model, {NAME: config}, NAME)
        reason = "it has passed them over"
    except ValueError as error:
        put, reason = None, str(error)
    left = [name for name in names if not hasattr(model.get_submodule(name), "base_layer")]
    if put is None or left:
        raise AnatomyError(
            f"peft has no {tuner.__name__.removesuffix('Model')} layers for {', '.join(left[:3])} ({reason}); choose "
            "other target_modules, or adapter: dense"
        )
    return put
