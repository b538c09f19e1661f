"""What follows of a model above one projection says what the whole model says."""

from __future__ import annotations

import pytest
import torch
from architectures import AFTERWARDS, ARCHITECTURES, HYBRIDS, LAYERS, WIDTH, tiny

from easyedit_ice.editors.closed_form.subject_rows import FactRow
from easyedit_ice.editors.closed_form.upper_blocks import UpperBlocks
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.cases import state
from easyedit_ice.text.reading import at_last_token

ROWS = [
    FactRow((5, 9, 3, 7, 2, 8), at=3, span=2),
    FactRow((4, 9, 3, 7, 2, 8, 1, 6, 11), at=5, span=1),
    FactRow((12, 8, 30), at=0, span=2),
    FactRow((7, 13, 21), at=2, span=0),
]
EVERY = pytest.mark.parametrize("name", ARCHITECTURES)


def _added(seed: int = 0) -> torch.Tensor:
    return torch.randn(len(ROWS), WIDTH, generator=torch.Generator().manual_seed(seed))


def _projection(model: torch.nn.Module, layer: int, part: str = "mlp") -> str:
    return ModelAnatomy(model).select(part, "out", [layer])[0].name


def _whole(model: torch.nn.Module, row: FactRow, added: torch.Tensor, projection: str) -> torch.Tensor:
    """The same by a pass over the row alone, with a hook on the projection."""

    def add(module: torch.nn.Module, args: object, output: torch.Tensor) -> torch.Tensor:
        moved = torch.zeros_like(output)
        moved.view(-1, output.shape[-1])[row.at] += added
        return output + moved

    handle = model.get_submodule(projection).register_forward_hook(add)
    try:
        logits = model(input_ids=torch.tensor([(*row.before, *row.read)])).logits[0]
    finally:
        handle.remove()
    return logits[[row.at + place for place in row.places]].log_softmax(-1)


@EVERY
@pytest.mark.parametrize(("layer", "part"), [(0, "mlp"), (1, "mlp"), (2, "mlp"), (1, "attention")])
def test_upper_blocks_predict_what_the_whole_model_predicts(name: str, layer: int, part: str) -> None:
    model = tiny(name)
    projection = _projection(model, layer, part)
    upper = UpperBlocks(model, ROWS, projection)
    for seed in (0, 1):  # nothing of the first call is left in the second
        added = _added(seed).requires_grad_(True)
        found = upper.log_probs(added)
        expected = torch.cat([_whole(model, row, own, projection) for row, own in zip(ROWS, added, strict=True)])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        [ours], [theirs] = (torch.autograd.grad(value[:, 5].sum(), added) for value in (found, expected))
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", HYBRIDS)
@pytest.mark.parametrize("layer", range(LAYERS))
def test_models_that_keep_more_than_keys_and_values_read_the_whole_row(name: str, layer: int) -> None:
    model = tiny(name)
    projection = _projection(model, layer)
    upper = UpperBlocks(model, ROWS, projection)
    assert upper.adds
    for seed in (0, 1):
        added = _added(seed)
        expected = torch.cat([_whole(model, row, own, projection) for row, own in zip(ROWS, added, strict=True)])
        torch.testing.assert_close(upper.log_probs(added), expected, rtol=1e-4, atol=1e-5)
    upper.keep([1, 3])
    torch.testing.assert_close(upper.log_probs(added[[1, 3]]), expected[[2, 5]], rtol=1e-4, atol=1e-5)


@EVERY
def test_rows_that_leave_do_not_change_the_others(name: str) -> None:
    model, added = tiny(name), _added()
    upper = UpperBlocks(model, ROWS, _projection(model, 1))
    before = upper.log_probs(added)
    upper.keep([1, 3])
    after = upper.log_probs(added[[1, 3]])
    torch.testing.assert_close(after, before[[2, 5]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["GPT2", "Llama", "GPTJ"])
def test_a_lower_last_block_feeds_the_models_own_norm_and_head(name: str) -> None:
    model, added = tiny(name), _added()
    upper = UpperBlocks(model, ROWS, _projection(model, 0), last=1)
    found = upper.log_probs(added)
    anatomy = ModelAnatomy(model)
    shallow = tiny(name)
    shallow.load_state_dict(model.state_dict())
    blocks = ModelAnatomy(shallow).blocks
    blocks[2].forward = lambda hidden, *args, **kwargs: hidden
    expected = torch.cat(
        [_whole(shallow, row, own, _projection(shallow, 0)) for row, own in zip(ROWS, added, strict=True)]
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert anatomy.num_layers == LAYERS


@EVERY
def test_what_projection_and_block_wrote_at_the_subject_is_told(name: str) -> None:
    model = tiny(name)
    projection = _projection(model, 1)
    upper = UpperBlocks(model, ROWS, projection)
    rows = [row.ids[: row.at + 1] for row in ROWS]
    for told, module in ((upper.projected, projection), (upper.block, ModelAnatomy(model).layer_name(1))):
        torch.testing.assert_close(told, at_last_token(model, rows, module, "out"), rtol=1e-4, atol=1e-5)


@EVERY
def test_a_norm_or_factor_behind_the_projection_is_noticed(name: str) -> None:
    model = tiny(name)
    assert UpperBlocks(model, ROWS, _projection(model, 1)).adds == (name not in AFTERWARDS)


@EVERY
def test_the_model_is_left_as_it_was(name: str) -> None:
    model = tiny(name)
    before = state(model), [sorted(vars(module)) for module in model.modules()]
    upper = UpperBlocks(model, ROWS, _projection(model, 1))
    upper.log_probs(_added())
    with pytest.raises(RuntimeError):
        upper.log_probs(_added()[:, :3])
    assert (state(model), [sorted(vars(module)) for module in model.modules()]) == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
