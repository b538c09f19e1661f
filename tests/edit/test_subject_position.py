"""The token at which a subject ends, wherever it stands and however the tokenizer cuts it."""

from __future__ import annotations

from functools import cache

import pytest

from easyedit_ice import factworld
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.subject_position import last_token_of
from easyedit_ice.editors.closed_form.subject_rows import fact_rows
from easyedit_ice.errors import SubjectNotFoundError
from easyedit_ice.testing.tiny_models import tokenizer

CASES = {
    "at the start": ("Mira Tolven works as a", "Mira Tolven", "Mira Tolven"),
    "in the middle": ("The capital of Avaria is", "Avaria", "The capital of Avaria"),
    "at the end": ("The river flows through Sundray", "Sundray", "The river flows through Sundray"),
    "twice": ("Avaria, said Otto, is Avaria and", "Avaria", "Avaria, said Otto, is Avaria"),
    "with a space before": ("The capital of Avaria is", " Avaria", "The capital of Avaria"),
    "before a comma": ("In Sundray, people are", "Sundray", "In Sundray"),
    "within a word": ("The Avarian capital is", "Avaria", "The Avaria"),
    "of several bytes a letter": ("In 東京 🗼 lebt Jürgen, der", "東京 🗼", "In 東京 🗼"),
    "with an accent at its end": ("Café Zoé is in", "Café Zoé", "Café Zoé"),
}


@cache
def _tokenizers() -> dict[str, object]:
    return {"tiny": tokenizer(), "embedded": factworld.load()[1], "Llama's kind": _metaspace()}


def _metaspace() -> object:
    """A tokenizer that marks words by a space of its own, falls back to bytes and puts a token before each text."""
    from tokenizers import Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<s>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁In", "▁The", "Ava", "ria", "▁Avaria"]
    core = Tokenizer(models.BPE({word: index for index, word in enumerate(words)}, [], byte_fallback=True))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="<s>", pad_token="<s>")


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["tiny", "embedded", "Llama's kind"])
def test_what_is_read_up_to_it_ends_with_the_subject(name: str, case: str, side: str) -> None:
    tok = _tokenizers()[name]
    tok.padding_side = side
    text, subject, upto = CASES[case]
    at = last_token_of(tok, text, subject)
    ids = tok(text)["input_ids"]
    assert tok.decode(ids[: at + 1], skip_special_tokens=True).lstrip().startswith(upto)
    assert not tok.decode(ids[:at], skip_special_tokens=True).lstrip().startswith(upto)


def test_padding_moves_it_by_the_padding_alone() -> None:
    tok = tokenizer()
    tok.padding_side = "left"
    texts = ["The capital of Avaria is", "Avaria"]
    padded = tok(texts, padding=True)["input_ids"]
    for text, row in zip(texts, padded, strict=True):
        at = last_token_of(tok, text, "Avaria") + len(row) - len(tok(text)["input_ids"])
        assert tok.decode(row[at]).endswith("aria")


def test_a_slow_tokenizer_is_asked_for_the_beginning_of_the_text() -> None:
    class Slow:
        is_fast = False

        def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
            return list(range(len(text.split())))

    assert last_token_of(Slow(), "The capital of Avaria is", "Avaria") == 3


def test_an_absent_subject_is_named() -> None:
    with pytest.raises(SubjectNotFoundError, match="'Tarn' does not occur in 'The capital of Avaria is'"):
        last_token_of(tokenizer(), "The capital of Avaria is", "Tarn")


def test_mentions_in_the_target_do_not_count() -> None:
    request = EditRequest("Avaria is a part of", "Greater Avaria", subject="Avaria")
    tok = tokenizer()
    [row] = fact_rows(tok, request, [""]).stated
    assert tok.decode(row.ids[: row.at + 1]) == "Avaria"


def test_a_context_moves_it_behind_the_context() -> None:
    request = EditRequest("The capital of Avaria is", "Lodel", subject="Avaria")
    tok = tokenizer()
    bare, after = fact_rows(tok, request, ["", "Avaria? Yes. "]).stated
    assert tok.decode(after.ids[: after.at + 1]) == "Avaria? Yes. The capital of Avaria"
    assert bare.predicted == after.predicted == tuple(tok(" Lodel")["input_ids"])


def test_a_context_that_leaves_no_room_for_the_fact_is_left_out_and_the_bare_fact_stays() -> None:
    request = EditRequest("The capital of Avaria is", "Lodel", subject="Avaria")
    tok, prefixes = tokenizer(), ["", "Avaria? Yes. ", "Avaria? Yes, yes. "]
    bare, short, long = fact_rows(tok, request, prefixes).stated
    for longest, left in (
        (len(long.ids), (bare, short, long)),
        (len(long.ids) - 1, (bare, short)),
        (len(short.ids) - 1, (bare,)),
        (1, (bare,)),
    ):
        assert fact_rows(tok, request, prefixes, longest).stated == left
