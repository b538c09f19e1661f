"""The weights of a base model, kept so that every bit of them can be brought back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from easyedit_ice.errors import UpdateError

_WORDS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class BaseWeights:
    """Copies, on the CPU, of all parameters and buffers of a model.

    Args:
        model: as it is before any edit.
    """

    def __init__(self, model: nn.Module) -> None:
        named = [*model.named_parameters(), *model.named_buffers()]
        self._tensors = {name: (tensor, _copy(tensor)) for name, tensor in named}

    def __getitem__(self, name: str) -> Tensor:
        """Value in the base model, on the CPU."""
        return self._tensors[name][1]

    def differing(self) -> dict[str, Tensor]:
        """Present values, on the CPU, of the tensors that are not as in the base model."""
        return {name: _copy(tensor) for name, (tensor, base) in self._tensors.items() if not same_bits(tensor, base)}

    def changed_since(self, values: Mapping[str, Tensor]) -> list[str]:
        """Names of the tensors that are not as they were when :meth:`differing` returned ``values``."""
        return [name for name, (tensor, base) in self._tensors.items() if not same_bits(tensor, values.get(name, base))]

    def put(self, values: Mapping[str, Tensor]) -> None:
        """Give some tensors these values and all others those of the base model.

        Raises:
            UpdateError: the model has no tensors of these names and shapes; nothing is written.
        """
        wrong = [name for name, value in values.items() if name not in self._tensors or self[name].shape != value.shape]
        if wrong:
            raise UpdateError(
                f"the model has no {', '.join(wrong)} of the shapes given; load a state of the same model"
            )
        for name in self.changed_since(values):
            tensor, base = self._tensors[name]
            tensor.data = values.get(name, base).to(tensor.device, copy=True)


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are alike in shape, type, and every bit."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    first, second = (tensor.detach().reshape(-1).view(_WORDS[one.element_size()]) for tensor in (one, other))
    return torch.equal(first, second.to(first.device))


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)
