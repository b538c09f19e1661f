"""LoRA (Hu et al. 2021, arXiv 2106.09685): y = W x + s · B A x, where s = alpha / rank and B = 0 at the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.anatomy import Projection
from easyedit_ice.deltas import LowRankDelta
from easyedit_ice.training.adapters.tuned import NAME, TunedAdapter


class LowRankAdapter(TunedAdapter):
    """LoRA on some projections.

    Args:
        model: gets the adapter's layers in place of the projections'.
        projections: where; all of this model.
        rank: rows of A, columns of B.
        alpha: the scale is alpha / rank.
        dropout: on the adapter's input, in training mode only.
        ranks: other ranks of single projections, by name; their scale is the same.
    """

    def __init__(
        self,
        model: nn.Module,
        projections: Sequence[Projection],
        *,
        rank: int,
        alpha: float,
        dropout: float,
        ranks: Mapping[str, int] | None = None,
    ) -> None:
        from peft import LoraConfig
        from peft.tuners.lora import LoraModel

        own = dict(ranks or {})
        alphas = {name: alpha * other / rank for name, other in own.items()}
        config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, rank_pattern=own, alpha_pattern=alphas)
        super().__init__(model, projections, LoraModel, config)

    def trained(self) -> dict[str, list[Tensor]]:
        """A (rank, in) and B (out, rank) of each projection."""
        return self.factors("lora_A", "lora_B")

    def readers(self) -> dict[str, Tensor]:
        """A of each projection."""
        return {name: self.factor(name, "lora_A") for name in self.layers()}

    def deltas(self) -> dict[str, LowRankDelta]:
        """s · B A of each projection, as copies."""
        found = {}
        for name, layer in self.layers().items():
            a, b = (self.factor(name, kind).detach().float().clone() for kind in ("lora_A", "lora_B"))
            found[name] = LowRankDelta(a, b * layer.scaling[NAME])
        return found

    @torch.no_grad()
    def shrink(self, name: str, factor: float) -> None:
        """Multiply B."""
        self.factor(name, "lora_B").mul_(factor)

    @torch.no_grad()
    def start(self, name: str, a: Tensor, b: Tensor) -> None:
        """Begin the training of a projection at s · B A = b a.

        Args:
            name: of the projection.
            a: (rank, in).
            b: (out, rank).
        """
        self.factor(name, "lora_A").copy_(a)
        self.factor(name, "lora_B").copy_(b / self.layer(name).scaling[NAME])

    def report(self) -> dict[str, Any]:
        """The number of trained values, and each projection's rank."""
        return super().report() | {"ranks": {name: reader.shape[0] for name, reader in self.readers().items()}}
