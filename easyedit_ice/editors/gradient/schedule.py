"""How an adapter is trained: steps, their length, and what one of them may take."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.edit.hparams import Section, setting
from easyedit_ice.editors.gradient.learning_rate import FIRST
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.activation_memory import tokens_within
from easyedit_ice.model.anatomy import Projection
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.runtime.distributed import Share

OPTIMIZERS = ("adamw", "sgd")


@dataclass
class Schedule(Section):
    """How it is trained."""

    num_steps: int = setting(100, "most passes over the facts of a batch", low=1)
    optimizer: str = setting(
        "adamw",
        "adamw, or sgd, which moves what the gradient points at alone and so changes less; its lr is far greater",
        choices=OPTIMIZERS,
    )
    lr: float | None = setting(
        None, "learning rate; None for the one at which a first step moves general text by step_drift", above=0
    )
    step_drift: float = setting(
        3e-6, "where lr is None: divergence of plain statements from before the first step, in nats per token", above=0
    )
    momentum: float = setting(0.9, "sgd: share of the last step that is gone again", low=0, high=1)
    weight_decay: float = setting(0.0, "weight decay", low=0)
    max_grad_norm: float | None = setting(1.0, "gradients are scaled down to this norm", above=0)
    evenness: float = setting(
        0.0,
        "how evenly projections share a step: 0 as their gradients say, 1 all alike, 2 so that each lowers the loss "
        "alike; for optimizer: sgd",
        low=0,
    )
    mini_batch_size: int = setting(16, "facts in one optimiser step", low=1)
    micro_batch_size: int = setting(4, "most facts in one forward and backward pass; fewer take less memory", low=1)
    activation_budget: float | None = setting(
        None, "MiB for the activations of such a pass, by estimate: as few facts as that takes", above=0
    )
    data_parallel: bool = setting(
        False, "share each mini-batch among the processes of accelerate launch; all of them must solve the same facts"
    )
    mixed_precision: str = setting("no", "type of the forward passes in training", choices=("no", "bf16"))
    gradient_checkpointing: bool = setting(False, "recompute activations in the backward pass to save memory")

    def check(self) -> None:
        """Refuse decay by more than there is."""
        if self.lr is not None and self.lr * self.weight_decay > 1:
            raise HyperParamsError(
                f"lr {self.lr:g} times weight_decay {self.weight_decay:g} is more than 1, so that each step would take "
                "away more than all there is of a weight; lower one of them"
            )

    def most_steps(self, facts: int) -> int:
        """Most optimiser steps in which so many facts are trained together."""
        return self.num_steps * math.ceil(facts / self.mini_batch_size)

    def build_optimizer(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        """The optimiser of what is trained."""
        shared: dict[str, Any] = {"lr": FIRST if self.lr is None else self.lr, "weight_decay": self.weight_decay}
        if self.optimizer == "sgd":
            return torch.optim.SGD(parameters, momentum=self.momentum, **shared)
        return torch.optim.AdamW(parameters, **shared)

    @property
    def moments(self) -> int:
        """Values that the optimiser keeps for each trained one."""
        return 2 if self.optimizer == "adamw" else int(self.momentum > 0)

    def most_tokens(self, model: nn.Module, projections: Sequence[Projection]) -> int | None:
        """Of one pass, by the budget of activations; ``None`` without one.

        Args:
            model: that has no adapter yet.
            projections: that are trained.
        """
        if self.activation_budget is None:
            return None
        budget = self.activation_budget * 2**20
        return tokens_within(model, budget, checkpointed=self.gradient_checkpointing, trained=projections)

    def facts_together(self, model: nn.Module, projections: Sequence[Projection], facts: int, tokens: int) -> int:
        """Facts in one pass: as many as the settings allow, and their budget of activations, of so many tokens each."""
        most, within = min(facts, self.mini_batch_size, self.micro_batch_size), self.most_tokens(model, projections)
        return most if within is None else max(1, min(most, within // tokens))

    def autocast(self, model: nn.Module) -> Callable[[], AbstractContextManager[Any]]:
        """Makes a context of mixed precision for the forward passes."""
        if self.mixed_precision == "no":
            return nullcontext
        return partial(torch.autocast, embedding_weight(model).device.type, torch.bfloat16)

    def share(self) -> Share:
        """This process's share of each mini-batch."""
        return Share.current() if self.data_parallel else Share()
