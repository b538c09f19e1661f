"""OneStep: a single step down the gradient of the facts' loss, in one projection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from torch import nn

from easyedit_ice.edit.delta import DenseDelta
from easyedit_ice.edit.hparams import EditHyperParams, setting
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.gradient.objectives import fact_row
from easyedit_ice.editors.gradient.weight_gradients import weight_gradients
from easyedit_ice.model.anatomy import ModelAnatomy, Projection
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.planning.footprint import Device, Footprint, Stage, planned


@dataclass
class OneStepHyperParams(EditHyperParams):
    """Settings of OneStep."""

    layer: int = setting(-1, "block that is written to, negative from the last")
    length: float = setting(0.1, "how far the step goes, in norms of the weight", above=0)

    def projection(self, model: nn.Module) -> Projection:
        """What is written to: the MLP's output."""
        return ModelAnatomy(model).match(["mlp.out"], [self.layer])[0]


def solve(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], hparams: OneStepHyperParams
) -> WeightUpdate:
    """Step down the gradient, (out, in), of the mean loss of all targets."""
    projection = hparams.projection(model)
    rows = [fact_row(tok, request, append_eos=False) for request in requests]
    gradient = weight_gradients(model, [projection], rows, side_by_side=8)[projection.name]
    step = hparams.length * projection.matrix().norm() / gradient.norm() * gradient
    return WeightUpdate({projection.name: DenseDelta(-step)}, {"hparams": hparams.to_dict()})


def plan(
    model: nn.Module, hparams: OneStepHyperParams, facts: int, tokens: int, device: Device, stated: int
) -> Footprint:
    """What an edit takes: the gradient and the step, in fp32."""
    projection, bits = hparams.projection(model), hparams.quantization_bit
    size = 4 * projection.size
    stages = [Stage(2 * size)]
    return planned(model, [projection], stages, bits=bits, device=device, stated=stated, gradients=size, update=size)


ALGORITHM = Algorithm(
    name="OneStep",
    hparams=OneStepHyperParams,
    solve=solve,
    plan=plan,
    presets=files("own_editor") / "presets",
    summary="a single step down the gradient of one projection",
)
