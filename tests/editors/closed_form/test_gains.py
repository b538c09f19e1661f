"""What norms do to each dimension, and directions found after them."""

from __future__ import annotations

import pytest
import torch
from architectures import AFTERWARDS, tiny

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.closed_form.contrast import read
from easyedit_ice.editors.closed_form.gains import gain_after_norm, sought_before, towards_targets
from easyedit_ice.editors.closed_form.outcome import lead
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.rows import Row, encode, predict

ROWS = [
    encode(tokenizer(), request.asked(), request.completion)
    for request in (EditRequest.from_dict(fact) for fact in FACTS)
]
FEW = [Row(tuple(index % 50 + 3 for index in row.ids), row.span) for row in ROWS]
"""The same for a vocabulary of 64."""


def _out(model: torch.nn.Module, layer: int) -> tuple[str, str]:
    anatomy = ModelAnatomy(model)
    return anatomy.select("mlp", "out", [layer])[0].name, anatomy.layer_name(layer)


@pytest.mark.parametrize("name", sorted(AFTERWARDS - {"Granite"}))
def test_what_is_sought_before_a_norm_comes_out_behind_it(name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = tiny(name).eval()
    projection, block = _out(model, 1)
    drawn = torch.Generator().manual_seed(1)
    for module in model.get_submodule(block).modules():
        if getattr(getattr(module, "weight", None), "ndim", 0) == 1:
            module.weight.data.uniform_(0.5, 2.0, generator=drawn)
    gain = gain_after_norm(model, FEW, projection, block)
    wanted = torch.randn(1, len(gain), generator=drawn)
    before = read(model, FEW, block, "out")
    added = sought_before(wanted, gain)
    added = 0.01 * added / added.norm()
    handle = model.get_submodule(projection).register_forward_hook(lambda module, args, output: output + added)
    moved = read(model, FEW, block, "out") - before
    handle.remove()
    assert torch.nn.functional.cosine_similarity(moved, wanted).min() > 0.7


def test_where_no_norm_follows_there_is_nothing_to_make_up_for() -> None:
    model = SHAPES[2].build().eval()
    gain = gain_after_norm(model, ROWS, *_out(model, 1))
    assert gain is None


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[2]], ids=lambda shape: shape.name)
def test_targets_gain_on_their_rivals_along_the_heads_direction(shape: object) -> None:
    model = shape.build().eval()
    block = ModelAnatomy(model).layer_name(ModelAnatomy(model).num_layers - 1)
    row = ROWS[:1]
    direction = towards_targets(model, row)
    before = predict(model, row)
    step = torch.zeros(1, len(row[0].ids) - 1, direction.shape[1])
    step[0, -row[0].span :] = 0.1 * direction / direction.norm(dim=1, keepdim=True)

    def more(module: object, args: object, output: object) -> object:
        return (output[0] + step, *output[1:]) if isinstance(output, tuple) else output + step

    handle = model.get_submodule(block).register_forward_hook(more)
    with torch.no_grad():
        after = predict(model, row)
    handle.remove()
    assert (lead(after.log_probs, after.tokens) > lead(before.log_probs, before.tokens)).all()
