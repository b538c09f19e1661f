"""Where a model is changed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from easyedit_ice.edit.hparams import Section, setting
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy, Projection


@dataclass
class PlaceSettings(Section):
    """The projections that are changed."""

    target_modules: list[str] = setting(
        ["mlp.out"],
        "projections that are changed: mlp.in, mlp.out, attention.in, attention.out, all, or ends of their names",
    )
    layers: list[int] | None = setting(
        None, "blocks that are changed, negative from the last; None for those that depth tells"
    )
    depth: list[float] = setting(
        [0.18, 0.31],
        "where layers is None: the first and the last block that are changed, of the way through the model, 0 to 1",
    )

    def check(self) -> None:
        """Refuse places that name nothing."""
        if not self.target_modules:
            raise HyperParamsError("target_modules is empty; name at least one kind of projection, such as mlp.out")
        if self.layers is not None and not self.layers:
            raise HyperParamsError("layers is empty; name at least one block, or leave it out")
        if len(self.depth) != 2 or not 0 <= self.depth[0] <= self.depth[1] <= 1:
            raise HyperParamsError(f"depth is {self.depth}; expected two numbers from 0 to 1, the greater one last")

    def usual_layers(self, count: int) -> list[int]:
        """Blocks that are changed where none are named, of so many, by ``depth``."""
        first, last = (round(share * (count - 1)) for share in self.depth)
        return list(range(first, last + 1))

    def projections(self, model: nn.Module) -> tuple[Projection, ...]:
        """The projections of a model that are changed.

        Raises:
            AnatomyError: ``target_modules`` or ``layers`` match nothing in the model.
        """
        anatomy = ModelAnatomy(model)
        layers = self.usual_layers(anatomy.num_layers) if self.layers is None else self.layers
        return anatomy.match(self.target_modules, layers)
