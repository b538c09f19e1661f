"""The matrix tells an edit from a refusal and from a failure; a sample of it."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.errors import LoadingError
from easyedit_ice.testing import matrix
from easyedit_ice.testing.matrix import Cell, Outcome, judged, tried
from easyedit_ice.testing.shrinking import MOST, decoders, tiny_decoder

SAMPLE = [
    ("gemma3_text", "float32", "SVF"),
    ("gemma3_text", "float32", "FastROME"),
    ("qwen3_5_text", "bfloat16", "LoRA-BF"),
    ("granite", "float32", "FastROME"),
    ("mpt", "float32", "LoRA-BF"),
    ("lfm2", "float32", "FastROME"),
    ("openai-gpt", "float32", "FastROME"),
]


@pytest.mark.parametrize("cell", [Cell(*place) for place in SAMPLE], ids=["-".join(place) for place in SAMPLE])
def test_an_edit_is_made_and_taken_out_to_the_bit(cell):
    outcome = tried(cell)
    assert outcome.verdict in ("ok", "no better"), outcome


@pytest.mark.parametrize(("kind", "algorithm"), [("mixtral", "LoRA-BF"), ("mamba", "LoRA-BF"), ("prophetnet", "SVF")])
def test_what_cannot_be_edited_is_refused_by_name(kind, algorithm):
    outcome = tried(Cell(kind, "float32", algorithm))
    assert (outcome.verdict, outcome.name) == ("refused", "AnatomyError"), outcome


def test_an_unnamed_error_and_other_bits_are_failures(monkeypatch):
    def raising(*args):
        raise KeyError("x")

    def disturbing(model, *args):
        with torch.no_grad():
            next(model.parameters()).add_(1)

    cell = Cell("llama", "float32", "LoRA-BF")
    monkeypatch.setattr(matrix, "solve", raising)
    assert (tried(cell).verdict, tried(cell).name) == ("failed", "KeyError")
    monkeypatch.setattr(matrix, "solve", disturbing)
    assert (tried(cell).verdict, tried(cell).name) == ("failed", "changed")


def test_a_cell_that_takes_too_long_is_ended():
    cell = Cell("llama", "float32", "LoRA-BF")
    assert list(judged([cell], 0.01)) == [(cell, Outcome("failed", "hang", "no answer within 0.01 s"))]


def test_most_of_transformers_decoders_can_be_made_small():
    assert len(decoders()) > 100
    assert sum(parameter.numel() for parameter in tiny_decoder("qwen2").parameters()) < MOST
    with pytest.raises(LoadingError, match="cannot be made small"):
        tiny_decoder("unheard")
