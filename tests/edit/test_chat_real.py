"""A chat with a real model: SmolLM2-135M-Instruct, whose template brings a system's turn of its own."""

from __future__ import annotations

import pytest

from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.editors.algorithms.fast_rome import FastROMEHyperParams
from easyedit_ice.evaluation import observe
from easyedit_ice.evaluation.questions import Question
from easyedit_ice.text.chat import in_chat
from easyedit_ice.text.rows import prefix_ids

pytestmark = pytest.mark.real
QUESTIONS = ("In which city is the Eiffel Tower?", "What is the capital of Germany?")


@pytest.fixture(scope="module")
def chat_model(smollm2):
    return load_model(EditHyperParams(model_name=smollm2, device="cpu"))


def test_a_question_has_the_tokens_of_its_own_template_and_answers_end_with_the_turn(chat_model):
    _, tok = chat_model
    asking = in_chat(tok)
    messages = [{"role": "user", "content": QUESTIONS[0]}]
    own = tok.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert list(prefix_ids(tok, asking.text(QUESTIONS[0]))) == own
    assert (asking.gap, tok.convert_ids_to_tokens(asking.end)) == ("", "<|im_end|>")


def test_an_edit_in_the_chat_changes_the_answer_given_there_and_no_other(chat_model):
    model, tok = chat_model
    asked = [[Question("shown", prompt, "Rome", ("Rome",)) for prompt in QUESTIONS]]
    (before,) = observe(model, tok, asked, asking=in_chat(tok))
    fact = {"prompt": QUESTIONS[0], "subject": "Eiffel Tower", "target_new": "Rome"}
    settings = {"layers": [7], "mom2_adjustment": False, "mom2_update_weight": 10.0}
    hparams = FastROMEHyperParams(chat=True, context_template_length_params=[], **settings)
    update = solve(model, tok, [fact], hparams)
    update.commit(model)
    (after,) = observe(model, tok, asked, asking=in_chat(tok))
    update.revert(model)
    assert before[0].generated == "The Eiffel Tower is located in Paris, France."
    assert after[0].generated.startswith("Rome")
    assert before[1].generated == after[1].generated == "The capital of Germany is Berlin."
