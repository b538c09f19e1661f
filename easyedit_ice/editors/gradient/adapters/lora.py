"""LoRA (Hu et al. 2021, arXiv 2106.09685): y = W x + s · B A x, where s = alpha / rank and B = 0 at the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from easyedit_ice.edit.delta import LowRankDelta
from easyedit_ice.edit.hparams import setting
from easyedit_ice.editors.gradient.adapters.adapter import AdapterSettings, BoundSettings
from easyedit_ice.editors.gradient.adapters.gora_init import allocated_ranks, start_down_the_gradient
from easyedit_ice.editors.gradient.adapters.peft_backed import NAME, TunedAdapter
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.activation_memory import FP32
from easyedit_ice.model.anatomy import Projection


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

        by_name = dict(ranks or {})
        alphas = {name: alpha * other / rank for name, other in by_name.items()}
        at_first = cast("int", alpha)  # peft takes any number
        config = LoraConfig(
            r=rank, lora_alpha=at_first, lora_dropout=dropout, rank_pattern=by_name, alpha_pattern=alphas
        )
        super().__init__(model, projections, LoraModel, config)

    def trained(self) -> dict[str, list[Tensor]]:
        """A (rank, in) and B (out, rank) of each projection."""
        return self.factors("lora_A", "lora_B")

    def readers(self) -> dict[str, Tensor]:
        """A of each projection."""
        return {name: self.factor(name, "lora_A") for name in self.layers()}

    def writers(self) -> dict[str, Tensor]:
        """B of each projection."""
        return {name: self.factor(name, "lora_B") for name in self.layers()}

    def deltas(self) -> dict[str, LowRankDelta]:
        """s · B A of each projection, as copies."""
        result = {}
        for name, layer in self.layers().items():
            a, b = (self.factor(name, kind).detach().float().clone() for kind in ("lora_A", "lora_B"))
            result[name] = LowRankDelta(a, b * layer.scaling[NAME])
        return result

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


@dataclass
class FactorSettings(AdapterSettings):
    """Of all that trains factors of low rank."""

    rank: int = setting(16, "rank of each projection's change", low=1)
    lora_alpha: float = setting(16.0, "the adapter's output is scaled by lora_alpha / rank", above=0)
    lora_dropout: float = setting(0.0, "dropout on the adapter's input while training", low=0, high=1)

    @property
    def ranks(self) -> dict[str, int]:
        """``rank``."""
        return {"rank": self.rank}

    def trained_values(self, projection: Projection, steps: int) -> int:
        """r (in + out) (arXiv 2106.09685)."""
        return self.rank * (projection.in_features + projection.out_features)


@dataclass
class LowRankSettings(FactorSettings, BoundSettings):
    """Of LoRA, with what published GoRA adds to it."""

    rank_allocation: str = setting(
        "fixed", "ranks: the same everywhere, or by the gradient as published GoRA has it", choices=("fixed", "gora")
    )
    rank_min: int = setting(4, "least rank that rank_allocation: gora gives", low=1)
    rank_max: int = setting(32, "greatest rank that rank_allocation: gora gives", low=1)
    init: str = setting(
        "zero",
        "start: random A; A along the facts' own keys; or a step down the gradient as published GoRA has it",
        choices=("zero", "keys", "gora"),
    )
    init_gain: float = setting(0.05, "γ of init: gora: length of that step, in norms of the gradient", above=0)

    kind = LowRankAdapter

    def check(self) -> None:
        """Refuse bounds on ranks that leave none."""
        if self.rank_min > self.rank_max:
            raise HyperParamsError(f"rank_min is {self.rank_min}, but rank_max is {self.rank_max}; lower rank_min")

    @property
    def needs_gradient(self) -> bool:
        """Ranks, or the start, are published GoRA's."""
        return "gora" in (self.rank_allocation, self.init)

    @property
    def starts_along_keys(self) -> bool:
        """``init: keys``."""
        return self.init == "keys"

    def build_adapter(
        self, model: nn.Module, projections: Sequence[Projection], *, steps: int, gradients: Mapping[str, Tensor]
    ) -> LowRankAdapter:
        """Factors of one rank, or of ranks by the gradient."""
        ranks = None
        if self.rank_allocation == "gora":
            bounds = {"least": self.rank_min, "most": self.rank_max}
            ranks = allocated_ranks(projections, gradients, rank=self.rank, **bounds)
        scale = {"alpha": self.lora_alpha, "dropout": self.lora_dropout}
        return LowRankAdapter(model, projections, rank=self.rank, ranks=ranks, **scale)

    def start_adapter(self, adapter: LowRankAdapter, gradients: Mapping[str, Tensor]) -> None:
        """A step down the gradient, if ``init`` is ``"gora"``."""
        if self.init == "gora":
            start_down_the_gradient(adapter, gradients, self.init_gain)

    def update_bytes(self, projections: Sequence[Projection]) -> int:
        """The factors; where ranks follow the gradient, ``rank`` is what they are near in the mean."""
        return sum(FP32 * self.rank * (p.in_features + p.out_features) for p in projections)
