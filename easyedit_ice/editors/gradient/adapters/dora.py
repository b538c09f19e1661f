"""DoRA (Liu et al. 2024, arXiv 2402.09353): W′ = m · (W + s · B A) / ‖W + s · B A‖, where m = ‖W‖ at the start.

Norms are those of rows of the (out, in) weight, one for each output; m, which is trained as well, is (out,).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from easyedit_ice.edit.delta import DenseDelta
from easyedit_ice.editors.gradient.adapters.lora import FactorSettings
from easyedit_ice.editors.gradient.adapters.peft_backed import NAME, TunedAdapter
from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.activation_memory import FP32
from easyedit_ice.model.anatomy import Projection


class DecomposedAdapter(TunedAdapter):
    """LoRA of directions beside a trained magnitude; the change of the weight is dense.

    Whole rows of W are scaled, so that the change reads every input.

    Args:
        model: gets the adapter's layers in place of the projections'.
        projections: where; all of this model.
        rank: rows of A, columns of B.
        alpha: s is alpha / rank.
        dropout: on the adapter's input, in training mode only.

    Raises:
        AnatomyError: the weights are in 8 bits on a CPU.
    """

    protectable = False

    def __init__(
        self, model: nn.Module, projections: Sequence[Projection], *, rank: int, alpha: float, dropout: float
    ) -> None:
        from peft import LoraConfig
        from peft.tuners.lora import LoraModel

        _check_weights(projections)
        config = LoraConfig(r=rank, lora_alpha=cast("int", alpha), lora_dropout=dropout, use_dora=True)
        super().__init__(model, projections, LoraModel, config)
        with torch.no_grad():
            for projection in projections:
                magnitude = self.factor(projection.name, "lora_magnitude_vector")
                magnitude.copy_(projection.matrix().norm(dim=1))

    def trained(self) -> dict[str, list[Tensor]]:
        """A (rank, in), B (out, rank) and m (out,) of each projection."""
        return self.factors("lora_A", "lora_B", "lora_magnitude_vector")

    @torch.no_grad()
    def deltas(self) -> dict[str, DenseDelta]:
        """W′ − W of each projection."""
        result = {}
        for projection in self.projections:
            a, b, magnitude = (
                self.factor(projection.name, kind) for kind in ("lora_A", "lora_B", "lora_magnitude_vector")
            )
            weight = projection.matrix()
            turned = weight + self.layer(projection.name).scaling[NAME] * (b @ a)
            result[projection.name] = DenseDelta((magnitude / turned.norm(dim=1))[:, None] * turned - weight)
        return result


@dataclass
class DecomposedSettings(FactorSettings):
    """Of DoRA."""

    kind = DecomposedAdapter

    def build_adapter(
        self, model: nn.Module, projections: Sequence[Projection], *, steps: int, gradients: Mapping[str, Tensor]
    ) -> DecomposedAdapter:
        """Factors and magnitudes."""
        scale = {"alpha": self.lora_alpha, "dropout": self.lora_dropout}
        return DecomposedAdapter(model, projections, rank=self.rank, **scale)

    def trained_values(self, projection: Projection, steps: int) -> int:
        """r (in + out), and out magnitudes (arXiv 2402.09353)."""
        return super().trained_values(projection, steps) + projection.out_features

    def bytes_per_token(self, projections: Sequence[Projection]) -> int:
        """Outputs of the projection and of the factors, both multiplied by what m gives."""
        return 2 * FP32 * sum(projection.out_features for projection in projections)

    def work_bytes(self, projections: Sequence[Projection]) -> int:
        """peft finds ‖W + s B A‖ from a unit matrix (in, in), B A, s B A and the sum (out, in)."""
        return FP32 * max(projection.in_features**2 + 3 * projection.size for projection in projections)


def _check_weights(projections: Sequence[Projection]) -> None:
    """Refuse what peft cannot do: read 8-bit weights on a CPU once the model has run, and their scales have moved."""
    for projection in projections:
        weight = projection.module.weight
        if projection.quantized and hasattr(weight, "SCB") and weight.device.type == "cpu":
            raise AnatomyError(
                f"{projection.name} is in 8 bits on a CPU, where peft's DoRA does not work; load it in 4 bits, or "
                "use QLoRA-BF"
            )
