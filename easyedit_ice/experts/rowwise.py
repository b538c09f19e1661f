"""Experts beside a model's weights, another mixture for each row of a batch.

y = W x + U S^½ (Σ α_k D_k) S^½ Vᵀ x, in which α are a row's own; no weight is written to. Shapes: n rows, K experts,
L projections, m elements that any expert has in a projection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from easyedit_ice.edit.delta import SpectralDelta, spectral_change
from easyedit_ice.experts.expert import Expert
from easyedit_ice.experts.mixing import check_mixable, modules_of
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.side_branch import SideBranch


class Beside:
    """Hooks on the projections that experts change; without alphas they add nothing.

    Args:
        model: that the experts were trained on, maybe edited since.
        experts: to mix.

    Attributes:
        alphas: (n, K, L) for the rows of the next pass, or ``None``.

    Raises:
        ExpertError: an expert is of another model, or they cannot be mixed.
    """

    def __init__(self, model: nn.Module, experts: Sequence[Expert]) -> None:
        check_mixable(experts)
        updates = [cast("Mapping[str, SpectralDelta]", expert.update(model).deltas) for expert in experts]
        self._banks = [_Bank.of([update.get(path) for update in updates]) for path in modules_of(experts)]
        self.alphas: Tensor | None = None
        anatomy = ModelAnatomy(model)
        self._branches: list[tuple[SideBranch, nn.Module]] = []
        for place, path in enumerate(modules_of(experts)):
            branch, module = SideBranch(self._change(place)), anatomy.projection(path).module
            branch.attach(module)
            self._branches.append((branch, module))

    def detach(self) -> None:
        """Take the hooks out again."""
        while self._branches:
            branch, module = self._branches.pop()
            branch.detach(module)

    @contextmanager
    def using(self, alphas: Tensor | None) -> Iterator[None]:
        """Passes within the block have rows with these alphas (n, K, L), and after it those from before."""
        before, self.alphas = self.alphas, alphas
        try:
            yield
        finally:
            self.alphas = before

    def _change(self, place: int) -> Callable[[Tensor], Tensor | None]:
        def change(inputs: Tensor) -> Tensor | None:
            if self.alphas is None or not self.alphas[:, :, place].any():
                return None
            rows = inputs.float().reshape(len(self.alphas), -1, inputs.shape[-1])
            added = self._banks[place].change(rows, self.alphas[:, :, place])
            return added.reshape(*inputs.shape[:-1], -1)

        return change


class _Bank:
    """What all experts change in one projection.

    Args:
        basis: U, s, V and the places of D's elements.
        values: (K, m), each expert's elements at these places.
    """

    def __init__(self, basis: SpectralDelta, values: Tensor) -> None:
        self._basis, self._values = basis, values

    @classmethod
    def of(cls, deltas: Sequence[SpectralDelta | None]) -> _Bank:
        """From each expert's delta, if it changes this projection."""
        some = next(delta for delta in deltas if delta is not None)
        rank = len(some.scales)
        places = [_places(delta) for delta in deltas if delta is not None]
        union = torch.cat(places).unique()
        values = some.values.new_zeros(len(deltas), len(union))
        for number, delta in enumerate(deltas):
            if delta is not None:
                values[number].index_add_(0, torch.searchsorted(union, _places(delta)), delta.values)
        return cls(replace(some, rows=union // rank, columns=union % rank, values=values[0]), values)

    def change(self, inputs: Tensor, alphas: Tensor) -> Tensor:
        """What is added for inputs (n, t, in) of rows with alphas (n, K): (n, t, out) in fp32."""
        basis = self._basis if self._values.device == inputs.device else self._basis.to(inputs.device)
        values = self._values.to(inputs.device)
        return spectral_change(inputs, basis, alphas.to(values) @ values)


def _places(delta: SpectralDelta) -> Tensor:
    return delta.rows * len(delta.scales) + delta.columns
