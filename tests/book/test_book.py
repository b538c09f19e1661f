"""Edits of a book go in and come out in any order, to the bit."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch

from easyedit_ice import EditBook, WeightUpdate, edited, solve
from easyedit_ice.edit.base_model import as_info, base_of
from easyedit_ice.edit.delta import DenseDelta, LowRankDelta
from easyedit_ice.edit.history import edits_in
from easyedit_ice.editors.algorithms.gora import GoRAHyperParams
from easyedit_ice.errors import (
    BookConflictError,
    BookDamagedError,
    BookError,
    BookInUseError,
    ExistsError,
    OtherBaseError,
    SaveError,
    UpdateError,
)
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

HPARAMS = GoRAHyperParams(num_steps=2, rank=2)
ALL_SHAPES = pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])


def bits(model: torch.nn.Module) -> dict[str, bytes]:
    return {
        name: tensor.detach().contiguous().view(torch.uint8).numpy().tobytes()
        for name, tensor in model.state_dict().items()
    }


def an_update(model: torch.nn.Module, seed: int, **info) -> WeightUpdate:
    """Random deltas of some projections, made on the model as it is."""
    generator = torch.Generator().manual_seed(seed)
    projections = ModelAnatomy(model).projections
    deltas = {}
    for place in torch.randperm(len(projections), generator=generator)[:3].tolist():
        p, rank = projections[place], 1 + seed % 3
        a = torch.randn(rank, p.in_features, generator=generator)
        b = torch.randn(p.out_features, rank, generator=generator) / 30
        deltas[p.name] = LowRankDelta(a, b) if seed % 5 else DenseDelta(b @ a)
    return WeightUpdate(deltas, {"base": as_info(base_of(model)), **info})


def fact(prompt: str, target: str, **more: str) -> dict:
    return {"requests": [{"prompt": prompt, "target_new": target, **more}]}


@pytest.fixture
def model() -> torch.nn.Module:
    return SHAPES[2].build()


@pytest.fixture
def book(model: torch.nn.Module, tmp_path: Path) -> EditBook:
    """Four edits, a to d."""
    book = EditBook.create(tmp_path / "book", model, name="tiny")
    for seed, name in enumerate("abcd"):
        book.add(name, an_update(model, seed, **fact(f"The capital of {name} is", "Lodel")))
    return book


@ALL_SHAPES
def test_any_subset_has_the_bits_of_a_book_with_just_these_edits(shape, tmp_path):
    model = shape.build()
    book = EditBook.create(tmp_path / "book", model)
    updates = {name: an_update(model, seed) for seed, name in enumerate("abcd")}
    for name, update in updates.items():
        book.add(name, update)
    before = bits(model)
    book.apply(model)
    book.undo(model, ["a", "c"])
    assert book.within(model) == ("b", "d")
    fresh, other = EditBook.create(tmp_path / "fresh", shape.build()), shape.build()
    for name in "bd":
        fresh.add(name, updates[name])
    fresh.apply(other)
    assert bits(model) == bits(other) != before
    book.undo(model)
    assert bits(model) == before


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_of_100_edits_37_taken_out_leave_the_bits_of_the_other_63(dtype, tmp_path):
    from easyedit_ice import factworld, load_model
    from easyedit_ice.edit.hparams import EditHyperParams

    def base() -> torch.nn.Module:
        return load_model(EditHyperParams(model_name=str(factworld.model_path()), device="cpu"))[0].to(dtype)

    model, other = base(), base()
    book = EditBook.create(tmp_path / "book", model)
    fresh = EditBook.create(tmp_path / "fresh", other)
    before, names = bits(model), [f"edit-{index}" for index in range(100)]
    updates = {name: an_update(model, seed) for seed, name in enumerate(names)}
    gone = set(random.Random(5).sample(names, 37))
    for name, update in updates.items():
        book.add(name, update)
        if name not in gone:
            fresh.add(name, update)
    book.apply(model)
    book.undo(model, sorted(gone))
    fresh.apply(other)
    assert len(fresh) == len(book.within(model)) == 63
    assert bits(model) == bits(other) != before
    book.undo(model)
    assert bits(model) == before


def test_edits_are_applied_in_the_order_they_are_asked_for(book, model):
    book.apply(model, ["c", "a"])
    assert book.within(model) == ("c", "a")
    both = bits(model)
    book.undo(model)
    book.apply(model, "c")
    book.apply(model, "a")
    assert bits(model) == both


@pytest.mark.parametrize("there", [(), ("b",)], ids=["on the base", "above an edit"])
def test_within_a_block_exactly_the_chosen_edits_are_in_the_model(book, model, there):
    book.apply(model, there)
    before = bits(model)
    with edited(model, book, ["d", "a"]) as same:
        assert same is model
        assert book.within(model) == ("d", "a")
        assert bits(model) != before
    assert bits(model) == before
    assert book.within(model) == there


def test_a_block_brings_every_bit_back_after_an_exception_and_a_stray_write(book, model):
    before = bits(model)
    with pytest.raises(ZeroDivisionError), edited(model, book):
        with torch.no_grad():
            for name in book["a"].update.deltas:
                model.get_submodule(name).weight.add_(1)
        raise ZeroDivisionError
    assert bits(model) == before


def test_an_edit_that_does_not_fit_leaves_the_model_as_it_was(book, model):
    name = next(iter(book["a"].update.deltas))
    book.add("wrong", WeightUpdate({name: DenseDelta(torch.zeros(2, 3))}), check_base=False)
    book.apply(model, "b")
    before = bits(model)
    with pytest.raises(UpdateError, match="a model of another size"):
        book.apply(model, ["a", "wrong"])
    assert bits(model) == before
    assert book.within(model) == ("b",)


def test_weights_that_somebody_else_changed_are_not_overwritten(book, model):
    book.apply(model)
    with torch.no_grad():
        for name in book["a"].update.deltas:
            model.get_submodule(name).weight.add_(1)
    changed = bits(model)
    with pytest.raises(UpdateError, match="changed after the book's edits were applied"):
        book.undo(model, "b")
    assert bits(model) == changed


def test_later_edits_know_the_keys_of_those_in_the_model_and_of_no_others(model, tmp_path):
    book = EditBook.create(tmp_path / "book", model)
    for seed, name in enumerate("ab"):
        update = an_update(model, seed)
        module, delta = next(iter(update.deltas.items()))
        book.add(name, WeightUpdate(update.deltas, update.info, {module: torch.ones(1, delta.shape[1])}))
    book.apply(model)
    assert len(edits_in(model)) == 2
    book.undo(model, "a")
    assert len(edits_in(model)) == 1
    book.undo(model)
    assert edits_in(model) == ()


def test_edits_that_are_off_are_left_out_unless_asked_for(book, model):
    assert book.switch(["b", "d"], False) == ("a", "c")
    book.apply(model)
    assert book.within(model) == ("a", "c")
    book.apply(model, "b")
    assert EditBook.open(book.folder).on == ("a", "c")
    assert book.switch(None, True) == tuple("abcd")


def test_facts_are_solved_on_the_model_with_the_edits_before_them(model, tmp_path):
    book = EditBook.create(tmp_path / "book", model)
    tok, before = tokenizer(), bits(model)
    book.add_facts("first", model, tok, FACTS[:1], HPARAMS, verdict=False)
    second = book.add_facts("second", model, tok, FACTS[1:2], HPARAMS, verdict=False)
    assert bits(model) == before
    assert second.solved_with == (book["first"].key,)
    book.apply(model, "first")
    expected = solve(model, tok, FACTS[1:2], HPARAMS)
    assert second.update.deltas.keys() == expected.deltas.keys()
    for name, delta in expected.deltas.items():
        assert torch.equal(second.update.deltas[name].matrix(), delta.matrix())
    assert second.base == book.base
    assert [own.subject for own in second.facts] == [FACTS[1]["subject"]]


def test_a_verdict_is_kept_with_an_edit(model, tmp_path):
    book = EditBook.create(tmp_path / "book", model)
    verdict = book.add_facts("one", model, tokenizer(), FACTS[:1], HPARAMS).verdict
    assert verdict["took"] in (True, False)
    assert dict(verdict["figures"])["written"] in ("0 of 1 fact", "1 of 1 fact")


def test_replaying_solves_what_was_solved_with_a_removed_edit_as_if_it_had_never_been(model, tmp_path):
    book, fresh = (EditBook.create(tmp_path / name, model) for name in ("book", "fresh"))
    tok = tokenizer()
    for index in range(3):
        book.add_facts(f"fact-{index}", model, tok, [FACTS[index]], HPARAMS, verdict=False)
        if index != 1:
            fresh.add_facts(f"fact-{index}", model, tok, [FACTS[index]], HPARAMS, verdict=False)
    kept = book["fact-2"].update
    assert book.remove("fact-1") == ("fact-2",) == book.stale
    assert all(torch.equal(book["fact-2"].update.deltas[n].matrix(), d.matrix()) for n, d in kept.deltas.items())
    assert list(book.replay(model, tok, verdict=False)) == ["fact-2"]
    assert book.stale == ()
    book.apply(model)
    replayed = bits(model)
    book.undo(model)
    fresh.apply(model)
    assert bits(model) == replayed


def test_an_edit_without_its_facts_cannot_be_replayed(book, model):
    update = an_update(model, 9, solved_with=["gone-00000000"])
    book.add("e", update)
    with pytest.raises(BookError, match="'e' does not say how it was made"):
        list(book.replay(model, tokenizer()))


def test_another_model_is_refused_with_both_named(book, model):
    with torch.no_grad():
        model.get_input_embeddings().weight[0, 0] += 1
    before = bits(model)
    with pytest.raises(OtherBaseError, match=rf"made on tiny \({book.base.fingerprint}\).*xxh3:.*--other-base"):
        book.apply(model)
    assert bits(model) == before
    book.apply(model, check_base=False)
    assert bits(model) != before


def test_an_update_of_another_model_is_refused_unless_told(book):
    other = an_update(SHAPES[0].build(), 1)
    with pytest.raises(OtherBaseError, match=f"{other.info['base']['fingerprint']}.*{book.base.fingerprint}"):
        book.add("e", other)
    with pytest.raises(OtherBaseError, match="does not say which weights it was made on"):
        book.add("e", WeightUpdate(other.deltas))
    assert "e" not in book
    book.add("e", other, check_base=False)
    assert book["e"].base.fingerprint == other.info["base"]["fingerprint"]


def test_contradictions_are_refused_before_anything_is_written(book, model):
    book.add("e", an_update(model, 7, **fact("the capital  of a is", "Tarn")))
    before = bits(model)
    with pytest.raises(BookConflictError, match="a and e: 'The capital of a is' is followed by 'Lodel', or by 'Tarn'"):
        book.apply(model)
    book.apply(model, ["e"])
    with pytest.raises(BookConflictError):
        book.apply(model, ["a"])
    book.undo(model)
    assert bits(model) == before
    book.apply(model, allow_conflicts=True)
    assert len(book.within(model)) == 5


def test_nothing_is_overwritten_unless_told(book, model):
    with pytest.raises(BookError, match="has an edit 'a' already"):
        book.add("a", an_update(model, 8))
    old = book["a"]
    book.add("a", an_update(model, 8), overwrite=True)
    assert book.names == tuple("abcd")
    assert book["a"].key != old.key
    assert not old.place.exists()
    with pytest.raises(ExistsError, match="holds"):
        EditBook.create(book.folder, model)


def test_the_base_models_own_folder_is_never_written_to(tmp_path):
    model = SHAPES[0].build()
    model.save_pretrained(tmp_path / "model")
    for place in (tmp_path / "model", tmp_path / "model" / "book", tmp_path):
        with pytest.raises(SaveError, match="of the model that is edited"):
            EditBook.create(place, model, name=str(tmp_path / "model"))


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".a", "a b", "x" * 65, 3, None])
def test_names_that_are_no_file_names_are_refused(book, model, name):
    with pytest.raises(BookError, match="is no name for an edit"):
        book.add(name, an_update(model, 8))


def test_a_name_that_is_not_there_is_met_with_those_that_are(book, model):
    for act in (lambda: book["e"], lambda: book.apply(model, ["a", "e"]), lambda: book.remove("e")):
        with pytest.raises(BookError, match=r"no edit 'e'.*a, b, c, d"):
            act()
    with pytest.raises(BookError, match="a is asked for twice"):
        book.apply(model, ["a", "a"])
    with pytest.raises(BookError, match=r"^a is not in this model; no edit is$"):
        book.undo(model, "a")


def test_two_processes_do_not_write_at_once(book, model, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr("easyedit_ice.book.folder._WAIT", 0.1)
    with FileLock(book.folder / ".lock"), pytest.raises(BookInUseError, match="another process"):
        book.remove("a")
    assert "a" in book


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("file", ["update.safetensors", "update.json"])
@pytest.mark.parametrize("damage", [_cut, _flip, Path.unlink], ids=["truncated", "changed", "deleted"])
def test_a_damaged_edit_is_named_with_what_to_do_and_can_be_removed(book, model, file, damage):
    damage(book["b"].place / file)
    with pytest.raises(BookDamagedError, match=rf"b-\w+/{file}.*remove the edit 'b'.*add it again"):
        book.apply(model)
    book.apply(model, ["a", "c"], allow_conflicts=True)
    book.undo(model)
    assert book.remove("b") == ()
    book.apply(model)
    assert book.within(model) == ("a", "c", "d")


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values["base"].pop("fingerprint"),
        lambda values: values["edits"][0].update(folder="../../elsewhere"),
        lambda values: values["edits"][0].update(on="yes"),
        lambda values: values["edits"][0].update(files={"../x": ""}),
        lambda values: values["edits"].append(values["edits"][0]),
        lambda values: values.update(edits={"a": 1}),
        lambda values: values.pop("edits"),
    ],
)
def test_a_book_that_was_edited_wrongly_by_hand_is_refused_by_name(book, change):
    path = book.folder / "book.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(BookDamagedError, match=r"book\.json.*put it back from a copy"):
        EditBook.open(book.folder)


def test_a_truncated_book_and_one_of_another_format_are_refused_by_name(book, tmp_path):
    path = book.folder / "book.json"
    whole = path.read_text()
    _cut(path)
    with pytest.raises(BookDamagedError, match=r"book\.json cannot be read"):
        EditBook.open(book.folder)
    path.write_text(whole.replace('"format": 1', '"format": 99'))
    with pytest.raises(BookError, match="format 99"):
        EditBook.open(book.folder)
    with pytest.raises(BookError, match="holds no edit book"):
        EditBook.open(tmp_path / "nowhere")
