"""From facts to an update, for all closed-form editors alike: values, then keys and a solve for each layer.

Layers are written from below; each takes its share of what is still missing at the last one, read anew after the
layers before it were written (MEMIT, arXiv 2210.07229, algorithm 1). Where blocks normalise or multiply what a
projection writes, what is missing at one is no vector for another: there each layer seeks values of its own, in the
model that the layers before it have changed, and takes its share of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from easyedit_ice.edit.delta import Delta
from easyedit_ice.edit.history import edits_in
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.closed_form.open_directions import Open
from easyedit_ice.editors.closed_form.solver import solve_update, weight_for
from easyedit_ice.editors.closed_form.subject_rows import FactRows, looked_up
from easyedit_ice.editors.closed_form.upper_blocks import UpperBlocks
from easyedit_ice.editors.closed_form.value_search import Search, Values, find_values
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.edit_state import Keys
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.reading import at_last_token


@dataclass(frozen=True)
class Place:
    """Where facts are written.

    Attributes:
        names: paths of the projections, from below.
        blocks: paths of their blocks.
        layers: indices of these.
    """

    names: tuple[str, ...]
    blocks: tuple[str, ...]
    layers: tuple[int, ...]


@dataclass(frozen=True)
class KeptKeys:
    """Keys that shall look up what they do, besides general ones.

    Attributes:
        weight: of each key of the edits that are in the model, where 1 is that of a fact's own; 0 not to keep them.
        beside: further keys, (m, d), by path of the projection.
        beside_weight: of all of these together, where that of all general keys in the factors is λ.
    """

    weight: float = 1.0
    beside: Mapping[str, Tensor] = field(default_factory=dict)
    beside_weight: float = 1.0

    def of(self, edits: Sequence[Keys], name: str, general: float) -> tuple[Tensor | None, Tensor | float]:
        """The keys of a projection, and their weights.

        Args:
            edits: keys of those that are in the model.
            name: path of the projection.
            general: weight of general keys, in units of that in the factors.
        """
        earlier = [edit[name] for edit in edits if name in edit] if self.weight else []
        if name not in self.beside:
            return (torch.cat(earlier) if earlier else None), self.weight
        every = torch.cat([*earlier, self.beside[name]])
        weights = torch.full((len(every),), self.weight, dtype=torch.float64)
        weights[len(every) - len(self.beside[name]) :] = general * self.beside_weight / len(self.beside[name])
        return every, weights


@dataclass(frozen=True)
class LayerWrites:
    """What was found.

    Attributes:
        deltas: by path of the projection.
        keys: of the facts, (n, d), by path of the projection; a fact may be looked up in two places.
        values: of the facts, at the last projection.
        weights: of general keys, in units of those in the factors, by path of the projection.
        owners: the request that each key and value is of.
    """

    deltas: dict[str, Delta]
    keys: dict[str, Tensor]
    values: Values
    weights: dict[str, float]
    owners: tuple[int, ...]

    def of_requests(self, figures: Sequence[float]) -> list[float]:
        """The largest figure of each request, given one for each value."""
        largest: dict[int, float] = {}
        for owner, figure in zip(self.owners, figures, strict=True):
            largest[owner] = max(figure, largest.get(owner, figure))
        return list(largest.values())


def write_facts(
    model: nn.Module,
    tok: Tokenizer,
    requests: Sequence[EditRequest],
    prefixes: Sequence[str],
    place: Place,
    opened: Mapping[str, Open],
    search: Search,
    *,
    alpha: float,
    share: float | None = None,
    kept_keys: KeptKeys | None = None,
) -> LayerWrites:
    """Find values, and the update of each layer.

    Args:
        model: left as it was.
        tok: its tokenizer.
        requests: facts with subjects.
        prefixes: texts that facts are stated after, where the model's context has room; the first is empty.
        place: where to write.
        opened: what may be read and written by each projection, with the factor of A.
        search: how values are sought.
        alpha: of the solver.
        share: of what is missing a solve with an α of 1 shall write, by its own prediction, which gives the weight of
            general keys; ``None`` for the weight that is in the factors.
        kept_keys: keys that shall look up what they do; ``None`` for general ones alone.
    """
    longest = ModelAnatomy(model).context_length
    parts = [looked_up(tok, request, prefixes, longest) for request in requests]
    facts = [part for of_request in parts for part in of_request]
    shared = len(place.names) > 1 and UpperBlocks(model, [facts[0].stated[0]], place.names[-1]).adds
    edits = edits_in(model)
    deltas: dict[str, Delta] = {}
    read: dict[str, Tensor] = {}
    weights: dict[str, float] = {}
    sought: list[Values] = []
    with ExitStack() as lower:
        for turn, name in enumerate(place.names):
            if not (shared and sought):
                values = find_values(model, facts, place.names[-1] if shared else name, search)
                gauge = place.blocks[-1] if shared else name
                targets = _looked_up(model, facts, gauge, search.together) + values.delta
                sought.append(values)
            system = opened[name]
            missing = (targets - _looked_up(model, facts, gauge, search.together)) / (len(place.names) - turn)
            residuals, read[name] = system.writable(missing), keys(model, facts, name, search.together)
            weights[name] = 1.0 if share is None else weight_for(system.factor, read[name], residuals, share)
            others, each = (None, 1.0) if kept_keys is None else kept_keys.of(edits, name, weights[name])
            deltas[name] = solve_update(system.factor, read[name], residuals, alpha, others, weights[name], each)
            if turn < len(place.names) - 1:
                update = WeightUpdate({name: deltas[name]}, keys={name: read[name]})
                lower.enter_context(update.applied(model))
    owners = tuple(index for index, of_request in enumerate(parts) for _ in of_request)
    return LayerWrites(deltas, read, sought[-1], weights, owners)


def keys(model: nn.Module, facts: Sequence[FactRows], name: str, together: int | None = None) -> Tensor:
    """The key of each fact, (n, d) in fp32."""
    return torch.stack([mean_key(states) for states in key_states(model, facts, name, together)])


def key_states(
    model: nn.Module, facts: Sequence[FactRows], name: str, together: int | None = None
) -> tuple[Tensor, ...]:
    """What a projection reads at each fact's subject, alone and after contexts: (c, d) each, in fp32."""
    rows = [row.ids[: row.at + 1] for fact in facts for row in fact.stated]
    states: tuple[Tensor, ...] = at_last_token(model, rows, name, "in", together).split([len(f.stated) for f in facts])
    return states


def mean_key(states: Tensor) -> Tensor:
    """The mean of the first and the mean of the others, as in the authors' code: (d,)."""
    return torch.stack([states[0], states[1:].mean(0)]).mean(0) if len(states) > 1 else states[0]


def _looked_up(model: nn.Module, facts: Sequence[FactRows], module: str, together: int | None) -> Tensor:
    """What a module writes at each subject of a bare prompt, (n, d) in fp32."""
    rows = [row.ids[: row.at + 1] for row in (fact.stated[0] for fact in facts)]
    return at_last_token(model, rows, module, "out", together)
