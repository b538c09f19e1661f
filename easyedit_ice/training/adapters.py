"""Low-rank adapters of peft: put into a model, trained, and read out as deltas.

The model comes back unchanged through :func:`easyedit_ice.preserve.preserved`, inside which adapters live.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from easyedit_ice.anatomy import Projection
from easyedit_ice.deltas import LowRankDelta
from easyedit_ice.errors import AnatomyError

_NAME = "edit"


class LowRankAdapter:
    """LoRA on some projections: y = W x + scale · B A x, with B = 0 at the start (Hu et al. 2021).

    Args:
        model: gets the adapter's layers in place of the projections'.
        projections: where; all of this model.
        rank: rows of A, columns of B.
        alpha: the scale is alpha / rank.
        dropout: on the adapter's input, in training mode only.

    Raises:
        AnatomyError: gradients do not pass through the model's weights.
    """

    def __init__(
        self, model: nn.Module, projections: Sequence[Projection], *, rank: int, alpha: float, dropout: float
    ) -> None:
        from peft import LoraConfig
        from peft.tuners.lora import LoraModel

        _check_differentiable(model)
        config = LoraConfig(
            r=rank,
            lora_alpha=alpha,
            lora_dropout=dropout,
            target_modules=[projection.name for projection in projections],
            fan_in_fan_out=any(projection.transposed for projection in projections),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._tuner = LoraModel(model, {_NAME: config}, _NAME)
        self._model = model
        self._names = tuple(projection.name for projection in projections)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in self.parameters():
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
        for name in self._names:
            self._layer(name).lora_dropout.eval()

    def parameters(self) -> list[Tensor]:
        """The trained tensors: A (rank, in) and B (out, rank) of each projection, in fp32."""
        return [
            layer.weight
            for name in self._names
            for layer in (self._layer(name).lora_A[_NAME], self._layer(name).lora_B[_NAME])
        ]

    def train(self, *, gradient_checkpointing: bool) -> None:
        """Switch on what is on in training only: the adapter's dropout, and on request gradient checkpointing.

        The model's own dropout stays off: an edit is fitted to the model that will be used.
        """
        for name in self._names:
            self._layer(name).lora_dropout.train()
        if gradient_checkpointing:
            self._model.gradient_checkpointing_enable({"use_reentrant": False})
            for module in self._model.modules():
                if hasattr(module, "gradient_checkpointing"):
                    module.training = True

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """The model without the adapter."""
        self._tuner.disable_adapter_layers()
        try:
            yield
        finally:
            self._tuner.enable_adapter_layers()

    def deltas(self) -> dict[str, LowRankDelta]:
        """ΔW of each projection, as copies."""
        deltas = {}
        for name in self._names:
            layer = self._layer(name)
            a, b = (factor[_NAME].weight.detach().float().clone() for factor in (layer.lora_A, layer.lora_B))
            deltas[name] = LowRankDelta(a, b * layer.scaling[_NAME])
        return deltas

    @torch.no_grad()
    def clamp(self, bound: float) -> None:
        """Shrink each ΔW so that none of its elements exceeds ``bound`` in absolute value."""
        for name, delta in self.deltas().items():
            largest = delta.matrix().abs().max().item()
            if largest > bound:
                self._layer(name).lora_B[_NAME].weight.mul_(bound / largest)

    def _layer(self, name: str) -> nn.Module:
        return self._model.get_submodule(name)


def _check_differentiable(model: nn.Module) -> None:
    """Refuse 4-bit weights that bitsandbytes has laid out for inference: they pass no gradient on, and say nothing."""
    for name, parameter in model.named_parameters():
        if getattr(getattr(parameter, "quant_state", None), "packing_format_for_cpu", False):
            raise AnatomyError(
                f"{name} was laid out for inference on the CPU by bitsandbytes and passes no gradients on; load the "
                "model with easyedit_ice.load_model, or set support_avx512bf16_for_cpu = False on its Linear4bit "
                "modules before its first use"
            )
