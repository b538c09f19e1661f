"""Newton steps on what a model believes of some facts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from easyedit_ice.edit.delta import DenseDelta, LowRankDelta
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.closed_form import newton
from easyedit_ice.editors.closed_form.linearised import Linearised, linearised
from easyedit_ice.editors.closed_form.metric import Metric
from easyedit_ice.editors.closed_form.newton import Aim, Stepping, one_step, write_by_steps
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.capture import watching
from easyedit_ice.model.pulls import odds
from easyedit_ice.testing.cases import raising, state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.rows import Row, encode

EACH = pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[2]], ids=lambda shape: shape.name)
STEPPING = Stepping(margin=1.0, num_steps=12, most_change=3.0, together=32, sweeps=4, kept_weight=0.1)


def _random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _positive(width: int, seed: int) -> torch.Tensor:
    rows = _random(3 * width, width, seed=seed)
    return rows.T @ rows / len(rows)


def _rows() -> list:
    return [encode(tokenizer(), request.prompt, request.completion) for request in EditRequest.prepare(FACTS)]


def _places(model: torch.nn.Module) -> dict[str, Metric]:
    return {
        projection.name: Metric(torch.linalg.inv(_positive(projection.in_features, 7)), 1.0, None)
        for projection in ModelAnatomy(model).match(["mlp.out"])
    }


def test_log_odds_are_those_of_all_tokens_together() -> None:
    nll = torch.tensor([0.01, 0.6931472, 5.0, 60.0])
    probability = (-nll.double()).exp()
    torch.testing.assert_close(odds(nll).double(), (probability / (1 - probability)).log(), rtol=1e-4, atol=1e-4)
    assert odds(torch.zeros(1)).isfinite()


@EACH
def test_a_small_change_moves_the_odds_as_keys_and_pulls_say(shape) -> None:
    model, rows = shape.build(), _rows()
    names = list(_places(model))
    found = linearised(model, rows, names)
    moved = torch.zeros(len(rows))
    deltas = {}
    for turn, name in enumerate(names):
        projection = ModelAnatomy(model).projection(name)
        change = 1e-3 * _random(projection.out_features, projection.in_features, seed=turn).float()
        each = (found.pulls[name] * (found.keys[name] @ change.T)).sum(1)
        moved.index_add_(0, found.owners(), each)
        deltas[name] = DenseDelta(change)
    with WeightUpdate(deltas).applied(model):
        after = linearised(model, rows, names).odds
    torch.testing.assert_close(after - found.odds, moved, rtol=0.05, atol=2e-4)


def test_a_step_is_the_cheapest_change_that_writes_all_facts_to_first_order() -> None:
    found = Linearised(
        torch.zeros(2),
        (3, 2),
        {name: _random(5, 6, seed=seed).float() for name, seed in (("a", 1), ("b", 2))},
        {name: _random(5, 4, seed=seed).float() for name, seed in (("a", 3), ("b", 4))},
        torch.arange(5),
    )
    read, listened = {"a": _positive(6, 5), "b": _positive(6, 6)}, {"a": _positive(4, 7), "b": _positive(4, 8)}
    metrics = {
        name: Metric(torch.linalg.inv(read[name]), 1.0, torch.linalg.inv(listened[name]).float()) for name in ("a", "b")
    }
    lack = torch.tensor([1.0, 2.0])
    step = one_step(found, torch.tensor([0, 1]), lack, metrics)
    flat, rows, costs = [], [], []
    for name in ("a", "b"):
        moves = torch.einsum("to,ti->toi", found.pulls[name].double(), found.keys[name].double())
        rows.append(torch.stack([moves[:3].sum(0).flatten(), moves[3:].sum(0).flatten()]))
        costs.append(torch.kron(listened[name], read[name]))
        flat.append(step[name].matrix().double().flatten())
    wanted, cost = torch.cat(rows, 1), torch.block_diag(*costs)
    inverse = torch.linalg.inv(cost)
    cheapest = inverse @ wanted.T @ torch.linalg.solve(wanted @ inverse @ wanted.T, lack.double())
    torch.testing.assert_close(torch.cat(flat), cheapest, rtol=5e-3, atol=1e-3)


@EACH
@pytest.mark.parametrize("together", [32, 1])
def test_facts_get_the_odds_that_are_asked_for_together_or_one_after_the_other(shape, together) -> None:
    model, rows = shape.build(), _rows()[:2]
    before, metrics = state(model), _places(model)
    wanted = linearised(model, rows, list(metrics)).odds.max().item() + 0.1
    stepping = Stepping(**vars(STEPPING) | {"together": together, "margin": wanted})
    found = write_by_steps(model, rows, [[len(row.ids) - 2] for row in rows], metrics, stepping)
    assert state(model) == before
    assert min(found.odds) >= wanted - 0.06
    assert all(len(keys) == len(rows) for keys in found.keys.values())
    with WeightUpdate(found.deltas).applied(model):
        assert linearised(model, rows, list(metrics)).odds.min() >= wanted - 0.06


def test_a_step_that_makes_it_worse_is_taken_back(monkeypatch) -> None:
    model, rows = SHAPES[0].build(), _rows()[:1]
    metrics, tried, step = _places(model), [], newton.one_step

    def wrong(found: Linearised, facts: torch.Tensor, lack: torch.Tensor, metrics: dict, slacks: torch.Tensor) -> dict:
        tried.append(lack.item())
        return {
            name: own.scaled(-1.0 if len(tried) == 1 else 1.0)
            for name, own in step(found, facts, lack, metrics, slacks).items()
        }

    monkeypatch.setattr(newton, "one_step", wrong)
    before = linearised(model, rows, list(metrics)).odds.item()
    stepping = Stepping(**vars(STEPPING) | {"num_steps": 2, "most_change": 0.1})
    found = write_by_steps(model, rows, [[0]], metrics, stepping)
    assert tried == pytest.approx([0.1, 0.025])
    assert found.odds[0] > before


def test_a_fact_that_holds_already_is_left_alone(monkeypatch) -> None:
    monkeypatch.setattr(newton, "one_step", lambda *args: pytest.fail("a step was made"))
    model, rows = SHAPES[0].build(), _rows()[:1]
    sure = Stepping(**vars(STEPPING) | {"margin": -1e3})
    found = write_by_steps(model, rows, [[0]], _places(model), sure)
    assert found.deltas == {}
    assert found.steps == (0,)


@EACH
def test_a_change_that_is_solved_for_anew_raises_a_fact_as_far_at_less_cost_than_steps_that_add_up(shape) -> None:
    model, rows = shape.build(), _rows()[:1]
    metrics = _places(model)

    def found(anew: bool) -> tuple[float, float]:
        own = write_by_steps(model, rows, [[0]], metrics, replace(STEPPING, anew=anew, num_steps=20))
        matrices = {name: delta.matrix().double() for name, delta in own.deltas.items()}
        costs = [(delta @ torch.linalg.inv(metrics[name].inward) * delta).sum() for name, delta in matrices.items()]
        return own.odds[0], sum(costs).item()

    (odds_of_sum, sum_costs), (odds_anew, costs) = found(anew=False), found(anew=True)
    assert odds_anew == pytest.approx(odds_of_sum, abs=0.05)
    assert costs < 0.9 * sum_costs


@EACH
def test_what_changes_do_to_first_order_is_what_a_small_one_does(shape) -> None:
    model, rows = shape.build(), _rows()
    metrics = _places(model)
    before = linearised(model, rows, list(metrics))
    small = one_step(before, torch.arange(len(rows)), torch.full((len(rows),), 1e-2), metrics)
    said = newton.moved(before, torch.arange(len(rows)), small)
    with WeightUpdate(small).applied(model):
        after = linearised(model, rows, list(metrics)).odds
    torch.testing.assert_close(after - before.odds, said, rtol=0.05, atol=2e-4)


@EACH
def test_what_a_fact_brings_with_it_comes_closer_too_and_the_fact_is_written_all_the_same(shape) -> None:
    model, (fact, other) = shape.build(), _rows()[:2]
    metrics = _places(model)
    before = linearised(model, [fact, other], list(metrics)).odds
    wanted = before + 0.5
    stepping = replace(STEPPING, margin=wanted[0].item())
    odds_after = []
    for beside in ([], [[Aim(other, wanted[1].item(), 0.1)]]):
        found = write_by_steps(model, [fact], [[0]], metrics, stepping, beside)
        with WeightUpdate(found.deltas).applied(model):
            odds_after.append(linearised(model, [fact, other], list(metrics)).odds)
    alone, both = odds_after
    assert min(alone[0], both[0]) >= wanted[0] - 0.06
    assert both[1] >= wanted[1] - 0.1
    assert both[1] > alone[1] + 0.1


@EACH
def test_what_holds_already_beside_a_fact_is_no_reason_for_a_step_but_is_kept(shape) -> None:
    model, (fact, other) = shape.build(), _rows()[:2]
    metrics = _places(model)
    before = linearised(model, [fact, other], list(metrics)).odds
    holds = [[Aim(other, before[1].item() - 1e-3, 1e-3)]]
    moves = []
    for beside in ([], holds):
        found = write_by_steps(model, [fact], [[0]], metrics, replace(STEPPING, margin=before[0].item() + 1), beside)
        with WeightUpdate(found.deltas).applied(model):
            moves.append((linearised(model, [fact, other], list(metrics)).odds - before)[1].abs().item())
    assert moves[1] < 0.5 * moves[0]
    sure = replace(STEPPING, margin=-1e3)
    assert write_by_steps(model, [fact], [[0]], metrics, sure, holds).deltas == {}


def test_a_row_that_may_be_missed_more_freely_is_raised_less() -> None:
    model, rows = SHAPES[0].build(), _rows()[:2]
    metrics, both = _places(model), torch.arange(2)
    found = linearised(model, rows, list(metrics))
    raised = [
        newton.moved(found, both, one_step(found, both, torch.ones(2), metrics, torch.tensor([1e-3, slack])))
        for slack in (1e-3, 0.1, 10.0)
    ]
    assert raised[0].tolist() == pytest.approx([1, 1], abs=0.02)
    assert raised[0][1] > raised[1][1] > raised[2][1]
    assert all(own[0] > 0.9 for own in raised)


def test_a_step_for_many_tokens_is_that_of_all_their_pairs_at_once(monkeypatch) -> None:
    model, rows = SHAPES[0].build(), _rows()
    metrics, every = _places(model), torch.arange(len(rows))
    found = linearised(model, rows, list(metrics))
    at_once = one_step(found, every, torch.ones(len(rows)), metrics)
    monkeypatch.setattr(newton, "PAIRED", 3)
    in_parts = one_step(found, every, torch.ones(len(rows)), metrics)
    for name, delta in at_once.items():
        torch.testing.assert_close(in_parts[name].matrix(), delta.matrix(), rtol=1e-4, atol=1e-6)


@EACH
def test_rows_that_begin_alike_share_keys_and_the_step_is_that_of_all_tokens_by_themselves(shape) -> None:
    model, (row, other) = shape.build(), _rows()[:2]
    metrics, every = _places(model), torch.arange(3)
    found = linearised(model, [row, Row(row.ids[:-1], 1), other], list(metrics))
    tokens = len(row.ids) - 1
    assert found.first.tolist()[: 2 * tokens - 1] == [*range(tokens), *range(tokens - 1)]
    assert all(torch.allclose(keys, keys[found.first], atol=1e-5) for keys in found.keys.values())
    apart = replace(found, first=torch.arange(sum(found.tokens)))
    shared, alone = (one_step(own, every, torch.ones(3), metrics) for own in (found, apart))
    for name, delta in alone.items():
        torch.testing.assert_close(shared[name].matrix(), delta.matrix(), rtol=1e-3, atol=1e-5)


def test_changes_that_write_by_the_same_matrix_add_up_to_one_of_the_same_rank() -> None:
    a, b = _random(3, 6, seed=1).float(), _random(4, 3, seed=2).float()
    (summed,) = newton._sums({"a": LowRankDelta(a, b)}, {"a": LowRankDelta(2 * a, b)}).values()
    assert summed.rank == 3
    torch.testing.assert_close(summed.matrix(), 3 * b @ a)


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lower_blocks_run_once_for_each_row_and_the_change_is_the_same(shape, dtype, monkeypatch) -> None:
    model, rows = shape.build().to(dtype), _rows()[:2]
    blocks = ModelAnatomy(model).blocks
    upper = {name: own for name, own in _places(model).items() if name.startswith(ModelAnatomy(model).layer_name(1))}
    stepping = replace(STEPPING, margin=linearised(model, rows, list(upper)).odds.max().item() + 0.5)

    def found() -> tuple[newton.Stepped, list[int]]:
        calls = [0] * len(blocks)

        def count(module: torch.nn.Module, args: object, output: object) -> None:
            calls[layer_of[module]] += 1

        layer_of = {next(block.children()): layer for layer, block in enumerate(blocks)}
        with watching(layer_of, after=count):
            return write_by_steps(model, rows, [[0], [0]], upper, stepping), calls

    found()  # tries once whether the model can be entered above its first block
    entered, calls = found()
    monkeypatch.setattr(newton, "lower_blocks", lambda *args: ())
    whole, calls_of_whole = found()
    assert calls[0] < calls[1] == calls_of_whole[0] == calls_of_whole[1]
    assert sum(entered.steps) > len(rows)
    assert (entered.steps, entered.odds) == (whole.steps, whole.odds)
    for name, delta in entered.deltas.items():
        assert torch.equal(delta.matrix(), whole.deltas[name].matrix())


@pytest.mark.parametrize("moment", [1, 2, 5])
def test_an_exception_in_the_middle_leaves_the_model_as_it_was(moment) -> None:
    model, rows = SHAPES[0].build(), _rows()[:1]
    before, metrics = state(model), _places(model)
    addresses = [parameter.data_ptr() for parameter in model.parameters()]
    forwards = [vars(module).get("forward") for module in model.modules()]
    stepping = replace(STEPPING, margin=linearised(model, rows, list(metrics)).odds.item() + 3, most_change=0.2)
    with raising(model, KeyboardInterrupt, moment), pytest.raises(KeyboardInterrupt):
        write_by_steps(model, rows, [[0]], metrics, stepping)
    assert state(model) == before
    assert [parameter.data_ptr() for parameter in model.parameters()] == addresses
    assert [vars(module).get("forward") for module in model.modules()] == forwards
