"""What transformers models have beyond torch's modules, with its types."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


def pretrained(model: nn.Module) -> PreTrainedModel:
    """A model as one of transformers', for type checkers: nothing is looked at or changed."""
    return cast("PreTrainedModel", model)


def embedding_weight(model: nn.Module) -> Tensor:
    """The weight of a model's input embeddings, (tokens, width): it tells the device and dtype as well."""
    return weight_of(pretrained(model).get_input_embeddings())


def weight_of(module: nn.Module) -> Tensor:
    """The weight of a module that has one, such as a projection or an embedding."""
    return cast("Tensor", module.weight)
