"""Prompts as they are put to a model: bare, or in the user's turn of its chat template."""

from __future__ import annotations

import pytest
from odd_tokenizers import byte_level, chatting, rendered

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.text.chat import PLAIN, asking_for, in_chat

QUESTION = "What is the capital of Avaria?"
HEADS = {
    "a line break": ("<turn>model\n", "", "Lodel"),
    "no space": ("[/I]", "", "Lodel"),
    "a space": ("[/I]", " ", " Lodel"),
}
"""Heads of the model's turn, what its template writes after one, and the target as it is then trained."""


def _template(head: str, gap: str, end: str) -> str:
    return (
        "{% for m in messages %}{% if m['role'] == 'user' %}{{ '[I]' + m['content'] }}"
        f"{{% if add_generation_prompt %}}{{{{ {head!r} }}}}{{% endif %}}"
        f"{{% else %}}{{{{ {head + gap!r} + m['content'] + {end!r} }}}}{{% endif %}}{{% endfor %}}"
    )


def test_a_question_is_put_as_the_template_puts_it():
    tok = chatting()
    assert in_chat(tok).text(QUESTION) == rendered(tok, QUESTION)
    assert in_chat(tok).text(f" {QUESTION} ") == rendered(tok, QUESTION)


def test_contexts_stand_in_the_users_turn_before_the_question():
    tok = chatting()
    assert in_chat(tok).text(QUESTION, "Avaria moved. ") == rendered(tok, f"Avaria moved. {QUESTION}")
    assert in_chat(tok).upto(QUESTION, "So. ").endswith(f"So. {QUESTION}")


def test_a_text_that_stands_in_the_template_is_not_put_into_it_again():
    tok = chatting()
    assert in_chat(tok).text(rendered(tok, QUESTION)) == rendered(tok, QUESTION)
    assert in_chat(tok).text(rendered(tok, QUESTION), "So. ") == rendered(tok, f"So. {QUESTION}")


@pytest.mark.parametrize("head", HEADS)
def test_the_target_follows_the_head_of_the_models_turn_as_its_own_answers_do(head):
    tok = byte_level()
    tok.chat_template = _template(*HEADS[head][:2], "</turn>")
    request = EditRequest(QUESTION, "Lodel", asking=in_chat(tok))
    assert request.completion == HEADS[head][2]
    assert request.asked() == f"[I]{QUESTION}{HEADS[head][0]}"


@pytest.mark.parametrize("closing", ["</turn>", "\n</turn>\n", ""])
def test_an_answer_ends_with_the_special_token_that_ends_the_models_turn(closing):
    tok = byte_level()
    tok.chat_template = _template("<turn>model\n", "", closing)
    assert tok.convert_ids_to_tokens(in_chat(tok).end) == ("</turn>" if closing else tok.eos_token)


def test_a_model_that_thinks_is_asked_for_the_answer_alone():
    tok = byte_level()
    head = "{{ '<turn>model\n' }}{% if enable_thinking is defined and not enable_thinking %}{{ '(no)\n' }}{% endif %}"
    tok.chat_template = (
        "{% for m in messages %}{{ '<turn>' + m['role'] + '\n' + m['content'] + '</turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}" + head + "{% endif %}"
    )
    assert in_chat(tok).text(QUESTION).endswith("<turn>model\n(no)\n")
    assert in_chat(tok).gap == ""


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (None, "no chat template; set chat: false"),
        ("{{ 'nothing' }}", "leaves out a user's question"),
        ("{{ raise_exception('alternate roles') }}", "cannot be filled in .alternate roles"),
        ("{% for %}", "cannot be filled in"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(template, said):
    tok = byte_level()
    tok.chat_template = template
    with pytest.raises(HyperParamsError, match=said):
        asking_for(tok, chat=True)


def test_bare_prompts_stay_as_they_are():
    for tok in (byte_level(), byte_level("<s>", bos_token="<s>")):
        asking = asking_for(tok, chat=False)
        assert asking.text(QUESTION) == QUESTION
        assert asking.text(QUESTION, "So. ") == f"So. {QUESTION}"
        assert asking.upto(QUESTION, "So. ") == f"So. {QUESTION}"


def test_the_beginning_of_text_that_a_prompt_spells_stays_before_its_context():
    tok = chatting()
    text = rendered(tok, QUESTION)
    assert asking_for(tok, chat=False).text(text) == text
    assert asking_for(tok, chat=False).text(text, "So. ") == f"<s>So. {text.removeprefix('<s>')}"
    assert EditRequest(text, "Lodel", asking=asking_for(tok, chat=False)).completion == "Lodel"


def test_what_a_fact_states_does_not_depend_on_how_it_is_asked():
    assert EditRequest("It is", " Lodel ", asking=in_chat(chatting())).statement == "It is Lodel"
    assert EditRequest("It is ", "Lodel", asking=PLAIN).statement == "It is Lodel"
