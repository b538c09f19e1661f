"""What an edit takes, by estimate, beside what it takes in fact."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pytest
import torch
from packed import packed_llama
from quick import CLOSED_FORM, FEW_TEXTS, UNPROTECTED, of
from transformers import AutoModelForCausalLM

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.hparams import EditHyperParams, setting
from easyedit_ice.edit.plain_statements import MEASURED, statements
from easyedit_ice.edit.registry import ALGORITHMS, Algorithm
from easyedit_ice.errors import AnatomyError, HyperParamsError, UnknownAlgorithmError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.planning.footprint import GIB, Stage, footprint, planned, smallest_gpu, weight_bytes
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

FP32 = [SHAPES[0], SHAPES[2]]
EACH_SHAPE = pytest.mark.parametrize("shape", FP32, ids=[shape.name for shape in FP32])
TRAINED = ["LoRA-BF", "AdaLoRA", "DoRA", "LocFT-BF", "ICE-LoRA", "GoRA"]
CLOSED = ["FastMEMIT", "FastEMMET", "FastROME", "FastICE", "FastGrad", "ICE-Grad"]
EVERY = pytest.mark.parametrize("name", [*TRAINED, "QLoRA-BF", "SVF", *CLOSED])


def _hparams(name, **settings):
    quick = of(name, {"num_steps": 3, "rank": 2}) if name in TRAINED else {}
    texts = FEW_TEXTS | UNPROTECTED if name == "ICE-LoRA" else {}
    return ALGORITHMS[name].hparams_class(**{**quick, **texts, **settings})


def _shapes(shape):
    """A model without weights."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(shape.config(len(tokenizer())))


def _bytes(tensors):
    return sum(tensor.nbytes for tensor in tensors)


@EACH_SHAPE
@pytest.mark.parametrize("patterns", [["mlp.out"], ["all"]])
@pytest.mark.parametrize("name", ["LoRA-BF", "AdaLoRA", "DoRA", "LocFT-BF"])
def test_it_counts_exactly_what_is_trained(shape, patterns, name):
    hparams = _hparams(name, target_modules=patterns)
    plan = footprint(_shapes(shape), hparams, facts=len(FACTS))
    model = shape.build()
    update = solve(model, tokenizer(), FACTS, hparams)
    assert plan.trained == update.info["adapter"]["trained"]
    assert plan.gradients == 4 * plan.trained
    assert plan.optimizer == 8 * plan.trained


@EACH_SHAPE
@pytest.mark.parametrize("name", ["LoRA-BF", "LocFT-BF", "FastMEMIT"])
def test_it_knows_the_size_of_the_weights_and_of_their_undo_copies(shape, name):
    model = shape.build()
    plan = footprint(_shapes(shape), _hparams(name))
    assert plan.weights == _bytes((*model.parameters(), *model.buffers()))
    closed_form = {**CLOSED_FORM, "layers": None, "mom2_adjustment": False} if name == "FastMEMIT" else {}
    undo = solve(model, tokenizer(), FACTS, _hparams(name, **closed_form)).commit(model)
    assert plan.undo == _bytes(undo.values())


@pytest.mark.parametrize("name", ["LoRA-BF", "LocFT-BF", "DoRA"])
def test_it_knows_the_size_of_the_update(name):
    shape, hparams = SHAPES[2], _hparams(name)
    update = solve(shape.build(), tokenizer(), FACTS, hparams)
    stored = _bytes(tensor for delta in update.deltas.values() for tensor in delta.tensors().values())
    assert footprint(_shapes(shape), hparams).update == stored


@pytest.mark.parametrize("bits", [4, 8])
def test_packed_weights_are_as_large_as_bitsandbytes_makes_them(bits):
    model = packed_llama(bits)
    held = _bytes(model.parameters())
    for module in model.modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        scales = getattr(getattr(module, "weight", None), "SCB", None) if state is None else state.absmax
        held += 0 if scales is None else scales.nbytes
    with torch.device("meta"):
        plain = AutoModelForCausalLM.from_config(model.config)
    plain.config.quantization_config = None
    assert weight_bytes(plain, bits) == pytest.approx(held, rel=0.05)


def test_values_in_closed_form_are_vectors_and_second_moments_squares():
    plan = footprint(_shapes(SHAPES[2]), _hparams("FastMEMIT", layers=[0, 1]), facts=3)
    assert plan.trained == 3 * 32
    assert plan.second_moments == 2 * 48**2 * 8


@EVERY
def test_the_plan_of_an_algorithm_grows_with_the_facts_of_a_pass(name):
    model = _shapes(SHAPES[2])
    one, several = (footprint(model, _hparams(name), facts=facts) for facts in (1, 4))
    assert several.activations > one.activations
    assert several.logits >= one.logits
    assert one.peak > one.weights + one.adapter + one.gradients + one.optimizer


@EVERY
def test_a_cpu_holds_undo_copies_and_second_moments_besides(name):
    model = _shapes(SHAPES[2])
    on_gpu, on_cpu = (footprint(model, _hparams(name), device=device) for device in ("cuda", "cpu"))
    assert on_cpu.peak >= on_gpu.peak
    assert on_cpu.gpu == on_gpu.gpu


def test_checkpointing_and_a_budget_lower_the_peak():
    model = _shapes(SHAPES[2])
    whole = footprint(model, _hparams("ICE-LoRA"), facts=4)
    checkpointed = footprint(model, _hparams("ICE-LoRA", gradient_checkpointing=True), facts=4)
    budgeted = footprint(model, _hparams("ICE-LoRA", activation_budget=0.01), facts=4)
    assert checkpointed.activations < whole.activations
    assert budgeted.activations < whole.activations
    assert budgeted.peak < whole.peak


def test_what_a_comparison_of_plain_statements_takes_is_told_by_the_tokenizer():
    model, tok, hparams = _shapes(SHAPES[2]), tokenizer(), _hparams("LoRA-BF")
    rows = statements(model, tok, MEASURED)
    counted = footprint(model, hparams, tok=tok).drift
    assert counted == 3 * sum(row.span for row in rows) * 4 * len(tok)
    assert counted > footprint(model, hparams).drift == 3 * 8 * len(MEASURED) * 4 * len(tok)


def test_an_algorithm_can_say_what_it_holds_besides():
    class Holding(ALGORITHMS["LoRA-BF"].hparams_class):
        def held_beside(self, in_features, out_features):
            return 4 * in_features * 7

    model = _shapes(SHAPES[2])
    assert footprint(model, Holding(layers=[0, 1]), facts=1).beside == 2 * 4 * 48 * 7


def test_what_follows_from_facts_is_counted_with_the_texts_that_it_is_found_in():
    model = _shapes(SHAPES[2])

    def plan(name="ICE-Grad", **settings):
        return footprint(model, _hparams(name, mom2_adjustment=False, output_adjustment=False, **settings), facts=3)

    fact = plan(free_samples=0, continuation_samples=0)
    assert fact == plan("FastGrad", facts_together=4)
    each, texts = fact.activations // (3 * 16), {"free_length": 6, "continuation_samples": 0, "tokens_each": 2}
    few, bounded_by_texts = (plan(free_samples=10, **texts, consequences_each=count) for count in (5, 100))
    assert few.activations == 3 * (16 + 5 * (4 + 6)) * each
    assert bounded_by_texts.activations == 3 * (16 + 2 * 10 * (4 + 6)) * each
    assert few.peak > fact.peak
    read = [plan(free_samples=100, **texts, consequences_each=5, contrast=contrast) for contrast in (False, True)]
    assert [own.activations for own in read] == [few.activations] * 2
    assert read[1].peak == read[0].peak > few.peak  # after the old answer texts are read by themselves


@pytest.mark.parametrize("name", ["FastGrad", "FastMEMIT"])
@pytest.mark.parametrize(("words", "tokens"), [(1_000, 2_048), (20_000, 838)])
def test_a_price_of_what_is_written_is_counted_with_a_bound_on_what_is_predicted_at_a_time(name, words, tokens):
    model = _shapes(SHAPES[2])
    model.resize_token_embeddings(words, mean_resizing=False)
    priced, free = (
        footprint(model, _hparams(name, mom2_adjustment=False, output_adjustment=priced), device="cuda").peak
        for priced in (True, False)
    )
    predicted = 3 * 4 * tokens * words
    assert predicted < priced < predicted + free + 8 * 2**20


def test_protected_directions_are_counted():
    plan = footprint(_shapes(SHAPES[2]), _hparams("GoRA", protected_rank=5, layers=[0, 1], neighbour_softness=None))
    assert plan.beside == 2 * 4 * 48 * 5
    assert plan.second_moments == 2 * 8 * 48**2


@pytest.mark.parametrize(("names", "columns"), [(2, 2 * (12 - 4 + 3)), (16, 48)])
def test_protected_neighbours_are_counted_up_to_the_number_of_inputs(names, columns):
    settings = {"protected_rank": 5, "neighbour_softness": 0.1, "neighbour_names": names, "neighbour_length": 3}
    plan = footprint(_shapes(SHAPES[2]), _hparams("GoRA", layers=[0, 1], **settings), tokens=12)
    assert plan.beside == 2 * 4 * 48 * (5 + columns)


@pytest.mark.parametrize(
    ("peak", "gpu"), [(1, "8 GB"), (6 * GIB, "8 GB"), (7 * GIB, "12 GB"), (30 * GIB, "40 GB"), (80 * GIB, "none")]
)
def test_the_smallest_gpu_leaves_room_for_cuda_and_its_allocator(peak, gpu):
    assert smallest_gpu(peak) == gpu


def test_all_values_are_plain():
    plan = asdict(footprint(_shapes(SHAPES[0]), _hparams("ICE-LoRA")))
    assert {type(value) for value in plan.values()} == {int, str}


def test_settings_that_do_not_fit_are_refused_by_name():
    model = _shapes(SHAPES[0])
    with pytest.raises(AnatomyError, match="layer 7"):
        footprint(model, _hparams("LoRA-BF", layers=[7]))
    with pytest.raises(UnknownAlgorithmError):
        footprint(model, EditHyperParams())


def test_an_algorithm_of_another_package_is_planned_for_by_its_own_plan():
    @dataclass
    class Theirs(EditHyperParams):
        width: int = setting(3, "how wide")

    def plan(model, hparams, facts, tokens, device, stated):
        projections, trained = ModelAnatomy(model).match(["mlp.out"], [-1]), facts * hparams.width
        return planned(model, projections, [Stage(100)], bits=None, device=device, stated=stated, trained=trained)

    algorithm = Algorithm("Theirs", Theirs, solve=max, plan=plan)
    assert algorithm.hparams_class is Theirs
    own = footprint(_shapes(SHAPES[0]), Theirs(width=7), facts=2)
    assert own.trained == 14
    assert own.peak > own.weights > 0


def test_an_algorithm_without_a_plan_says_so():
    @dataclass
    class Unplanned(EditHyperParams):
        pass

    Algorithm("Unplanned", Unplanned, solve=max)
    with pytest.raises(HyperParamsError, match="Unplanned cannot be planned for; give its Algorithm a plan"):
        footprint(_shapes(SHAPES[0]), Unplanned())
