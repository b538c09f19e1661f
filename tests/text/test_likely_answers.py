"""Whether a model would write given answers."""

from __future__ import annotations

import torch
import transformers
from odd_tokenizers import chatting, rendered

from easyedit_ice import factworld
from easyedit_ice.data import load_records
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer
from easyedit_ice.text import likely_answers as answers
from easyedit_ice.text.chat import in_chat
from easyedit_ice.text.likely_answers import answers_right, asked_row, rows_right
from easyedit_ice.text.rows import Row
from easyedit_ice.text.tokens import tokens


def test_an_answer_is_right_if_the_model_would_write_it_and_wrong_if_any_token_differs():
    model, tok = factworld.load()
    records = load_records("factworld", size=30)
    questions = [(own["prompt"], answer) for own in records for answer in (own["target_new"], own["ground_truth"][0])]
    expected = []
    for prompt, answer in questions:
        ids, whole = tok.encode(prompt), tok.encode(f"{prompt} {answer}")
        with torch.no_grad():
            likeliest = model(input_ids=torch.tensor([whole])).logits[0].argmax(-1).tolist()
        expected.append(likeliest[len(ids) - 1 : -1] == whole[len(ids) :])
    assert expected.count(True) > 25
    assert expected.count(False) > 25
    assert answers_right(model, tok, questions) == expected


def test_no_answer_depends_on_those_beside_it(monkeypatch):
    model, tok = factworld.load()
    records = load_records("factworld", size=8)
    questions = [(own["prompt"], answer) for own in records for answer in (own["target_new"], own["ground_truth"][0])]
    together = answers_right(model, tok, questions)
    monkeypatch.setitem(answers.TOKENS, "cpu", 1)
    assert answers_right(model, tok, questions) == together


def test_the_model_is_left_as_it_was_and_asked_in_evaluation_mode():
    model, tok = SHAPES[0].build(), tokenizer()
    expected = answers_right(model, tok, [("The capital of Avaria is", "Lodel")])
    model.train()
    assert answers_right(model, tok, [("The capital of Avaria is", "Lodel")]) == expected
    assert all(module.training for module in model.modules())


def test_an_answer_that_the_model_has_no_room_for_is_not_right():
    model, tok = SHAPES[0].build(), tokenizer()
    room = model.config.max_position_embeddings
    long = "Lodel " * (room + 5)
    assert len(tok.encode(long)) > room + 1
    assert answers_right(model, tok, [(long, "Ell"), ("Lodel is in", "Ell")])[0] is False


def test_a_text_of_one_token_is_never_asked_and_does_not_disturb_others():
    model = SHAPES[0].build()
    alone, long = Row((5,), 1), Row(tuple(range(2, 42)), 1)
    assert rows_right(model, [alone, long]) == [True, *rows_right(model, [long])]
    assert rows_right(model, [alone]) == [True]


def test_in_a_chat_the_answer_begins_the_models_turn():
    tok = chatting()
    row = asked_row(tok, "What is the capital of Avaria?", " Lodel ", in_chat(tok))
    assert row.ids == tokens(tok, rendered(tok, "What is the capital of Avaria?") + "Lodel")
    assert tok.decode(row.predicted) == "Lodel"


def test_rows_beyond_the_context_are_left_out_whatever_it_is_called():
    config = transformers.MptConfig(vocab_size=64, d_model=32, n_layers=2, n_heads=4, max_seq_len=8)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    assert rows_right(model, [Row(tuple(range(1, 31)), 2)]) == [False]
    assert len(rows_right(model, [Row(tuple(range(1, 10)), 2)])) == 1
