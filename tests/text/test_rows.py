"""Rows of tokens, and what a model says to a batch of them."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.rows import Predictions, Row, encode, predict

TEXTS = [(fact["prompt"], f" {fact['target_new']}") for fact in FACTS]


class _Characters:
    """A tokenizer of single characters that makes one token of ``ab``, wherever it stands."""

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [1] * add_special_tokens + [ord(character) for character in text.replace("ab", "X")]


@pytest.mark.parametrize(
    ("text", "continuation", "predicted"),
    [
        ("q ", "b", "b"),
        ("q", " ab", " X"),
        ("qa", "bc", "Xc"),
        ("", "c", "c"),
        ("q", "", "q"),
    ],
)
def test_the_split_follows_a_tokenizer_that_merges_across_the_border(text, continuation, predicted):
    row = encode(_Characters(), text, continuation)
    assert row.ids == tuple(_Characters().encode(text + continuation))
    assert row.predicted == tuple(map(ord, predicted))


@pytest.mark.parametrize(("prompt", "target"), TEXTS)
def test_a_text_and_its_continuation_are_tokenised_as_one(prompt, target):
    tok = tokenizer()
    row = encode(tok, prompt, target)
    assert tok.decode(row.ids) == prompt + target
    assert tok.decode(row.predicted) == target


def test_the_predicted_tokens_can_stand_behind_another_beginning():
    row = Row((1, 2, 3, 4), 2).after((9, 8, 7))
    assert row == Row((9, 8, 7, 3, 4), 2)


@pytest.mark.parametrize("shape", SHAPES[::2], ids=lambda shape: shape.name)
def test_a_batch_says_what_each_row_says_alone(shape):
    model = shape.build()
    rows = [encode(tokenizer(), *text) for text in TEXTS] + [Row((5, 6, 7), 2), Row((5, 6), 1)]
    with torch.no_grad():
        together = predict(model, rows).split()
        for row, found in zip(rows, together, strict=True):
            logits = model(input_ids=torch.tensor([row.ids])).logits[0]
            alone = logits[-row.span - 1 : -1].log_softmax(-1)
            torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)


def test_distributions_are_in_fp32_also_where_the_model_is_not():
    with torch.no_grad():
        assert predict(SHAPES[1].build(), [Row((5, 6, 7), 2)]).log_probs.dtype == torch.float32


def _random(spans: tuple[int, ...], seed: int) -> Predictions:
    generator = torch.Generator().manual_seed(seed)
    log_probs = torch.randn(sum(spans), 11, generator=generator).log_softmax(-1)
    return Predictions(log_probs, torch.randint(11, (sum(spans),), generator=generator), spans)


def test_the_negative_log_likelihood_is_the_mean_over_each_row():
    predictions = _random((2, 3, 1), 0)
    expected = [
        torch.nn.functional.cross_entropy(logits, tokens)
        for logits, tokens in zip(predictions.split(), predictions.tokens.split((2, 3, 1)), strict=True)
    ]
    torch.testing.assert_close(predictions.nll(), torch.stack(expected))


def test_the_divergence_is_torchs_from_the_teacher_to_the_student_over_each_row():
    student, teacher = _random((2, 3), 0), _random((2, 3), 1)
    expected = [
        torch.nn.functional.kl_div(own, theirs, log_target=True, reduction="batchmean")
        for own, theirs in zip(student.split(), teacher.split(), strict=True)
    ]
    torch.testing.assert_close(student.kl_from(teacher.log_probs), torch.stack(expected))


def test_the_divergence_of_equal_distributions_is_zero():
    predictions = _random((2, 3), 0)
    assert torch.equal(predictions.kl_from(predictions.log_probs), torch.zeros(2))


def test_selected_rows_are_scored_as_among_all():
    predictions = _random((2, 3, 1), 0)
    chosen = predictions.select([2, 0])
    assert chosen.spans == (1, 2)
    torch.testing.assert_close(chosen.nll(), predictions.nll()[[2, 0]])


def test_the_last_token_is_predicted_and_not_read_so_that_a_row_may_be_one_longer_than_the_context():
    model = SHAPES[0].build()
    row = Row((5,) * (model.config.n_positions + 1), 2)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([row.ids[:-1]])).logits[0, -2:]
        torch.testing.assert_close(predict(model, [row]).log_probs, logits.log_softmax(-1), atol=1e-5, rtol=1e-5)
