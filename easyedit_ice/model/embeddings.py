"""The embeddings of a model: their weight tells its device, dtype, width and number of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


def embedding_weight(model: nn.Module) -> Tensor:
    """The weight of a model's input embeddings, (tokens, width)."""
    return weight_of(cast("PreTrainedModel", model).get_input_embeddings())


def output_head(model: nn.Module) -> nn.Module | None:
    """The module that turns states into logits, if the model names one."""
    return cast("PreTrainedModel", model).get_output_embeddings()


def weight_of(module: nn.Module) -> Tensor:
    """The weight of a module that has one, such as a projection or an embedding."""
    return cast("Tensor", module.weight)
