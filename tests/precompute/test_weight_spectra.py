"""A weight is decomposed once; what is stored is found again, and refused where it cannot be trusted."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from easyedit_ice.edit.delta import SpectralDelta
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import DamagedFileError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.precompute import weight_spectra
from easyedit_ice.precompute.decompose import decompose
from easyedit_ice.precompute.spectrum_store import SPECTRA, Decomposed, load_spectrum, save_spectrum
from easyedit_ice.precompute.weight_spectra import spectra
from easyedit_ice.testing.tiny_models import SHAPES

WEIGHT = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
SPECTRUM = decompose(WEIGHT)
OF = Decomposed.of(WEIGHT, "exact", None)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def counted(monkeypatch):
    """Shapes of the weights that are decomposed."""
    shapes = []

    def noting(weight, *settings):
        shapes.append(tuple(weight.shape))
        return decompose(weight, *settings)

    monkeypatch.setattr(weight_spectra, "decompose", noting)
    return shapes


def test_what_was_saved_is_found_to_the_bit():
    assert load_spectrum(OF) is None
    save_spectrum(OF, "h.1.mlp", SPECTRUM)
    again = load_spectrum(OF)
    assert all(torch.equal(getattr(again, name), getattr(SPECTRUM, name)) for name in ("left", "values", "right"))
    assert again.error == SPECTRUM.error


@pytest.mark.parametrize(
    "other",
    [
        Decomposed.of(WEIGHT + 1e-3, "exact", None),
        Decomposed.of(WEIGHT.T.contiguous(), "exact", None),
        Decomposed.of(WEIGHT, "exact", 3),
        Decomposed.of(WEIGHT, "randomised", None),
    ],
    ids=["weight", "shape", "rank", "method"],
)
def test_another_weight_or_way_is_not_found(other):
    save_spectrum(OF, "h.1.mlp", SPECTRUM)
    assert load_spectrum(other) is None


def _with_notes(path, **changes):
    notes = {"format": "1", "decomposed": json.dumps(asdict(OF)), "module": "x", "error": "0.0", "checksum": "0"}
    save_file(load_file(path), path, metadata={k: v for k, v in (notes | changes).items() if v})


def _flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_flip_a_bit, "has other values"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "cannot be read"),
        (lambda path: path.write_text("another kind of file, long enough to be looked at"), "cannot be read"),
        (_with_notes, "has other values"),
    ],
    ids=["a bit", "half", "another kind", "no checksum"],
)
def test_a_damaged_file_is_refused_with_the_remedy(damage, words):
    save_spectrum(OF, "h.1.mlp", SPECTRUM)
    damage(OF.path)
    with pytest.raises(DamagedFileError, match=rf"{OF.path.name} {words}.*easyedit-ice internals spectra clear"):
        load_spectrum(OF)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"format": "0"}, "is not of format 1"), ({"error": ""}, "lacks its notes"), ({"decomposed": "[]"}, "lacks")],
)
def test_a_file_with_other_notes_is_refused_in_lists(changes, words):
    save_spectrum(OF, "h.1.mlp", SPECTRUM)
    _with_notes(OF.path, **changes)
    with pytest.raises(DamagedFileError, match=words):
        list(SPECTRA.entries())


def test_a_file_under_anothers_name_is_refused():
    other = replace(OF, weight="0" * 64)
    save_spectrum(OF, "h.1.mlp", SPECTRUM)
    shutil.copy(OF.path, other.path)
    with pytest.raises(DamagedFileError, match="another weight, method or rank than its name says"):
        load_spectrum(other)


def test_files_are_listed_and_deleted():
    save_spectrum(OF, "h.1.mlp", SPECTRUM)
    (stored,) = SPECTRA.entries()
    assert (stored.about.module, stored.about.decomposed, stored.about.error) == ("h.1.mlp", OF, SPECTRUM.error)
    assert stored.size == OF.path.stat().st_size
    assert SPECTRA.clear() == 1
    assert list(SPECTRA.entries()) == []


@pytest.mark.parametrize("shape", SHAPES[:4], ids=[shape.name for shape in SHAPES[:4]])
def test_a_models_weights_are_decomposed_as_out_by_in(shape):
    model = shape.build()
    own = ModelAnatomy(model).match(["all"])
    for name, spectrum in spectra(model, own).items():
        projection = ModelAnatomy(model).projection(name)
        made = (spectrum.left * spectrum.values) @ spectrum.right.T
        torch.testing.assert_close(made, projection.matrix(), atol=1e-5, rtol=1e-4)


def test_a_weight_is_decomposed_once_also_for_another_model_object(counted):
    for _ in range(2):
        model = SHAPES[0].build()
        own = ModelAnatomy(model).match(["mlp.out"])
        first, second = spectra(model, own), spectra(model, own)
        assert all(first[name] is second[name] for name in first)
    assert len(counted) == len(own)


def test_a_stream_of_edits_goes_on_with_the_unedited_weights(counted):
    model = SHAPES[0].build()
    own = ModelAnatomy(model).match(["mlp.out"])
    before = spectra(model, own)
    name = own[0].name
    WeightUpdate({name: _scaled(before[name])}).commit(model)
    assert spectra(model, own)[name] is before[name]


def _scaled(spectrum):
    places, values = torch.arange(spectrum.rank), torch.full((spectrum.rank,), 0.5)
    return SpectralDelta(spectrum.left, spectrum.values, spectrum.right, places, places, values)


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(monkeypatch, caplog):
    def full(*args):
        raise OSError("no space left")

    monkeypatch.setattr(weight_spectra, "save_spectrum", full)
    model = SHAPES[0].build()
    assert spectra(model, ModelAnatomy(model).match(["mlp.out"]))
    assert "no space left" in caplog.text
    assert not SPECTRA.folder.exists()
