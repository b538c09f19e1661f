"""A pass that begins at a block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from architectures import ARCHITECTURES, HYBRIDS, tiny
from torch import nn

from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.capture import watching
from easyedit_ice.model.logits import logits_at
from easyedit_ice.model.reentry import Below, lower_blocks

TEXT, OTHER = (5, 9, 3, 7, 2, 11), (4, 4, 8, 1)
LAYER = 1


def _said(model: nn.Module, below: Below, ids: tuple[int, ...]) -> torch.Tensor:
    row = torch.tensor([ids])
    with torch.no_grad(), below.once(ids):
        return logits_at(model, {"input_ids": row, "attention_mask": torch.ones_like(row)}, [(0, len(ids) - 1)])


def _lower(model: nn.Module, layer: int = LAYER) -> tuple[nn.Module, ...]:
    projections = ModelAnatomy(model).match(["attention.out"], [layer, layer + 1])
    return lower_blocks(model, projections, TEXT)


@contextmanager
def _counted(model: nn.Module) -> Iterator[Counter]:
    calls: Counter[int] = Counter()
    blocks = list(ModelAnatomy(model).blocks)
    inner = {next(block.children()): layer for layer, block in enumerate(blocks)}
    with watching(inner, after=lambda module, args, output: calls.update([inner[module]])):
        yield calls


@pytest.mark.parametrize("name", [*ARCHITECTURES, *HYBRIDS])
def test_the_model_says_what_it_says_as_a_whole_after_a_change_above(name) -> None:
    model = tiny(name)
    blocks, below = ModelAnatomy(model).blocks, Below(_lower(model))
    first = {ids: _said(model, below, ids) for ids in (TEXT, OTHER)}
    with torch.no_grad():
        for parameter in blocks[LAYER].parameters():
            parameter.mul_(1.5)
    for ids in (TEXT, OTHER, TEXT):
        whole = _said(model, Below(), ids)
        assert torch.equal(_said(model, below, ids), whole)
        assert not torch.equal(first[ids], whole)
    with _counted(model) as calls:
        _said(model, below, TEXT)
    assert set(calls) == set(range(LAYER, len(blocks)))


def test_each_input_runs_the_lower_blocks_once_and_the_trial_is_made_once() -> None:
    model = tiny("GPT2")
    with _counted(model) as calls:
        lower = _lower(model)
        assert calls[0] == 2
        assert _lower(model) == lower == tuple(ModelAnatomy(model).blocks[:LAYER])
        assert calls[0] == 2
        below = Below(lower)
        for ids in (TEXT, OTHER, TEXT, OTHER):
            _said(model, below, ids)
    assert calls[0] == 4


def test_nothing_lies_below_the_first_block() -> None:
    assert _lower(tiny("GPT2"), layer=0) == ()


def test_a_weight_that_a_lower_block_shares_lets_it_run() -> None:
    model = tiny("GPT2")
    blocks = ModelAnatomy(model).blocks
    blocks[0].attn.c_proj.weight = blocks[LAYER].attn.c_proj.weight
    assert _lower(model) == ()


@pytest.mark.parametrize("forgetting", [False, True])
def test_blocks_that_hand_on_more_than_hidden_states_all_run(forgetting) -> None:
    model, kept = tiny("Llama"), {}
    lowest, *others = (block.mlp for block in ModelAnatomy(model).blocks)
    lowest.register_forward_hook(lambda module, args, output: kept.update(read=args[0]))
    for other in others:
        other.register_forward_pre_hook(lambda module, args: (args[0] + kept["read"],))
    if forgetting:
        model.register_forward_pre_hook(lambda module, args: kept.clear())
    assert _lower(model) == ()


def test_a_model_that_runs_its_blocks_several_times_runs_them_all() -> None:
    model = tiny("GPT2")
    whole = model.transformer.forward

    def again(input_ids: torch.Tensor, **kwargs: object) -> object:
        hidden = whole(input_ids, **kwargs).last_hidden_state
        return whole(**{**kwargs, "inputs_embeds": hidden})

    model.transformer.forward = again
    assert _lower(model) == ()
