"""Merging what was learnt elsewhere: an adapter made on the unedited model, added to the edited one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from easyedit_ice.errors import AfterlifeError
from easyedit_ice.evaluation.afterlife.settings import Course
from easyedit_ice.evaluation.afterlife.training import refuse_packed, train_lora
from easyedit_ice.evaluation.afterlife.treatment import Treatment, treated
from easyedit_ice.model.tokenizer import Tokenizer


def learnt_change(model: nn.Module, tok: Tokenizer, course: Course) -> list[tuple[Tensor, Tensor]]:
    """The unedited model's own tensors, each with how the adapter changes it (fp32, on the CPU); the model stays.

    Raises:
        AfterlifeError: the adapter cannot be trained, or the folder holds none for this model.
    """
    before = [(tensor, tensor.detach().to("cpu", torch.float32, copy=True)) for tensor in model.parameters()]
    with treated(model, tok, Treatment("adapter", "", _put_in(course)), course.seed):
        changes = [(tensor, tensor.detach().cpu().float() - was) for tensor, was in before]
    return [(tensor, change) for tensor, change in changes if change.any()]


@torch.no_grad()
def add(changes: list[tuple[Tensor, Tensor]], scale: float) -> None:
    """Add changes to the tensors they belong to, rounded once."""
    for tensor, change in changes:
        tensor.data.copy_(tensor.float() + scale * change.to(tensor.device))


def _put_in(course: Course) -> Callable[[nn.Module, Tokenizer], None]:
    folder = course.adapter
    if folder is None:
        return lambda model, tok: train_lora(model, tok, course)

    def merge(model: nn.Module, _: Tokenizer) -> None:
        from peft import PeftModel

        refuse_packed(model)
        try:
            tuned: Any = PeftModel.from_pretrained(cast(Any, model), folder)  # any causal model
            tuned.merge_and_unload()
        # peft and safetensors meet files of strangers with whatever their parsing stumbles over.
        except Exception as error:
            raise AfterlifeError(
                f"{folder} holds no adapter that can be merged into {type(model).__name__} ({type(error).__name__}: "
                f"{error}); give evaluation.afterlife_adapter a folder of PEFT's save_pretrained for this model"
            ) from error

    return merge
