"""What is written is what was sought, on every architecture."""

from __future__ import annotations

import pytest
import torch
from architectures import AFTERWARDS, ARCHITECTURES, HYBRIDS, tiny

from easyedit_ice.edit.delta import Delta
from easyedit_ice.edit.history import edits_in
from easyedit_ice.edit.originals import OriginalWeights
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams, place_of
from easyedit_ice.editors.closed_form import layer_writes as write
from easyedit_ice.editors.closed_form.layer_writes import KeptKeys, LayerWrites, write_facts
from easyedit_ice.editors.closed_form.open_directions import Open
from easyedit_ice.editors.closed_form.subject_rows import fact_rows
from easyedit_ice.editors.closed_form.value_search import Search, Values
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.precompute.factors import Factor, factored, identity_factor
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, tokenizer
from easyedit_ice.text.reading import at_last_token

REQUESTS = EditRequest.prepare(FACTS[:2])
SEARCH = Search(4, 0.05, 0.0, 0.0, 4.0, 0.0, None, "projection")


def _model(name: str) -> torch.nn.Module:
    """With weights as large as those of trained models, so that norms and factors make a difference."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = tiny(name, vocab_size=len(tokenizer()))
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.12)
    return model


def _written(model: torch.nn.Module, layers: list[int], factor: Factor | None = None, **changes: object) -> LayerWrites:
    place = place_of(model, FastMEMITHyperParams(layers=layers))
    width = ModelAnatomy(model).projection(place.names[0]).in_features
    opened = dict.fromkeys(place.names, Open(factor or identity_factor(width, 1.0)))
    with torch.enable_grad():
        return write_facts(model, tokenizer(), REQUESTS, ("",), place, opened, SEARCH, **{"alpha": 0.0} | changes)


def _read(model: torch.nn.Module, module: str) -> torch.Tensor:
    rows = [fact_rows(tokenizer(), request, ("",)).stated[0] for request in REQUESTS]
    return at_last_token(model, [row.ids[: row.at + 1] for row in rows], module, "out")


@pytest.mark.parametrize("name", [*ARCHITECTURES, *HYBRIDS])
def test_the_projection_moves_by_what_was_sought_and_the_block_with_it(name: str) -> None:
    model = _model(name)
    (path,) = place_of(model, FastMEMITHyperParams(layers=[1])).names
    block = ModelAnatomy(model).layer_name(1)
    written = _written(model, [1])
    before = _read(model, path), _read(model, block)
    WeightUpdate(written.deltas).commit(model)
    delta = written.values.delta
    assert delta.norm() > 0
    torch.testing.assert_close(_read(model, path) - before[0], delta, rtol=1e-3, atol=1e-3 * delta.norm().item())
    follows = torch.allclose(_read(model, block) - before[1], delta, rtol=1e-3, atol=1e-3 * delta.norm().item())
    assert follows == written.values.adds == (name not in AFTERWARDS)


@pytest.mark.parametrize("name", ["Llama", "Falcon", "Gemma3Text", "Granite"])
def test_of_several_blocks_each_takes_its_share(name: str) -> None:
    model = _model(name)
    before = state(model)
    written = _written(model, [0, 1])
    assert state(model) == before
    assert [path.split(".")[2] for path in written.deltas] == ["0", "1"]
    last = list(written.deltas)[-1]
    module = last if name in AFTERWARDS else ModelAnatomy(model).layer_name(1)
    target = _read(model, module) + written.values.delta
    lower = WeightUpdate({path: delta for path, delta in written.deltas.items() if path != last})
    if name in AFTERWARDS:  # what is sought there is sought in the model that was changed below
        lower.commit(model)
        target = _read(model, module) + written.values.delta
        lower.revert(model)
    WeightUpdate(written.deltas).commit(model)
    missed = (_read(model, module) - target).norm() / written.values.delta.norm()
    assert missed < 0.01


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_the_weight_of_general_keys_writes_the_share_that_is_asked_for(share: float) -> None:
    model = _model("Llama")
    draws = torch.randn(1000, 48, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.1, 2, 48)
    general = factored(draws.T @ draws / 1000, weight=1.0, ridge=0.0, name="", tokens=1000)
    written = _written(model, [1], general, alpha=1.0, share=share)
    ((path, delta),) = written.deltas.items()
    missed = written.values.delta - delta.apply(written.keys[path])
    assert (missed.norm() / written.values.delta.norm()).item() == pytest.approx(1 - share, rel=1e-3)


@pytest.mark.parametrize("turn", [0, 1])
def test_a_write_that_is_interrupted_leaves_the_model_as_it_was(turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, commits, commit = _model("Llama"), [], WeightUpdate.commit
    before = state(model)

    def interrupted(update: WeightUpdate, model: torch.nn.Module) -> None:
        if len(commits) == turn:
            raise KeyboardInterrupt
        commits.append(update)
        commit(update, model)

    monkeypatch.setattr(WeightUpdate, "commit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _written(model, [0, 1, 2])
    assert state(model) == before
    assert edits_in(model) == ()


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RuntimeError])
@pytest.mark.parametrize("turn", [1, 2])
def test_a_failure_within_the_commit_of_a_layer_comes_out_and_leaves_the_model_as_it_was(
    turn: int, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, written, write_one = _model("Llama"), [], OriginalWeights.write
    before = state(model)

    def failing(*args: object) -> None:
        write_one(*args)
        written.append(args)
        if len(written) == turn:
            raise error("struck after the weight was written")

    monkeypatch.setattr(OriginalWeights, "write", failing)
    with pytest.raises(error, match="struck after"):
        _written(model, [0, 1, 2])
    assert state(model) == before
    assert edits_in(model) == ()


def test_values_are_sought_once_where_blocks_add_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    sought: list[str] = []
    original = write.find_values

    def counted(model: torch.nn.Module, facts: list, projection: str, search: Search) -> Values:
        sought.append(projection)
        return original(model, facts, projection, search)

    monkeypatch.setattr(write, "find_values", counted)
    found: dict[str, Delta] = _written(_model("Llama"), [0, 1]).deltas
    assert sought == list(found)[-1:]
    assert list(_written(_model("Olmo2"), [0, 1]).deltas) == sought[1:]


def test_further_keys_share_their_weight_and_those_of_edits_have_one_each() -> None:
    edits = ({"x": torch.ones(2, 3)}, {"y": torch.ones(5, 3)})
    keys, weights = KeptKeys(0.5, {"x": torch.zeros(4, 3)}, 4.0).of(edits, "x", 2.0)
    assert keys.tolist() == [[1.0] * 3] * 2 + [[0.0] * 3] * 4
    assert torch.as_tensor(weights).tolist() == [0.5] * 2 + [2.0] * 4
    keys, weights = KeptKeys(0.5).of(edits, "x", 2.0)
    assert (len(keys), weights) == (2, 0.5)
    assert KeptKeys(0.0).of(edits, "x", 2.0) == (None, 0.0)
    assert KeptKeys(0.0, {"x": torch.zeros(4, 3)}).of(edits, "x", 2.0)[0].tolist() == [[0.0] * 3] * 4
