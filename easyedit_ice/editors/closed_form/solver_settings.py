"""Settings that all closed-form editors have: where they write, and how general keys are weighed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from easyedit_ice.edit.hparams import EditHyperParams, Section, setting
from easyedit_ice.editors.closed_form.layer_writes import Place
from easyedit_ice.errors import AnatomyError, HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.corpora import AUTO
from easyedit_ice.precompute.factors import Factor, identity_factor
from easyedit_ice.precompute.moments import Measuring, factors


@dataclass
class PassSettings(Section):
    """How much of a batch of facts is in memory at a time."""

    tokens_together: int | None = setting(
        None,
        "most tokens of the facts' texts that go through the model side by side, which bounds the memory of a batch; "
        "None for 2,048 on a CPU and 32,768 on a GPU",
        low=1,
    )


@dataclass
class ClosedFormSettings(EditHyperParams):
    """What they share, with EasyEdit's names."""

    layers: list[int] | None = setting(
        None, "blocks to write to, from below, negative from the last; None for the usual ones"
    )
    rewrite_module_tmp: str | None = setting(
        None, "path of the projection to write to, with {} for the block; None for the MLP's output projection"
    )
    mom2_adjustment: bool = setting(True, "weigh general keys by their second moment; otherwise all directions alike")
    mom2_dataset: str = setting(
        AUTO,
        "text of the second moments: a file, a folder, a dataset, 'samples' for the model's own text, 'factworld' for "
        "the embedded world's, or 'auto' for the one of these two that suits the model",
    )
    dynamic: bool = setting(True, "count tokens, dynamic_multiplier for each input of the projection, and not texts")
    dynamic_multiplier: int = setting(10, "tokens for each input of the projection; below 2 is fragile", low=1)
    mom2_n_samples: int = setting(100_000, "texts, where dynamic is false", low=1)
    mom2_dtype: str = setting("float64", "type in which second moments are kept", choices=("float32", "float64"))
    mom2_shrinkage: float = setting(
        0.1, "σ: ridge on the second moment, in units of its mean diagonal, for directions that few tokens miss", low=0
    )
    keep_edits: bool = setting(
        True,
        "let facts of earlier edits in the model answer as they do: their keys weigh as those of this edit",
    )

    writes_experts: ClassVar[bool] = True
    """Whether the algorithm can write to a mixture of experts."""
    whole_mlps: ClassVar[bool] = False
    """Whether it stands beside whole MLPs, where those are modules, and not beside the projections they write by."""

    def check(self) -> None:
        """Refuse layers that name none."""
        if self.layers is not None and not self.layers:
            raise HyperParamsError("layers is empty; name at least one block, or leave it out")

    def usual_layer(self, count: int) -> int:
        """The block to write to where ``layers`` is left out, of so many: at a quarter of the depth.

        Near there causal tracing finds the facts of GPT-J and Llama.
        """
        return min(round(count / 4), count - 1)

    def usual_layers(self, count: int) -> list[int]:
        """The blocks to write to where ``layers`` is left out, of so many."""
        return [self.usual_layer(count)]


def place_of(model: nn.Module, hparams: ClosedFormSettings) -> Place:
    """Where a model's facts are written: of the usual blocks in those that have an MLP.

    Raises:
        AnatomyError: it has no such layers or projections, or they are experts, to which the algorithm does not write.
    """
    anatomy = ModelAnatomy(model)
    asked = hparams.usual_layers(anatomy.num_layers) if hparams.layers is None else hparams.layers
    layers = sorted({anatomy.layer_index(layer) for layer in asked})
    if hparams.rewrite_module_tmp is None:
        projections = anatomy.select("mlp", "out", layers)
        if hparams.layers is None:
            layers = sorted({projection.layer for projection in projections})
    else:
        projections = tuple(
            anatomy.projection(hparams.rewrite_module_tmp.replace("{}", str(layer))) for layer in layers
        )
    if len(projections) != len(layers):
        raise AnatomyError(
            f"blocks {layers} have {len(projections)} output projections of the MLP, and one for each is needed; name "
            "it by rewrite_module_tmp"
        )
    if not hparams.writes_experts and any(projection.experts > 1 for projection in projections):
        raise AnatomyError(
            f"{hparams.alg_name} does not write to a mixture of experts, which "
            f"{next(p.name for p in projections if p.experts > 1)} is; FastMEMIT, FastROME and FastICE do, or name "
            "layers without experts, or another projection by rewrite_module_tmp"
        )
    mlps = anatomy.mlps if hparams.whole_mlps and hparams.rewrite_module_tmp is None else {}
    return Place(
        tuple(mlps.get(projection.layer, projection).name for projection in projections),
        tuple(anatomy.layer_name(layer) for layer in layers),
        tuple(layers),
    )


def measuring_of(hparams: ClosedFormSettings) -> Measuring:
    """What second moments are measured on."""
    return Measuring(
        hparams.mom2_dataset,
        hparams.dynamic,
        hparams.dynamic_multiplier,
        hparams.mom2_n_samples,
        hparams.mom2_dtype,
    )


def second_moments(model: nn.Module, hparams: ClosedFormSettings) -> tuple[tuple[str, ...], Measuring]:
    """Projections whose inputs' second moments are needed, and on what these are measured."""
    return place_of(model, hparams).names, measuring_of(hparams)


def factors_of(
    model: nn.Module, tok: Tokenizer, hparams: ClosedFormSettings, *, weight: float = 1.0, ridge: float = 0.0
) -> dict[str, Factor]:
    """Factored second moments of the projections that are written to, or multiples of the identity in their place.

    Args:
        model: before any edit, if it was not seen before.
        tok: its tokenizer.
        hparams: where to write, and what second moments are measured on.
        weight: λ.
        ridge: ε.

    Raises:
        AnatomyError: the model has no such layers or projections.
        StatisticsError: the second moments are damaged, or cannot be inverted.
        DataError: there is no such text for them, or not enough of it.
    """
    names = place_of(model, hparams).names
    if not hparams.mom2_adjustment:
        projections = map(ModelAnatomy(model).site, names)
        return {
            projection.name: identity_factor(projection.in_features, weight + ridge, projection.experts)
            for projection in projections
        }
    return factors(
        model,
        tok,
        names,
        measuring_of(hparams),
        weight=weight,
        ridge=ridge,
        shrinkage=hparams.mom2_shrinkage,
    )
