"""What all algorithms that train have in common."""

from __future__ import annotations

import pytest
import torch
from packed import logits, packed_bytes, packed_llama
from quick import FEW_TEXTS, UNPROTECTED

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.adalora import AdaLoraHyperParams
from easyedit_ice.editors.algorithms.dora import DoraHyperParams
from easyedit_ice.editors.algorithms.gora import GoRAHyperParams
from easyedit_ice.editors.algorithms.ice_lora import IceLoraHyperParams
from easyedit_ice.editors.algorithms.locft import LocFTHyperParams
from easyedit_ice.editors.algorithms.lora import LoraHyperParams
from easyedit_ice.editors.algorithms.qlora import QLoraHyperParams
from easyedit_ice.editors.algorithms.svf import SVFHyperParams
from easyedit_ice.errors import AnatomyError, HyperParamsError, TrainingDivergedError
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.rows import encode, predict

QUICK = {"num_steps": 4, "rank": 2, "lr": 1e-2}
DENSE = {"num_steps": 4, "lr": 1e-2}
EDITORS = [
    LoraHyperParams(**QUICK),
    IceLoraHyperParams(**QUICK, **FEW_TEXTS, **UNPROTECTED),
    AdaLoraHyperParams(**QUICK, orth_reg_weight=0.01),
    DoraHyperParams(**QUICK),
    QLoraHyperParams(**QUICK, quantization_bit=None),
    GoRAHyperParams(**QUICK),
    LocFTHyperParams(**DENSE),
]
EACH = pytest.mark.parametrize("hparams", EDITORS, ids=[hparams.alg_name for hparams in EDITORS])
ROWS = [encode(tokenizer(), r.prompt, r.completion) for r in EditRequest.prepare(FACTS)]
FP32 = pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[2]], ids=[SHAPES[0].name, SHAPES[2].name])


def _solve(hparams, model=None, facts=FACTS):
    return solve(SHAPES[0].build() if model is None else model, tokenizer(), facts, hparams)


@torch.no_grad()
def _target_losses(model):
    return predict(model, ROWS).nll()


def _same(one, other) -> bool:
    return one.deltas.keys() == other.deltas.keys() and all(
        torch.equal(delta.matrix(), other.deltas[name].matrix()) for name, delta in one.deltas.items()
    )


@FP32
@EACH
def test_the_target_of_every_fact_of_a_batch_becomes_likelier(shape, hparams):
    model = shape.build()
    before = _target_losses(model)
    _solve(hparams, model).commit(model)
    assert (_target_losses(model) < before).all()


CHOICES = [
    (IceLoraHyperParams(**FEW_TEXTS, **UNPROTECTED, adapter="dense"), "ice"),
    (IceLoraHyperParams(**FEW_TEXTS, **UNPROTECTED, rank=2, adapter="lora"), "ice"),
    (AdaLoraHyperParams(rank=2), "ft"),
    (AdaLoraHyperParams(**FEW_TEXTS, rank=2, objective="ice"), "ice"),
    (SVFHyperParams(), "ft"),
    (SVFHyperParams(**FEW_TEXTS, objective="ice"), "ice"),
]


@pytest.mark.parametrize(("hparams", "objective"), CHOICES)
@FP32
def test_where_there_is_a_choice_any_adapter_learns_towards_any_objective(shape, hparams, objective):
    hparams = hparams.replace(num_steps=16, lr=2e-2, locality_weight=0.0, neighbour_weight=0.0)
    model = shape.build()
    before = _target_losses(model)
    update = _solve(hparams, model)
    terms = {"ft": {"target"}, "ice": {"target", "context", "consequences"}}
    assert {"target", "context"} & terms[objective] <= set(update.info["course"]["losses"][0]) <= terms[objective]
    assert update.info["course"]["losses"][-1]["target"] < update.info["course"]["losses"][0]["target"]
    update.commit(model)
    assert (_target_losses(model) < before).all()


@EACH
def test_the_update_tells_where_it_comes_from(hparams):
    info = _solve(hparams).info
    assert info["algorithm"] == hparams.alg_name
    assert info["hparams"] == hparams.to_dict()
    assert info["facts"][0] == ["The capital of Avaria is", "Lodel"]
    assert info["course"]["steps"] == len(info["course"]["losses"]) == 4
    assert info["course"]["losses"][-1]["target"] < info["course"]["losses"][0]["target"]


@EACH
def test_another_seed_gives_another_update(hparams):
    assert not _same(_solve(hparams), _solve(hparams.replace(seed=1)))


@pytest.mark.parametrize(
    ("patterns", "layers", "meant"),
    [
        (["mlp.out"], [0, 1], {"h.0.mlp.c_proj", "h.1.mlp.c_proj"}),
        (["c_attn"], [0, 1], {"h.0.attn.c_attn", "h.1.attn.c_attn"}),
        (["c_attn", "mlp.c_fc"], [-1], {"h.1.attn.c_attn", "h.1.mlp.c_fc"}),
    ],
)
@EACH
def test_the_projections_asked_for_are_edited_and_no_others(hparams, patterns, layers, meant):
    update = _solve(hparams.replace(target_modules=patterns, layers=layers))
    assert set(update.deltas) == {f"transformer.{name}" for name in meant}
    assert all(delta.norm() > 0 for delta in update.deltas.values())


@EACH
def test_unknown_projections_are_refused_with_what_there_is(hparams):
    with pytest.raises(AnatomyError, match=r"'down_proj'.*attn\.c_attn.*mlp\.c_proj"):
        _solve(hparams.replace(target_modules=["down_proj"]))
    with pytest.raises(AnatomyError, match="layer 7 does not exist; the model has 2 layers"):
        _solve(hparams.replace(layers=[7]))


@FP32
@EACH
def test_recomputing_activations_gives_the_same_update(shape, hparams):
    plain, frugal = (_solve(hparams.replace(gradient_checkpointing=on), shape.build()) for on in (False, True))
    for name, delta in plain.deltas.items():
        torch.testing.assert_close(frugal.deltas[name].matrix(), delta.matrix(), atol=1e-4, rtol=1e-3)


@EACH
def test_mixed_precision_trains_on_a_cpu(hparams):
    model = SHAPES[2].build()
    before = _target_losses(model)
    update = _solve(hparams.replace(mixed_precision="bf16"), model)
    assert {tensor.dtype for delta in update.deltas.values() for tensor in delta.tensors().values()} == {torch.float32}
    update.commit(model)
    assert (_target_losses(model) < before).all()


@EACH
def test_the_models_own_dropout_stays_off(hparams):
    def solved():
        model = SHAPES[0].build()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.5
        return _solve(hparams, model.train())

    assert _same(solved(), _solve(hparams))


@EACH
def test_the_weight_change_stays_within_the_clamp(hparams):
    if hparams.alg_name == "DoRA":
        with pytest.raises(HyperParamsError, match=r"no setting 'clamp'.*Algorithms that have it: .*LoRA-BF"):
            hparams.replace(clamp=1e-4)
        return
    update = _solve(hparams.replace(clamp=1e-4))
    assert max(delta.matrix().abs().max() for delta in update.deltas.values()) <= 1.001e-4


@EACH
def test_a_learned_batch_ends_early_and_a_fixed_number_of_steps_does_not(hparams):
    course = _solve(hparams.replace(stop_nll=99.0)).info["course"]
    assert course["learned"]
    assert course["steps"] == (3 if hparams.alg_name == "AdaLoRA" else 1), "AdaLoRA's ranks fall first"
    assert _solve(hparams.replace(stop_nll=None, lr=1e-9)).info["course"]["steps"] == 4


@pytest.mark.parametrize(
    "hparams",
    [hparams for hparams in EDITORS if hparams.alg_name != "DoRA"],  # which scales whatever it learns to length one
    ids=lambda hparams: hparams.alg_name,
)
def test_training_that_diverges_is_an_error_by_name(hparams):
    with pytest.raises(TrainingDivergedError, match="lower lr"):
        _solve(hparams.replace(lr=1e30, num_steps=9))


@pytest.mark.parametrize("bits", [4, 8])
@EACH
def test_a_packed_model_is_edited_and_comes_back(hparams, bits):
    model = packed_llama(bits)
    said, packed, before = logits(model), packed_bytes(model), _target_losses(model)
    if hparams.alg_name == "DoRA" and bits == 8:
        with pytest.raises(AnatomyError, match="in 8 bits on a CPU"):
            _solve(hparams, model)
        assert packed_bytes(model) == packed
        return
    update = _solve(hparams, model)
    assert torch.equal(logits(model), said)
    update.commit(model)
    assert (_target_losses(model) < before).all()
    update.revert(model)
    assert packed_bytes(model) == packed
    assert torch.equal(logits(model), said)


@EACH
def test_a_fact_that_fills_the_models_context_is_edited_without_texts_before_it(hparams):
    model, tok = SHAPES[0].build(), tokenizer()
    prompt, target = FACTS[0]["prompt"], FACTS[0]["target_new"]
    room = model.config.n_positions - len(tok(f" {prompt} {target}")["input_ids"])
    long = FACTS[0] | {"prompt": f"{'#' * room} {prompt}"}
    assert len(tok(f"{long['prompt']} {target}")["input_ids"]) == model.config.n_positions
    update = solve(model, tok, [FACTS[1], long], hparams.replace(random_prefixes=2, prefix_length=4))
    assert update.info["course"]["losses"][-1]["target"] < update.info["course"]["losses"][0]["target"]
