"""Updates go in, come out to the bit, add up, and are files."""

from __future__ import annotations

import gc
import json
import weakref

import pytest
import torch
from packed import logits, packed_bytes, packed_llama
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from easyedit_ice.edit.delta import DenseDelta, LowRankDelta
from easyedit_ice.edit.originals import OriginalWeights
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import SaveError, UpdateError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer

ALL_SHAPES = pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
FP32_SHAPES = pytest.mark.parametrize("shape", SHAPES[::2], ids=[shape.name for shape in SHAPES[::2]])
BITS = pytest.mark.parametrize("bits", [4, 8])


def _update(model: torch.nn.Module, seed: int = 0, *, dense: bool = False, patterns: tuple[str, ...] = ("all",)):
    """An update of random deltas, of a rank that differs from projection to projection."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * 0.1

    deltas = {}
    for index, p in enumerate(ModelAnatomy(model).match(patterns)):
        rank = 1 + index % 3
        low_rank = LowRankDelta(random(rank, p.in_features), random(p.out_features, rank))
        deltas[p.name] = DenseDelta(low_rank.matrix()) if dense else low_rank
    return WeightUpdate(deltas, {"seed": seed})


def _hooks(model: torch.nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


@ALL_SHAPES
@pytest.mark.parametrize("dense", [False, True], ids=["low rank", "dense"])
def test_reverting_returns_every_bit(shape, dense):
    model = shape.build()
    before = state(model)
    update = _update(model, dense=dense)
    update.commit(model)
    assert state(model) != before
    update.revert(model)
    assert state(model) == before


@ALL_SHAPES
def test_committing_adds_the_delta_in_fp32_and_rounds_once(shape):
    model = shape.build()
    update = _update(model)
    expected = {
        p.weight_name: (p.module.weight.float() + p.as_stored(update.deltas[p.name].matrix())).to(shape.dtype)
        for p in ModelAnatomy(model).projections
    }
    update.commit(model)
    for name, weight in expected.items():
        assert torch.equal(model.get_parameter(name), weight)


@FP32_SHAPES
def test_only_the_named_weights_are_written_and_returned(shape):
    model = shape.build()
    before = state(model)
    originals = _update(model, patterns=("mlp.out",)).commit(model)
    changed = {name for name, bits in state(model).items() if bits != before[name]}
    assert changed == set(originals) == {p.weight_name for p in ModelAnatomy(model).match(["mlp.out"])}


@ALL_SHAPES
def test_the_originals_restore_when_they_are_copied_back(shape):
    model = shape.build()
    before = state(model)
    originals = _update(model).commit(model)
    with torch.no_grad():
        for name, value in originals.items():
            model.get_parameter(name)[...] = value
    assert state(model) == before


@FP32_SHAPES
def test_updates_come_out_in_the_opposite_order(shape):
    model = shape.build()
    before = state(model)
    first, second = _update(model, 1), _update(model, 2)
    first.commit(model)
    between = state(model)
    second.commit(model)
    second.revert(model)
    assert state(model) == between
    first.revert(model)
    assert state(model) == before


@FP32_SHAPES
def test_out_of_order_reverting_is_refused_and_changes_nothing(shape):
    model = shape.build()
    first, second = _update(model, 1), _update(model, 2, patterns=("mlp.out",))
    first.commit(model)
    second.commit(model)
    both = state(model)
    with pytest.raises(UpdateError, match=r"mlp\.\w+\.weight changed after this update.*revert later updates first"):
        first.revert(model)
    assert state(model) == both
    second.revert(model)
    first.revert(model)


def test_updates_of_different_weights_come_out_in_any_order():
    model = SHAPES[0].build()
    before = state(model)
    first, second = _update(model, 1, patterns=("mlp.in",)), _update(model, 2, patterns=("mlp.out",))
    first.commit(model)
    second.commit(model)
    first.revert(model)
    second.revert(model)
    assert state(model) == before


def test_a_weight_changed_by_somebody_else_is_not_overwritten():
    model = SHAPES[0].build()
    update = _update(model, patterns=("mlp.out",))
    update.commit(model)
    with torch.no_grad():
        model.transformer.h[1].mlp.c_proj.weight[3, 3] += 1
    changed = state(model)
    with pytest.raises(UpdateError, match=r"transformer\.h\.1\.mlp\.c_proj\.weight changed"):
        update.revert(model)
    assert state(model) == changed


def test_committing_twice_is_refused_and_changes_nothing():
    model = SHAPES[0].build()
    update = _update(model)
    update.commit(model)
    once = state(model)
    with pytest.raises(UpdateError, match="committed to this model already"):
        update.commit(model)
    assert state(model) == once


def test_reverting_what_is_not_committed_is_refused():
    model, other = SHAPES[0].build(), SHAPES[0].build()
    update = _update(model)
    with pytest.raises(UpdateError, match="not committed to this model"):
        update.revert(model)
    update.commit(model)
    with pytest.raises(UpdateError, match="not committed to this model"):
        update.revert(other)
    update.revert(model)
    with pytest.raises(UpdateError, match="not committed to this model"):
        update.revert(model)


def test_one_update_serves_several_models_at_once():
    one, other = SHAPES[0].build(), SHAPES[0].build()
    before = state(one)
    update = _update(one)
    update.commit(one)
    update.commit(other)
    assert state(one) == state(other)
    update.revert(other)
    assert state(other) == before
    assert state(one) != before


def test_a_committed_update_does_not_keep_its_model_alive():
    model = SHAPES[0].build()
    alive, update = weakref.ref(model), _update(model)
    update.commit(model)
    del model
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("action", [WeightUpdate.commit, lambda update, model: update.to_peft(model, "unused")])
def test_an_update_for_another_architecture_is_refused(action):
    llama = SHAPES[2].build()
    before = state(llama)
    with pytest.raises(UpdateError, match=r"the model has no transformer\.h\.0.*another architecture"):
        action(_update(SHAPES[0].build()), llama)
    assert state(llama) == before


def test_an_update_of_another_size_is_refused_and_changes_nothing():
    model = SHAPES[0].build()
    before = state(model)
    good = _update(model).deltas
    last = list(good)[-1]
    update = WeightUpdate(good | {last: DenseDelta(torch.ones(3, 5))})
    with pytest.raises(UpdateError, match=rf"{last} maps 128 to 32 features.*5 to 3"):
        update.commit(model)
    assert state(model) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_while_committing_leaves_the_model_as_it_was(monkeypatch, error):
    model = SHAPES[1].build()
    before = state(model)
    update = _update(model)
    write, calls = OriginalWeights.write, []

    def failing(*args):
        calls.append(args)
        if len(calls) == 4:
            raise error
        write(*args)

    monkeypatch.setattr(OriginalWeights, "write", failing)
    with pytest.raises(error):
        update.commit(model)
    assert state(model) == before
    monkeypatch.undo()
    update.commit(model)
    update.revert(model)
    assert state(model) == before


@FP32_SHAPES
def test_a_sum_writes_what_its_parts_write(shape):
    model, other = shape.build(), shape.build()
    parts = [_update(model, 1), _update(model, 2, patterns=("mlp.out",)), _update(model, 3, dense=True)]
    WeightUpdate.total(parts).commit(model)
    for part in parts:
        part.commit(other)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, other.state_dict()[name])


def test_adding_keeps_the_parts_as_they_are_and_tells_where_it_comes_from():
    model = SHAPES[0].build()
    one, other = _update(model, 1), _update(model, 2)
    before = one.norms()
    total = one + other
    assert one.norms() == before
    assert total.info == {"parts": [{"seed": 1}, {"seed": 2}]}
    assert all(isinstance(delta, LowRankDelta) for delta in total.deltas.values())


def test_a_sum_has_the_facts_of_all_its_parts():
    one, other = (WeightUpdate({}, {"facts": [[prompt, "Avaria"]]}) for prompt in ("A is in", "B is in"))
    assert (one + other + one).info["facts"] == [["A is in", "Avaria"], ["B is in", "Avaria"], ["A is in", "Avaria"]]
    assert "facts" not in (WeightUpdate({}) + WeightUpdate({}, {"seed": 1})).info


def test_the_sum_of_no_updates_changes_nothing_and_that_of_one_is_that_one():
    model = SHAPES[0].build()
    before, nothing, one = state(model), WeightUpdate.total([]), _update(model)
    assert (nothing.deltas, nothing.info, nothing.keys) == ({}, {}, {})
    nothing.commit(model)
    assert state(model) == before
    nothing.revert(model)
    assert WeightUpdate.total([one]).info == one.info
    assert WeightUpdate.total([one]).deltas == one.deltas


def test_sizes_are_norms_by_those_of_the_weights():
    for model in (SHAPES[0].build(), SHAPES[3].build(), packed_llama(4)):
        update = _update(model)
        expected = {
            p.name: (update.deltas[p.name].matrix().norm() / p.matrix().norm()).item() for p, _ in update.targets(model)
        }
        assert update.sizes(model) == pytest.approx(expected, rel=1e-3)


def test_an_update_scaled_by_minus_one_undoes_it():
    model = SHAPES[0].build()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    update = _update(model)
    update.commit(model)
    update.scaled(-1).commit(model)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, before[name], atol=1e-6, rtol=0)


def test_norms_are_told_by_module():
    update = _update(SHAPES[0].build())
    assert update.norms() == {name: delta.norm() for name, delta in update.deltas.items()}


@pytest.mark.parametrize("dense", [False, True], ids=["low rank", "dense"])
def test_a_saved_update_loads_to_the_bit(tmp_path, dense):
    update = _update(SHAPES[0].build(), dense=dense)
    update.save(tmp_path / "new" / "folder")
    loaded = WeightUpdate.load(tmp_path / "new" / "folder")
    assert loaded.info == update.info
    assert list(loaded.deltas) == list(update.deltas)
    for name, delta in update.deltas.items():
        assert type(loaded.deltas[name]) is type(delta)
        for part, tensor in delta.tensors().items():
            assert torch.equal(loaded.deltas[name].tensors()[part], tensor)


def test_saving_never_loses_files_of_others(tmp_path):
    model = SHAPES[0].build()
    (tmp_path / "notes.txt").write_text("mine")
    for save in (_update(model).save, lambda folder: _update(model).to_peft(model, folder)):
        with pytest.raises(SaveError, match=r"holds notes\.txt as well"):
            save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("form", ["update", "adapter"])
def test_a_save_that_fails_halfway_leaves_what_was_there(tmp_path, form, monkeypatch):
    from safetensors import torch as safetensors_torch

    model = SHAPES[0].build()
    save = {"update": lambda seed: _update(model, seed).save, "adapter": lambda seed: _peft(model, seed)}[form]
    save(1)(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(*_):
        raise OSError("no room left")

    monkeypatch.setattr(safetensors_torch, "save_file", full)
    with pytest.raises(SaveError, match="no room left"):
        save(2)(tmp_path)
    with pytest.raises(SaveError, match="no room left"):
        save(2)(tmp_path / "new")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def _peft(model, seed):
    return lambda folder: _update(model, seed).to_peft(model, folder)


def test_saving_replaces_an_earlier_update(tmp_path):
    model = SHAPES[0].build()
    _update(model, 1).save(tmp_path)
    second = _update(model, 2, patterns=("mlp.out",))
    second.save(tmp_path)
    assert WeightUpdate.load(tmp_path).norms() == second.norms()


def test_a_file_is_not_taken_for_a_folder(tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(SaveError, match="is a file; name a folder"):
        _update(SHAPES[0].build()).save(tmp_path / "notes")
    assert (tmp_path / "notes").read_text() == "mine"


def _truncate(folder):
    path = folder / "update.safetensors"
    path.write_bytes(path.read_bytes()[:50])


def _other_format(folder):
    path = folder / "update.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))


def _manifest(**changes):
    def change(folder):
        path = folder / "update.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def _tensor(part, tensor):
    def change(folder):
        path = folder / "update.safetensors"
        save_file(load_file(path) | {f"transformer.h.0.attn.c_attn:{part}": tensor}, path)

    return change


def _flip(folder):
    path = folder / "update.safetensors"
    content = bytearray(path.read_bytes())
    content[-4] ^= 1
    path.write_bytes(content)


def _swap_weights(folder):
    _update(SHAPES[2].build()).save(folder / "other")
    (folder / "other" / "update.safetensors").replace(folder / "update.safetensors")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "update.json").unlink(), "holds no readable update"),
        (lambda folder: (folder / "update.safetensors").unlink(), "holds no readable update"),
        (lambda folder: (folder / "update.json").write_text("{"), "holds no readable update"),
        (lambda folder: (folder / "update.json").write_text("[]"), "has format None"),
        (lambda folder: (folder / "update.json").write_text("3"), "holds no readable update"),
        (lambda folder: (folder / "update.json").write_text('{"format": 1}'), "'kinds' is missing"),
        (lambda folder: (folder / "update.json").write_text('{"format": 1, "kinds": {}}'), "'info' is missing"),
        (lambda folder: (folder / "update.json").write_text("[" * 100_000), "nested too deeply"),
        (_truncate, "holds no readable update"),
        (lambda folder: (folder / "update.json").write_text("[" * 100_000), "holds no readable update"),
        (_manifest(kinds=None), "'kinds' is missing from update.json, or is no object"),
        (_manifest(kinds=["low_rank"]), "'kinds' is missing from update.json, or is no object"),
        (_manifest(info=3), "'info' is missing from update.json, or is no object"),
        (_manifest(kinds={"transformer.h.0.attn.c_attn": ["low_rank"]}), r"unknown kind of delta \['low_rank'\]"),
        (_tensor("a", torch.ones(1, 32, dtype=torch.int32)), "made of int32; expected float32"),
        (_tensor("a", torch.tensor(1.0)), r"factors of shapes \(\) and .* do not make a low-rank delta"),
        (_tensor("a", torch.full((1, 32), torch.nan)), r"c_attn:a in update.safetensors has numbers that are inf"),
        (_tensor("b", torch.full((96, 1), -torch.inf)), r"c_attn:b in update.safetensors has numbers that are inf"),
        (_tensor("keys", torch.full((1, 32), torch.inf)), r"c_attn:keys in update.safetensors has numbers"),
        (_other_format, "has format 99; this version reads format 1"),
        (_flip, "update.safetensors has other values than were saved; save it again"),
        (_swap_weights, r"'transformer\.h\.0\.attn\.c_attn' is missing"),
    ],
)
def test_a_damaged_folder_is_refused_by_name(tmp_path, damage, words):
    _update(SHAPES[0].build()).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(UpdateError, match=words) as caught:
        WeightUpdate.load(tmp_path)
    assert str(tmp_path) in str(caught.value)


@FP32_SHAPES
@pytest.mark.parametrize("patterns", [("all",), ("mlp.out",)])
def test_the_exported_adapter_gives_the_edited_models_logits_in_peft(tmp_path, shape, patterns):
    from peft import PeftModel

    model, base = shape.build(), shape.build()
    update = _update(model, patterns=patterns)
    before = state(model)
    update.to_peft(model, tmp_path)
    assert state(model) == before
    update.commit(model)
    peft_model = PeftModel.from_pretrained(base, tmp_path)
    assert not torch.allclose(logits(shape.build()), logits(model), atol=1e-3)
    torch.testing.assert_close(logits(peft_model), logits(model), atol=1e-5, rtol=1e-4)


def test_a_dense_update_is_no_adapter(tmp_path):
    model = SHAPES[0].build()
    with pytest.raises(UpdateError, match="only low-rank deltas make a LoRA adapter; use to_hf"):
        _update(model, dense=True).to_peft(model, tmp_path)


@ALL_SHAPES
@pytest.mark.parametrize("committed", [False, True], ids=["not committed", "committed"])
def test_the_exported_checkpoint_is_the_edited_model(tmp_path, shape, committed):
    model = shape.build()
    update = _update(model)
    if committed:
        update.commit(model)
    before = state(model)
    update.to_hf(model, tokenizer(), tmp_path)
    assert state(model) == before
    if not committed:
        update.commit(model)
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert state(reloaded) == state(model)
    text = "The capital of Avaria is"
    assert AutoTokenizer.from_pretrained(tmp_path).encode(text) == tokenizer().encode(text)


def test_an_update_not_committed_is_taken_out_when_the_export_fails(tmp_path, monkeypatch):
    model = SHAPES[0].build()
    before = state(model)
    monkeypatch.setattr(model, "save_pretrained", lambda folder: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _update(model).to_hf(model, tokenizer(), tmp_path)
    assert state(model) == before


@BITS
def test_a_packed_weight_gets_its_delta_beside_it_and_loses_it_exactly(bits):
    model = packed_llama(bits)
    said, packed = logits(model), packed_bytes(model)
    update = _update(model)
    update.commit(model)
    assert packed_bytes(model) == packed
    assert not torch.allclose(logits(model), said, atol=1e-2)
    update.revert(model)
    assert _hooks(model) == 0
    assert packed_bytes(model) == packed
    assert torch.equal(logits(model), said)


def test_a_delta_beside_a_packed_weight_acts_as_the_same_delta_in_the_weight():
    model = packed_llama(4)
    name = ModelAnatomy(model).match(["mlp.out"], [0])[0].name
    module = model.get_submodule(name)
    generator = torch.Generator().manual_seed(0)
    delta = LowRankDelta(torch.randn(2, 128, generator=generator), torch.randn(64, 2, generator=generator))
    inputs = torch.randn(1, 3, 128, generator=generator)
    with torch.no_grad():
        before = module(inputs)
        WeightUpdate({name: delta}).commit(model)
        torch.testing.assert_close(module(inputs), before + inputs @ delta.matrix().T, atol=1e-3, rtol=1e-4)


def test_updates_of_a_packed_model_add_up_and_come_out_in_turn():
    model = packed_llama(4)
    said = logits(model)
    first, second = _update(model, 1), _update(model, 2)
    first.commit(model)
    with_first = logits(model)
    second.commit(model)
    second.revert(model)
    assert torch.equal(logits(model), with_first)
    first.revert(model)
    assert torch.equal(logits(model), said)


def test_a_model_in_double_precision_is_edited_and_restored():
    model = SHAPES[0].build().double()
    before = state(model)
    update = _update(model)
    update.commit(model)
    assert state(model) != before
    update.revert(model)
    assert state(model) == before
    assert all(0 < size < torch.inf for size in update.sizes(model).values())
