"""What is trained in place of a model's weights: a change of some projections.

The model comes back unchanged through :func:`easyedit_ice.preserve.preserved`, inside which adapters live.

Shapes: out and in are the widths of a projection, r the rank of its change.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.anatomy import Projection
from easyedit_ice.deltas import Delta
from easyedit_ice.errors import AnatomyError


class Adapter(ABC):
    """A trainable change of some projections, zero at the start.

    Args:
        model: holds the projections.
        projections: what is changed; all of this model.

    Attributes:
        draws: whether a forward pass in training draws from the process's generators, as dropout does.

    Raises:
        AnatomyError: gradients do not pass through the model's weights.
    """

    draws = False

    def __init__(self, model: nn.Module, projections: Sequence[Projection]) -> None:
        _check_differentiable(model)
        self.model = model
        self.projections = tuple(projections)
        for parameter in model.parameters():
            parameter.requires_grad_(False)

    @abstractmethod
    def trained(self) -> Mapping[str, Sequence[Tensor]]:
        """The trained tensors of each projection, by name, in fp32."""

    def parameters(self) -> list[Tensor]:
        """All trained tensors."""
        return [tensor for tensors in self.trained().values() for tensor in tensors]

    @abstractmethod
    def readers(self) -> Mapping[str, Tensor]:
        """For each projection, by name, the trained matrix that is applied to its input first: (…, in)."""

    @abstractmethod
    def disabled(self) -> AbstractContextManager[None]:
        """The model without the adapter."""

    @abstractmethod
    def deltas(self) -> dict[str, Delta]:
        """ΔW of each projection, by name, as copies."""

    @abstractmethod
    def shrink(self, name: str, factor: float) -> None:
        """Multiply the ΔW of a projection by a factor."""

    def train(self, *, gradient_checkpointing: bool) -> None:
        """Switch on what is on in training only: on request gradient checkpointing.

        The model's own dropout stays off: an edit is fitted to the model that will be used.
        """
        if gradient_checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
            for module in self.model.modules():
                if hasattr(module, "gradient_checkpointing"):
                    module.training = True

    @torch.no_grad()
    def clamp(self, bound: float) -> None:
        """Shrink each ΔW so that none of its elements exceeds ``bound`` in absolute value."""
        for name, delta in self.deltas().items():
            largest = delta.matrix().abs().max().item()
            if largest > bound:
                self.shrink(name, bound / largest)

    def penalty(self) -> Tensor | None:
        """What the adapter itself adds to the loss of an optimiser step; ``None`` for nothing."""
        return None

    def stepped(self) -> None:  # noqa: B027 - most adapters do nothing here
        """Called after each optimiser step, while gradients are still there."""

    @property
    def fastest(self) -> float | None:
        """Greatest learning rate of AdamW, where a first step does not show what later ones do; else ``None``."""
        return None

    @property
    def settled(self) -> bool:
        """Whether training may end: what is trained keeps its form from here on."""
        return True

    def report(self) -> dict[str, Any]:
        """What became of it, as plain values."""
        return {"trained": sum(parameter.numel() for parameter in self.parameters())}


def _check_differentiable(model: nn.Module) -> None:
    """Refuse 4-bit weights that bitsandbytes has laid out for inference: they pass no gradient on, and say nothing."""
    for name, parameter in model.named_parameters():
        if getattr(getattr(parameter, "quant_state", None), "packing_format_for_cpu", False):
            raise AnatomyError(
                f"{name} was laid out for inference on the CPU by bitsandbytes and passes no gradients on; load the "
                "model with easyedit_ice.load_model, or set support_avx512bf16_for_cpu = False on its Linear4bit "
                "modules before its first use"
            )
