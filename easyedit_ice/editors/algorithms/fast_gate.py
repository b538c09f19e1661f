"""FastGate: each fact's value with a gate, that opens where the fact's key is read and nowhere else.

Values are MEMIT's (Meng et al. 2023, arXiv 2210.07229), readers ROME's (arXiv 2202.05262); gated keys and values beside
the weights are NeuralDB's (Fei et al. 2025, arXiv 2507.18028).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from easyedit_ice.edit.gated_delta import GatedDelta
from easyedit_ice.edit.history import edits_in
from easyedit_ice.edit.hparams import setting
from easyedit_ice.edit.plain_statements import MEASURED, statements
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.closed_form.closed_form_memory import plan_gates
from easyedit_ice.editors.closed_form.gates import Gates
from easyedit_ice.editors.closed_form.layer_writes import key_states, mean_key
from easyedit_ice.editors.closed_form.outcome import not_written, stated
from easyedit_ice.editors.closed_form.search_settings import SearchSettings, prefixes_of, prices_of, search_of
from easyedit_ice.editors.closed_form.solver_settings import factors_of, place_of, second_moments
from easyedit_ice.editors.closed_form.subject_rows import FactRows, looked_up
from easyedit_ice.editors.closed_form.value_search import find_values
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy, Projection
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.factors import Factor
from easyedit_ice.text.reading import at_places


@dataclass
class FastGateHyperParams(SearchSettings):
    """Settings of FastGate."""

    gentler = "raise gate_closed and gate_open, or name another layer"
    stronger = "raise v_num_grad_steps or clamp_norm_factor"
    wider = "lower gate_closed and gate_open"

    writes_experts: ClassVar[bool] = False
    whole_mlps: ClassVar[bool] = True

    layers: list[int] | None = setting(None, "the block to write to; None for one at a quarter of the depth")
    gate_closed: float = setting(
        0.65, "what is read of a fact's key, where 1 is all of it, up to which nothing is written", above=0, high=1
    )
    gate_open: float = setting(0.85, "from which on the whole value is written", above=0, high=1)

    def check(self) -> None:
        """Refuse several blocks, and gates that do not open."""
        if self.layers is not None and len(self.layers) != 1:
            raise HyperParamsError(f"layers is {self.layers}; FastGate writes to one block: name one")
        if self.gate_closed >= self.gate_open:
            raise HyperParamsError(
                f"gate_closed is {self.gate_closed} and gate_open {self.gate_open}; a gate opens from the one to the "
                "other: give gate_open a greater value"
            )


def solve(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], hparams: FastGateHyperParams
) -> WeightUpdate:
    """Write all facts; those of one subject one after the other.

    Raises:
        AnatomyError: the model has no such layer or projection.
        StatisticsError: the second moment is damaged, or cannot be inverted.
        DataError: there is no such text for it, or not enough of it.
    """
    model.eval()
    prefixes, factor = prepare(model, tok, hparams)
    (name,), anatomy = place_of(model, hparams).names, ModelAnatomy(model)
    gates = Gates(factor, hparams.gate_closed, hparams.gate_open, bounded=isinstance(anatomy.site(name), Projection))
    search, longest = search_of(model, tok, hparams), anatomy.context_length
    before = stated(model, tok, requests)
    rows = [row.ids for row in statements(model, tok, MEASURED, requests)]
    openings, plain = sorted({ids[0] for ids in rows}), _read_of(model, rows, name)
    deltas: list[GatedDelta] = []
    keys: list[Tensor] = []
    losses: dict[int, float] = {}
    steps: dict[int, int] = {}
    with ExitStack() as committed:
        for turn in _turns(requests):
            parts = [looked_up(tok, requests[index], prefixes, longest) for index in turn]
            facts = [part for of_request in parts for part in of_request]
            owners = [index for index, of_request in zip(turn, parts, strict=True) for _ in of_request]
            values = find_values(model, facts, name, search)
            states = key_states(model, facts, name, hparams.tokens_together)
            earlier = [edit[name] for edit in edits_in(model) if name in edit] if hparams.keep_edits else []
            read = torch.stack([mean_key(own) for own in states])
            beside = [torch.cat([read[:0], *plain, *_after_others(model, part, openings, name)]) for part in facts]
            delta = gates.of(states, values.delta, torch.cat([read[:0], *earlier]), beside)
            committed.enter_context(WeightUpdate({name: delta}, keys={name: read}).applied(model))
            deltas.append(delta)
            keys.append(read)
            for owner, loss, tries in zip(owners, values.losses, values.steps, strict=True):
                losses[owner], steps[owner] = max(loss, losses.get(owner, loss)), max(tries, steps.get(owner, tries))
        after = stated(model, tok, requests)
    info = {
        "algorithm": hparams.alg_name,
        "hparams": hparams.to_dict(),
        "facts": [[request.prompt, request.target_new] for request in requests],
        "course": {
            "losses": [losses[index] for index in range(len(requests))],
            "steps": [steps[index] for index in range(len(requests))],
        },
        "target_nll": {"before": before.nll, "after": after.nll},
    }
    if missed := not_written(requests, after):
        info["not_written"] = missed
    total = WeightUpdate.total(WeightUpdate({name: delta}) for delta in deltas)
    return WeightUpdate(total.deltas, info, {name: torch.cat(keys)})


def _read_of(model: nn.Module, rows: Sequence[Sequence[int]], name: str) -> list[Tensor]:
    """What a module reads at every token of some texts, (t, d) in fp32, if there are any."""
    return [at_places(model, rows, [range(len(ids)) for ids in rows], name, "in")] if rows else []


def _after_others(model: nn.Module, part: FactRows, openings: Sequence[int], name: str) -> list[Tensor]:
    """What is read where a fact whose subject is a text's first token is looked up, with other first tokens."""
    bare = part.stated[0]
    if not part.follows:
        return []
    rows = [(other, *bare.ids[1 : bare.at + 1]) for other in openings if other != bare.ids[0]]
    return [at_places(model, rows, [range(bare.at, bare.at + 1)] * len(rows), name, "in")] if rows else []


def prepare(model: nn.Module, tok: Tokenizer, hparams: FastGateHyperParams) -> tuple[tuple[str, ...], Factor]:
    """Do what is done once, on the model before any edit: context prefixes, and the factored second moment."""
    model.eval()
    prefixes = prefixes_of(model, tok, hparams)
    (factor,) = factors_of(model, tok, hparams).values()
    prices_of(model, tok, hparams)
    return prefixes, factor


def _turns(requests: Sequence[EditRequest]) -> Iterator[list[int]]:
    """Indices of requests, no subject twice in a turn: its second fact is sought with the first in force."""
    left = list(range(len(requests)))
    while left:
        first = {requests[index].subject: index for index in reversed(left)}
        turn = sorted(first.values())
        left = [index for index in left if index not in turn]
        yield turn


ALGORITHM = Algorithm(
    name="FastGate",
    hparams=FastGateHyperParams,
    solve=solve,
    prepare=prepare,
    second_moments=second_moments,
    needs_subject=True,
    beside=True,
    plan=plan_gates,
    summary="values with gates, for thousands of facts that leave all else alone; beside the weights, not in them",
)
