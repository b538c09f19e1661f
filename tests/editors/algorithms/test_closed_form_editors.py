"""FastMEMIT, FastEMMET and FastROME."""

from __future__ import annotations

import pytest
import torch
from packed import packed_bytes, packed_llama
from quick import CLOSED_FORM
from transformers import LlamaForCausalLM

from easyedit_ice import factworld
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.fast_emmet import FastEMMETHyperParams
from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams, place_of, prepare
from easyedit_ice.editors.algorithms.fast_rome import FastROMEHyperParams
from easyedit_ice.editors.closed_form import value_search as values
from easyedit_ice.editors.closed_form.neighbour_rows import NeighbourSettings, neighbour_keys
from easyedit_ice.editors.closed_form.solver_settings import measuring_of
from easyedit_ice.editors.closed_form.subject_rows import fact_rows
from easyedit_ice.errors import AnatomyError, HyperParamsError, StatisticsError, SubjectNotFoundError
from easyedit_ice.evaluation import Question, observe
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.precompute.output_moments import sensitivities
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.reading import at_last_token
from easyedit_ice.text.rows import encode, predict

CLASSES = {"FastMEMIT": FastMEMITHyperParams, "FastEMMET": FastEMMETHyperParams, "FastROME": FastROMEHyperParams}
EACH = pytest.mark.parametrize("name", CLASSES)


@pytest.fixture(scope="module")
def embedded() -> tuple:
    return factworld.load()


@pytest.fixture(scope="module")
def facts() -> list[dict]:
    return to_requests(load_records("factworld", split="dev").records[20:28])


def _answers(model: object, tok: object, facts: list[dict]) -> list[str]:
    asked = [[Question("rewrite", fact["prompt"], fact["target_new"], ()) for fact in facts]]
    return [seen.generated for seen in observe(model, tok, asked, max_new_tokens=8)[0]]


@EACH
def test_the_embedded_model_says_the_new_facts(name: str, embedded: tuple, facts: list[dict]) -> None:
    model, tok = embedded
    hparams = CLASSES[name].from_hparams(f"{name}/gpt2-factworld")
    before = state(model)
    batches = [[fact] for fact in facts] if name == "FastROME" else [facts]
    written = 0
    for batch in batches:
        update = solve(model, tok, batch, hparams)
        update.commit(model)
        answers = _answers(model, tok, batch)
        written += sum(answer == fact["target_new"] for answer, fact in zip(answers, batch, strict=True))
        update.revert(model)
    assert written >= 0.75 * len(facts)
    assert state(model) == before


@EACH
def test_a_fact_that_fills_the_models_context_is_edited_without_texts_before_it(name: str) -> None:
    model, tok = SHAPES[0].build(), tokenizer()
    prompt, target = FACTS[0]["prompt"], FACTS[0]["target_new"]
    room = model.config.n_positions - len(tok(f" {prompt} {target}")["input_ids"])
    long = FACTS[0] | {"prompt": f"{'#' * room} {prompt}"}
    assert len(tok(f"{long['prompt']} {target}")["input_ids"]) == model.config.n_positions
    batches = [[long]] if name == "FastROME" else [[long], [FACTS[1], long]]
    for batch in batches:
        update = solve(model, tok, batch, CLASSES[name](**CLOSED_FORM, mom2_adjustment=False))
        assert len(update.info["course"]["losses"]) == len(batch)


@EACH
def test_the_update_is_of_low_rank_and_tells_where_it_comes_from(name: str, embedded: tuple, facts: list[dict]) -> None:
    batch = facts[: 1 if name == "FastROME" else 3]
    hparams = CLASSES[name].from_hparams(f"{name}/gpt2-factworld", v_num_grad_steps=3)
    update = solve(*embedded, batch, hparams)
    assert update.deltas["transformer.h.2.mlp.c_proj"].rank == len(batch)
    assert update.info["algorithm"] == name
    assert update.info["hparams"] == hparams.to_dict()
    assert len(update.info["course"]["losses"]) == len(update.info["course"]["steps"]) == len(batch)
    assert max(update.info["course"]["steps"]) <= 3


def test_a_batch_and_several_layers_are_written_from_below(embedded: tuple, facts: list[dict]) -> None:
    model, tok = embedded
    hparams = FastMEMITHyperParams.from_hparams("FastMEMIT/gpt2-factworld", layers=[-3, 1, 2], mom2_update_weight=1)
    update = solve(model, tok, facts, hparams)
    assert [name.split(".")[2] for name in update.deltas] == ["1", "2", "3"]
    prefixes, _ = prepare(model, tok, hparams)
    rows = [fact_rows(tok, request, prefixes).stated[0] for request in EditRequest.prepare(facts)]
    last = ModelAnatomy(model).layer_name(3)

    def missed() -> torch.Tensor:
        found = at_last_token(model, [row.ids[: row.at + 1] for row in rows], last, "out")
        return (found - targets).norm(dim=1)

    search = values.Search(25, 0.5, 0.1, 0.0625, 2, 0.05, None, "block")
    laid = [fact_rows(tok, request, prefixes) for request in EditRequest.prepare(facts)]
    sought = values.find_values(model, laid, f"{last}.mlp.c_proj", search)
    targets = sought.origin + sought.delta
    before = missed()
    update.commit(model)
    assert (missed() < 0.5 * before).all()
    update.revert(model)


def test_facts_do_not_touch_each_others_values(embedded: tuple, facts: list[dict], monkeypatch) -> None:
    model, tok = embedded
    hparams = FastMEMITHyperParams.from_hparams("FastMEMIT/gpt2-factworld")
    prefixes, _ = prepare(model, tok, hparams)
    rows = [fact_rows(tok, request, prefixes) for request in EditRequest.prepare(facts)]
    search = values.Search(25, 0.5, 0.1, 0.0625, 2, 0.05, None, "block")
    together = values.find_values(model, rows, "transformer.h.2.mlp.c_proj", search)
    assert len(set(together.steps)) > 1  # some left before others
    alone = [values.find_values(model, [row], "transformer.h.2.mlp.c_proj", search) for row in rows]
    assert together.steps == sum((own.steps for own in alone), ())
    for index, own in enumerate(alone):
        torch.testing.assert_close(together.delta[index], own.delta[0], rtol=1e-3, atol=1e-3)
    monkeypatch.setattr(values, "TOKENS", {"cpu": 60, "cuda": 60})
    torch.testing.assert_close(
        values.find_values(model, rows, "transformer.h.2.mlp.c_proj", search).delta,
        together.delta,
        rtol=1e-3,
        atol=1e-3,
    )


def test_no_value_is_longer_than_its_bound(embedded: tuple, facts: list[dict]) -> None:
    model, tok = embedded
    rows = [fact_rows(tok, request, ["", "It is said that "]) for request in EditRequest.prepare(facts)]
    found = values.find_values(
        model, rows, "transformer.h.2.mlp.c_proj", values.Search(9, 0.5, 0, 0, 0.4, 0, None, "block")
    )
    ratios = found.delta.norm(dim=1) / found.origin.norm(dim=1)
    assert ratios.max() <= 0.4 * (1 + 1e-5)
    assert ratios.max() > 0.39


def test_edits_of_a_stream_use_what_was_found_on_the_unedited_model(facts: list[dict]) -> None:
    hparams = FastMEMITHyperParams.from_hparams("FastMEMIT/gpt2-factworld", v_num_grad_steps=3)
    (model, tok), (other, _) = factworld.load(), factworld.load()
    first = prepare(model, tok, hparams)
    solve(model, tok, facts[:4], hparams).commit(model)
    assert prepare(model, tok, hparams) == first
    solve(other, tok, facts[:4], hparams).commit(other)
    streams = [solve(one, tok, facts[4:], hparams).deltas for one in (model, other)]
    for one, two in zip(*(deltas.values() for deltas in streams), strict=True):
        assert torch.equal(one.matrix(), two.matrix())


@pytest.mark.parametrize("bits", [4, 8])
def test_packed_weights_are_edited_beside_them(bits: int) -> None:
    model = packed_llama(bits)
    before = packed_bytes(model)
    hparams = FastMEMITHyperParams(**CLOSED_FORM, mom2_dataset="factworld")
    update = solve(model, tokenizer(), FACTS, hparams)
    update.commit(model)
    assert packed_bytes(model) == before
    update.revert(model)


@pytest.mark.parametrize(
    ("changes", "layers"), [({}, [0]), ({"layers": [-1]}, [1]), ({"layers": [1, 0, 1]}, [0, 1])], ids=str
)
def test_layers_and_projections_are_found_in_the_model(changes: dict, layers: list[int]) -> None:
    for shape, name in ((SHAPES[0], "transformer.h.{}.mlp.c_proj"), (SHAPES[2], "model.layers.{}.mlp.down_proj")):
        place = place_of(shape.build(), FastMEMITHyperParams(**changes))
        assert place.names == tuple(name.format(layer) for layer in layers)


@EACH
@pytest.mark.parametrize(
    ("blocks", "first", "last"),
    [(1, 0, 0), (6, 1, 2), (12, 2, 3), (18, 2, 4), (30, 4, 8), (32, 4, 8), (48, 6, 12)],
)
def test_blocks_from_an_eighth_to_a_quarter_are_written_to_where_none_is_named_and_by_fastrome_the_last_of_them(
    name: str, blocks: int, first: int, last: int
) -> None:
    config = SHAPES[2].build().config
    config.num_hidden_layers, config.layer_types = blocks, None
    lowest = last if name == "FastROME" else first
    with torch.device("meta"):
        assert place_of(LlamaForCausalLM(config), CLASSES[name]()).layers == tuple(range(lowest, last + 1))


def test_of_the_usual_blocks_those_without_an_mlp_are_passed_over_and_named_ones_are_not() -> None:
    config = SHAPES[2].build().config
    config.num_hidden_layers, config.layer_types = 16, None
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model.model.layers[3].mlp = torch.nn.Identity()
    assert place_of(model, FastMEMITHyperParams()).layers == (2, 4)
    with pytest.raises(AnatomyError, match=r"blocks \[2, 3, 4\] have 2 output projections"):
        place_of(model, FastMEMITHyperParams(layers=[2, 3, 4]))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"layers": [7]}, AnatomyError, "layer 7 does not exist"),
        ({"rewrite_module_tmp": "transformer.h.{}.mlp.down"}, AnatomyError, "no projection matches"),
        ({"v_loss_layer": 9}, AnatomyError, "layer 9 does not exist"),
        (
            {"mom2_dataset": "factworld", "dynamic": False, "mom2_n_samples": 1, "mom2_shrinkage": 0.0},
            StatisticsError,
            "second moment",
        ),
    ],
    ids=str,
)
def test_what_the_model_does_not_have_is_refused_and_it_stays_as_it_was(settings, error, words) -> None:
    model = SHAPES[0].build()
    before = state(model)
    with pytest.raises(error, match=words):
        solve(model, tokenizer(), FACTS, FastMEMITHyperParams.from_dict(CLOSED_FORM | settings))
    assert state(model) == before


@pytest.mark.parametrize(
    ("cls", "settings", "words"),
    [
        (FastMEMITHyperParams, {"layers": []}, "layers is empty"),
        (FastROMEHyperParams, {"layers": [1, 2]}, "one block"),
        (FastMEMITHyperParams, {"context_template_length_params": [[10]]}, "expected \\[length in tokens, how many\\]"),
        (FastMEMITHyperParams, {"mom2_correction": True, "dynamic_multiplier": 1}, "raise it to 2 or more"),
        (FastMEMITHyperParams, {"fact_token": "last"}, "expected one of subject_last"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(cls, settings: dict, words: str) -> None:
    with pytest.raises(HyperParamsError, match=words):
        cls(**settings)


def test_an_update_tells_how_its_targets_stand(embedded: tuple, facts: list[dict]) -> None:
    model, tok = embedded
    update = solve(model, tok, facts[:3], FastMEMITHyperParams.from_hparams("FastMEMIT/gpt2-factworld"))
    told = update.info["target_nll"]
    rows = [encode(tok, r.prompt, r.completion) for r in EditRequest.prepare(facts[:3])]
    assert told["before"] == pytest.approx(predict(model, rows).nll().tolist(), rel=1e-4)
    update.commit(model)
    assert told["after"] == pytest.approx(predict(model, rows).nll().tolist(), rel=1e-3, abs=1e-4)
    update.revert(model)
    assert "not_written" not in update.info


@EACH
def test_a_fact_that_is_not_written_is_said_to_be(
    name: str, embedded: tuple, facts: list[dict], caplog: pytest.LogCaptureFixture
) -> None:
    hparams = CLASSES[name].from_hparams(f"{name}/gpt2-factworld", clamp_norm_factor=0.01, v_num_grad_steps=2)
    update = solve(*embedded, facts[:1], hparams)
    [words] = update.info["not_written"]
    assert words.startswith(f"{facts[0]['prompt']!r} is not followed by {facts[0]['target_new']!r}, which has ")
    assert f"not written: {words}" in caplog.text


def test_a_fact_that_is_not_written_gets_further_sweeps_where_the_weight_is_left_to_the_rule(
    embedded: tuple, facts: list[dict]
) -> None:
    model, tok = embedded
    before = state(model)
    hparams = FastMEMITHyperParams(layers=[2], clamp_norm_factor=0.3, kl_factor=0.0)
    one = solve(model, tok, facts[:1], hparams.replace(mom2_update_weight=1.0))
    several = solve(model, tok, facts[:1], hparams)
    assert state(model) == before
    assert len(one.info["course"]["weights"]) == 1 < len(several.info["course"]["weights"])
    assert several.info["target_nll"]["after"][0] < 0.5 * one.info["target_nll"]["after"][0]
    assert several.keys["transformer.h.2.mlp.c_proj"].shape[0] == 1


def test_the_correction_raises_the_weight_of_general_keys() -> None:
    assert FastMEMITHyperParams(mom2_update_weight=100, dynamic_multiplier=2, mom2_correction=True).weight == 200
    assert FastMEMITHyperParams(mom2_update_weight=100, dynamic_multiplier=2).weight == 100
    assert FastMEMITHyperParams(mom2_update_weight=100, mom2_correction=True, dynamic=False).weight == 100


def test_without_adjustment_no_text_is_read() -> None:
    hparams = FastMEMITHyperParams(**CLOSED_FORM, mom2_adjustment=False, mom2_dataset="no-such-text")
    assert solve(SHAPES[0].build(), tokenizer(), FACTS, hparams).deltas


def test_a_fact_without_its_subject_is_refused_or_left_out(caplog: pytest.LogCaptureFixture) -> None:
    facts = [FACTS[0], FACTS[1] | {"subject": "Otto"}, FACTS[2] | {"subject": None}]
    model, hparams = SHAPES[0].build(), FastMEMITHyperParams(**CLOSED_FORM)
    with pytest.raises(SubjectNotFoundError, match="fact 1: the subject 'Otto' does not occur"):
        solve(model, tokenizer(), facts, hparams)
    update = solve(model, tokenizer(), facts, hparams.replace(skip_unfit=True))
    alone = solve(model, tokenizer(), facts[:1], hparams)
    for name, delta in update.deltas.items():
        assert torch.equal(delta.matrix(), alone.deltas[name].matrix())
    assert [words.partition(":")[0] for words in update.info["left_out"]] == ["fact 1", "fact 2"]
    assert "left out: fact 1: the subject 'Otto'" in caplog.text
    with pytest.raises(SubjectNotFoundError, match="fact 0"):
        solve(model, tokenizer(), facts[1:2], hparams.replace(skip_unfit=True))


def test_facts_that_are_left_out_are_named_by_their_place_in_the_batch() -> None:
    too_long = FACTS[1] | {"prompt": FACTS[1]["prompt"] + " very" * 200}
    facts = [FACTS[0] | {"subject": "Otto"}, too_long, FACTS[2]]
    hparams = FastMEMITHyperParams(**CLOSED_FORM, skip_unfit=True)
    update = solve(SHAPES[0].build(), tokenizer(), facts, hparams)
    assert [words.partition(":")[0] for words in update.info["left_out"]] == ["fact 0", "fact 1"]
    assert [prompt for prompt, _ in update.info["facts"]] == [FACTS[2]["prompt"]]


@EACH
def test_later_edits_disturb_what_earlier_ones_wrote_less_where_they_keep_it(name: str, facts: list[dict]) -> None:
    def disturbance(keep_edits: bool) -> float:
        model, tok = factworld.load()
        hparams = CLASSES[name].from_hparams(f"{name}/gpt2-factworld", v_num_grad_steps=5, keep_edits=keep_edits)
        first = solve(model, tok, facts[:1], hparams)
        first.commit(model)
        second = solve(model, tok, facts[1:2], hparams)
        (path,) = second.deltas
        key = first.keys[path]
        return (second.deltas[path].apply(key).norm() / second.deltas[path].norm() / key.norm()).item()

    assert disturbance(keep_edits=True) < 0.5 * disturbance(keep_edits=False)


def test_keys_of_other_names_are_disturbed_less_where_they_are_kept(embedded: tuple, facts: list[dict]) -> None:
    asked = NeighbourSettings(neighbour_names=8)
    requests = EditRequest.prepare(facts[:1])

    def disturbance(names: int) -> float:
        hparams = FastMEMITHyperParams.from_hparams(
            "FastMEMIT/gpt2-factworld", v_num_grad_steps=5, neighbour_names=names, neighbour_weight=100.0
        )
        ((path, delta),) = solve(*embedded, facts[:1], hparams).deltas.items()
        keys = neighbour_keys(*embedded, requests, asked, hparams.mom2_dataset, [path])[path]
        return (delta.apply(keys).norm() / delta.norm() / keys.norm()).item()

    assert disturbance(8) < 0.7 * disturbance(0)


@EACH
def test_a_value_whose_steps_are_priced_costs_general_text_less_and_states_the_fact(name, embedded, facts) -> None:
    model, tok = embedded
    before, place = state(model), "transformer.h.2.mlp.c_proj"
    settings = {"layers": [2], "mom2_dataset": "factworld"}
    measuring = measuring_of(CLASSES[name](**settings))
    (price,) = sensitivities(model, tok, [place], measuring, "odds").values()
    costs = {}
    for priced in (False, True):
        update = solve(model, tok, facts[:1], CLASSES[name](**settings, output_adjustment=priced))
        assert "not_written" not in update.info
        wrote = update.deltas[place].matrix().double() @ update.keys[place][0].double()
        costs[priced] = (wrote @ price @ wrote).item()
        update.commit(model)
        update.revert(model)
        assert state(model) == before
    assert costs[True] < 0.8 * costs[False]


@EACH
def test_prices_and_names_that_end_alike_are_refused_where_they_are_none(name) -> None:
    for wrong in ({"near_tokens": -1}, {"output_shrinkage": 0}, {"output_score": "likely"}):
        with pytest.raises(HyperParamsError, match=next(iter(wrong))):
            CLASSES[name](**wrong)
