"""What is trained in place of a model's weights: a change of some projections.

The model comes back unchanged through :func:`easyedit_ice.model.snapshot.preserved`, inside which adapters live.

Shapes: out and in are the widths of a projection, r the rank of its change.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from easyedit_ice.edit.delta import Delta
from easyedit_ice.edit.hparams import Section, setting
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.activation_memory import FP32
from easyedit_ice.model.anatomy import Projection
from easyedit_ice.model.pretrained import pretrained
from easyedit_ice.model.unusual_weights import refuse_laid_out


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

    protectable: ClassVar[bool] = True
    """Whether matrices are trained that read inputs, and that can be kept off directions."""
    draws = False

    def __init__(self, model: nn.Module, projections: Sequence[Projection]) -> None:
        refuse_laid_out(model)
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

    def readers(self) -> Mapping[str, Tensor]:
        """For each projection, by name, the trained matrix that is applied to its input first: (…, in).

        Raises:
            HyperParamsError: the change reads every input, whatever is trained.
        """
        raise HyperParamsError(
            f"{type(self).__name__} reads every input, so that nothing can be protected; use an algorithm whose "
            "adapter is lora, adalora or dense"
        )

    def writers(self) -> Mapping[str, Tensor]:
        """For each projection, by name, the trained matrix that gives what is added to its output: (out, …).

        Raises:
            HyperParamsError: there is no such matrix.
        """
        raise HyperParamsError(
            f"{type(self).__name__} has no matrix that writes, so that nothing can be kept from being written; leave "
            "output_softness and output_energy out"
        )

    @abstractmethod
    def disabled(self) -> AbstractContextManager[None]:
        """The model without the adapter."""

    @abstractmethod
    def deltas(self) -> Mapping[str, Delta]:
        """ΔW of each projection, by name, as copies."""

    def shrink(self, name: str, factor: float) -> None:
        """Multiply the ΔW of a projection by a factor.

        Raises:
            HyperParamsError: ΔW is no multiple of anything that is trained.
        """
        raise HyperParamsError(f"the change of {type(self).__name__} cannot be scaled down; set no clamp")

    def train(self, *, gradient_checkpointing: bool) -> None:
        """Switch on what is on in training only: on request gradient checkpointing.

        The model's own dropout stays off: an edit is fitted to the model that will be used.
        """
        if gradient_checkpointing:
            pretrained(self.model).gradient_checkpointing_enable({"use_reentrant": False})
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
        """Summary of what was trained, as plain values."""
        return {"trained": sum(parameter.numel() for parameter in self.parameters())}


@dataclass
class AdapterSettings(Section, ABC):
    """What is trained, and what that takes. Beside each kind of adapter there are its settings."""

    kind: ClassVar[type[Adapter]]
    """The adapter that is built."""

    @property
    def needs_gradient(self) -> bool:
        """Whether it is built by the gradient of the facts' loss: its ranks, its start, or its places."""
        return False

    @property
    def ranks(self) -> dict[str, int]:
        """Ranks that are asked for, by the names of their settings."""
        return {}

    @property
    def starts_along_keys(self) -> bool:
        """Whether what reads inputs starts along the facts' own keys."""
        return False

    @property
    def bound(self) -> float | None:
        """Bound on the absolute value of every element of the weight change, or ``None``."""
        return None

    def prepare_adapter(self, model: nn.Module, projections: Sequence[Projection]) -> None:
        """Do what is done once, on the model before any edit."""

    @abstractmethod
    def build_adapter(
        self, model: nn.Module, projections: Sequence[Projection], *, steps: int, gradients: Mapping[str, Tensor]
    ) -> Adapter:
        """Put the adapter into a model.

        Args:
            model: gets the adapter.
            projections: that are changed.
            steps: most optimiser steps that it is trained for.
            gradients: G (out, in) of the facts' loss for each projection, by name, if they are needed.
        """

    def start_adapter(self, adapter: Any, gradients: Mapping[str, Tensor]) -> None:
        """Where the adapter starts, if not at zero."""

    @abstractmethod
    def trained_values(self, projection: Projection, steps: int) -> int:
        """Values that are trained for a projection, in at most so many steps."""

    def held_bytes(self, projections: Sequence[Projection], trained: int) -> int:
        """What is held in training besides so many trained values and their optimiser's state."""
        return 0

    def bytes_per_token(self, projections: Sequence[Projection]) -> int:
        """What a pass keeps for each token, besides what the model keeps."""
        return 0

    def work_bytes(self, projections: Sequence[Projection]) -> int:
        """Tensors of the size of weights that a forward pass makes and drops."""
        return 0

    def update_bytes(self, projections: Sequence[Projection]) -> int:
        """The update in fp32: all of ΔW, where nothing else is said."""
        return sum(FP32 * projection.size for projection in projections)


@dataclass
class BoundSettings(AdapterSettings):
    """Of adapters whose change can be scaled down."""

    clamp: float | None = setting(None, "bound on the absolute value of every element of the weight change", above=0)

    @property
    def bound(self) -> float | None:
        """``clamp``."""
        return self.clamp
