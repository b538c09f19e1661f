"""AdaLoRA (Zhang et al. 2023, arXiv 2303.10512): ΔW = s · B diag(E) A, whose least important triplets are struck out.

Training starts with more rank than it ends with. After ``tinit`` optimiser steps the budget of all projections together
falls, along a cubic, until ``tfinal`` steps before the last one; from there on the pattern of ranks stays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from easyedit_ice.edit.delta import LowRankDelta
from easyedit_ice.edit.hparams import setting
from easyedit_ice.editors.gradient.adapters.adapter import BoundSettings
from easyedit_ice.editors.gradient.adapters.lora import FactorSettings
from easyedit_ice.editors.gradient.adapters.peft_backed import NAME, TunedAdapter
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.activation_memory import FP32
from easyedit_ice.model.anatomy import Projection

MEASURED = 2
"""Fewest steps until the last reduction: importance is measured in all of them but the last."""
LONGEST = 0.1
"""Greatest step of A and B, in units of what their elements start with."""


@dataclass(frozen=True)
class Budget:
    """How the rank falls.

    Attributes:
        start: rank of each projection at the start.
        target: mean rank of the projections in the end.
        total: optimiser steps at most.
        tinit: steps before the first reduction.
        tfinal: steps after the last reduction.
        interval: steps between two reductions.
        orthogonality: weight of ‖AAᵀ − I‖ + ‖BᵀB − I‖ in the loss.
        beta1: of the moving average of importance.
        beta2: of the moving average of its uncertainty.
    """

    start: int
    target: int
    total: int
    tinit: int
    tfinal: int
    interval: int = 1
    orthogonality: float = 0.1
    beta1: float = 0.85
    beta2: float = 0.85

    def __post_init__(self) -> None:
        if self.start <= self.target:
            raise HyperParamsError(
                f"init_r is {self.start} and rank {self.target}; AdaLoRA starts with more rank than it ends with"
            )
        if self.tinit + self.tfinal >= self.total:
            raise HyperParamsError(
                f"tinit is {self.tinit} and tfinal {self.tfinal}, but there are {self.total} steps at most; leave them "
                "out, lower them, or raise num_steps"
            )
        if self.total - self.tfinal < MEASURED:
            raise HyperParamsError(
                f"there are {self.total} steps at most and tfinal is {self.tfinal}, which leaves "
                f"{self.total - self.tfinal} to reduce the rank in; AdaLoRA needs {MEASURED}: raise num_steps, or "
                "lower tfinal"
            )


class AdaptiveAdapter(TunedAdapter):
    """AdaLoRA on some projections.

    Args:
        model: gets the adapter's layers in place of the projections'.
        projections: where; all of this model.
        budget: how the rank falls.
        alpha: the scale is alpha / start.
        dropout: on the adapter's input, in training mode only.
    """

    def __init__(
        self, model: nn.Module, projections: Sequence[Projection], *, budget: Budget, alpha: float, dropout: float
    ) -> None:
        from peft import AdaLoraConfig
        from peft.tuners.adalora import AdaLoraModel

        config = AdaLoraConfig(
            init_r=budget.start,
            target_r=budget.target,
            total_step=budget.total,
            tinit=budget.tinit,
            tfinal=budget.tfinal,
            deltaT=budget.interval,
            beta1=budget.beta1,
            beta2=budget.beta2,
            orth_reg_weight=budget.orthogonality,
            lora_alpha=cast("int", alpha),  # peft takes any number
            lora_dropout=dropout,
        )
        super().__init__(model, projections, AdaLoraModel, config)
        self._budget = budget
        self._steps = 0

    def trained(self) -> dict[str, list[Tensor]]:
        """A (start, in), E (start, 1) and B (out, start) of each projection."""
        return self.factors("lora_A", "lora_E", "lora_B")

    def readers(self) -> dict[str, Tensor]:
        """A of each projection."""
        return {name: self.factor(name, "lora_A") for name in self.layers()}

    def writers(self) -> dict[str, Tensor]:
        """B of each projection."""
        return {name: self.factor(name, "lora_B") for name in self.layers()}

    @torch.no_grad()
    def deltas(self) -> dict[str, LowRankDelta]:
        """s · B diag(E) A of each projection, without what was struck out."""
        result = {}
        for name, layer in self.layers().items():
            a, e, b = (self.factor(name, kind) for kind in ("lora_A", "lora_E", "lora_B"))
            nonzero = e[:, 0] != 0
            scale = layer.scaling[NAME] / (cast("Any", layer).ranknum[NAME] + 1e-5)
            result[name] = LowRankDelta((a * e)[nonzero].float().clone(), (b[:, nonzero] * scale).float().clone())
        return result

    @torch.no_grad()
    def shrink(self, name: str, factor: float) -> None:
        """Multiply E."""
        self.factor(name, "lora_E").mul_(factor)

    def penalty(self) -> Tensor | None:
        """The mean of ‖AAᵀ − I‖ and ‖BᵀB − I‖ over all matrices, weighted."""
        if not self._budget.orthogonality:
            return None
        factors = [self.factor(name, "lora_A") for name in self.layers()]
        factors += [self.factor(name, "lora_B").T for name in self.layers()]
        distances = [(factor @ factor.T - torch.eye(len(factor), device=factor.device)).norm() for factor in factors]
        return self._budget.orthogonality * torch.stack(distances).mean()

    def stepped(self) -> None:
        """Measure importance, and strike out what exceeds the budget of the step."""
        self._steps += 1
        cast("Any", self.tuner).update_and_allocate(self._steps)

    @property
    def fastest(self) -> float:
        """A tenth of what elements of A and B start with: the first step moves E alone, and tells nothing of theirs."""
        factors = [self.factor(name, kind) for name in self.layers() for kind in ("lora_A", "lora_B")]
        return LONGEST * min(factor.detach().square().mean().sqrt().item() for factor in factors)

    @property
    def settled(self) -> bool:
        """Whether the rank has reached its target."""
        return self._steps >= self._budget.total - self._budget.tfinal

    def report(self) -> dict[str, Any]:
        """The number of trained values, and the rank each projection was left with."""
        ranks = {name: int((self.factor(name, "lora_E") != 0).sum()) for name in self.layers()}
        return super().report() | {"ranks": ranks}


@dataclass
class AdaptiveSettings(FactorSettings, BoundSettings):
    """Of AdaLoRA; the names are peft's."""

    rank: int = setting(16, "mean rank of the projections' changes in the end", low=1)
    init: str = setting("zero", "start: random A; or A along the facts' own keys", choices=("zero", "keys"))
    init_r: int | None = setting(None, "rank at the start; None for one and a half times rank", low=2)
    tinit: int | None = setting(None, "optimiser steps before ranks fall; None for a tenth of num_steps' steps", low=0)
    tfinal: int | None = setting(
        None, "optimiser steps after ranks have fallen; None for half of num_steps' steps", low=0
    )
    deltaT: int = setting(1, "optimiser steps between two reductions of ranks", low=1)
    orth_reg_weight: float = setting(0.1, "weight of the factors' distance from orthogonality", low=0)

    kind = AdaptiveAdapter

    @property
    def starts_along_keys(self) -> bool:
        """``init: keys``."""
        return self.init == "keys"

    @property
    def ranks(self) -> dict[str, int]:
        """``rank``, and that at the start."""
        return super().ranks | {"init_r": self.first_rank}

    @property
    def first_rank(self) -> int:
        """``init_r``, or one and a half times ``rank``."""
        return math.ceil(1.5 * self.rank) if self.init_r is None else self.init_r

    def budget(self, steps: int) -> Budget:
        """How the rank falls in at most so many optimiser steps."""
        return Budget(
            start=self.first_rank,
            target=self.rank,
            total=steps,
            tinit=steps // 10 if self.tinit is None else self.tinit,
            tfinal=steps // 2 if self.tfinal is None else self.tfinal,
            interval=self.deltaT,
            orthogonality=self.orth_reg_weight,
        )

    def build_adapter(
        self, model: nn.Module, projections: Sequence[Projection], *, steps: int, gradients: Mapping[str, Tensor]
    ) -> AdaptiveAdapter:
        """Triplets of more rank than shall be left."""
        scale = {"alpha": self.lora_alpha, "dropout": self.lora_dropout}
        return AdaptiveAdapter(model, projections, budget=self.budget(steps), **scale)

    def trained_values(self, projection: Projection, steps: int) -> int:
        """r₀ (in + out + 1), where r₀ is the rank at the start (arXiv 2303.10512)."""
        return self.budget(steps).start * (projection.in_features + projection.out_features + 1)

    def held_bytes(self, projections: Sequence[Projection], trained: int) -> int:
        """Moving averages of importance, of its mean and of its uncertainty (arXiv 2303.10512, section 3.2)."""
        return 3 * FP32 * trained

    def update_bytes(self, projections: Sequence[Projection]) -> int:
        """The factors of the rank that is left in the mean."""
        return sum(FP32 * self.rank * (p.in_features + p.out_features) for p in projections)
