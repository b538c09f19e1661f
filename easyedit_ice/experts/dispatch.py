"""Which experts answer a question: alphas for each prompt, found by a first pass, or fixed.

Transformer² (Sun et al. 2025, arXiv 2501.06252) has the model name the expert, as it is or with an expert
of its own for that. Here a name is not written freely but compared with the others by its likelihood, so that there is
always an answer; one of the labels stands for none of the experts, and what belongs nowhere gets that: α = 0, the base.

Shapes: n prompts, K experts, L projections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import ExpertError
from easyedit_ice.evaluation.likelihood import alternatives
from easyedit_ice.experts.dispatch_prompt import Wording
from easyedit_ice.experts.expert import Expert
from easyedit_ice.experts.mixing import Alphas, alpha_table, modules_of
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.edit_state import state_of
from easyedit_ice.model.side_branch import SideBranch
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.tokens import tokens


class Dispatcher(Protocol):
    """Finds alphas for prompts."""

    def alphas(self, model: nn.Module, tok: Tokenizer, experts: Sequence[Expert], prompts: Sequence[str]) -> Tensor:
        """Alphas (n, K, L) of the prompts' rows.

        Args:
            model: the base, without the experts.
            tok: its tokenizer.
            experts: to choose from.
            prompts: texts, without padding.
        """
        ...


@dataclass(frozen=True)
class FixedAlphas:
    """The same mixture for every prompt.

    Attributes:
        values: as for :func:`~easyedit_ice.experts.mixing.mixed`.
    """

    values: Alphas

    def alphas(self, model: nn.Module, tok: Tokenizer, experts: Sequence[Expert], prompts: Sequence[str]) -> Tensor:
        """See :class:`Dispatcher`."""
        table = alpha_table(self.values, experts)
        return table.expand(len(prompts), *table.shape).clone()


@dataclass(frozen=True)
class LabelDispatcher:
    """The expert whose label the model finds likeliest after the question, or none.

    Attributes:
        wording: of the question.
        margin: by how many nats per token the likeliest label must be ahead of the next one; else the base answers.
        alpha: of the chosen expert.
        classifier: an expert that is active in this pass only, as
            :func:`~easyedit_ice.experts.classifier.train_classifier` makes it; none for the base as it is.
    """

    wording: Wording = field(default_factory=Wording)
    margin: float = 0.0
    alpha: float = 1.0
    classifier: Expert | None = None

    def alphas(self, model: nn.Module, tok: Tokenizer, experts: Sequence[Expert], prompts: Sequence[str]) -> Tensor:
        """See :class:`Dispatcher`."""
        chosen = self.choose(model, tok, experts, prompts)
        weights = torch.zeros(len(prompts), len(experts), len(modules_of(experts)))
        for row, number in enumerate(chosen):
            if number is not None:
                weights[row, number] = self.alpha
        return weights

    def choose(
        self, model: nn.Module, tok: Tokenizer, experts: Sequence[Expert], prompts: Sequence[str]
    ) -> list[int | None]:
        """The index of each prompt's expert; ``None`` where the base shall answer."""
        best = self.likelihoods(model, tok, experts, prompts).topk(2)
        sure = best.values[:, 0] - best.values[:, 1] >= self.margin
        return [
            number if certain and number < len(experts) else None
            for number, certain in zip(best.indices[:, 0].tolist(), sure.tolist(), strict=True)
        ]

    def likelihoods(
        self, model: nn.Module, tok: Tokenizer, experts: Sequence[Expert], prompts: Sequence[str]
    ) -> Tensor:
        """Mean log-likelihood of each label's tokens, in nats, the base's label last: (n, K + 1)."""
        labels = self.wording.choices(experts)
        asked = [(self.wording.asked(experts, prompt), labels) for prompt in prompts]
        _check_lengths(model, tok, asked)
        guide = nullcontext() if self.classifier is None else attached(_bound(self.classifier, model), model)
        with guide:
            return torch.tensor(alternatives(model, tok, asked)).reshape(len(prompts), len(labels))


def _bound(classifier: Expert, model: nn.Module) -> WeightUpdate:
    """The classifier's update of a model, which it is found to fit once, and not at every question."""
    bound = state_of(model).derived.setdefault("classifiers", WeakKeyDictionary())
    if classifier not in bound:
        bound[classifier] = classifier.update(model)
    update: WeightUpdate = bound[classifier]
    return update


@contextmanager
def attached(update: WeightUpdate, model: nn.Module) -> Iterator[None]:
    """An update beside the model's weights within the block; no weight is written to."""
    with ExitStack() as beside:
        for path, delta in update.deltas.items():
            branch, module = SideBranch(delta.apply), model.get_submodule(path)
            beside.callback(branch.detach, module)
            branch.attach(module)
        yield


def _check_lengths(model: nn.Module, tok: Tokenizer, asked: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Refuse questions that do not fit into the model's context."""
    most = ModelAnatomy(model).context_length
    longest = max((len(tokens(tok, f"{text} {label}")) for text, labels in asked for label in labels), default=0)
    if most is not None and longest > most:
        raise ExpertError(
            f"a dispatch question takes {longest} tokens, but the model's context is {most}; shorten the template, or "
            "decide on shorter prompts"
        )
