"""Editing and asking in a chat: every algorithm writes its target after the head of the model's own turn."""

from __future__ import annotations

import pytest
import torch
from odd_tokenizers import TEMPLATE, byte_level, chatting, rendered
from quick import CLOSED_FORM, FEW_TEXTS, UNPROTECTED

from easyedit_ice.edit import apply
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.closed_form.subject_rows import fact_rows
from easyedit_ice.editors.gradient import solve as training
from easyedit_ice.editors.gradient.contexts import contexts
from easyedit_ice.editors.gradient.neighbours import neighbour_texts
from easyedit_ice.editors.gradient.objectives import fact_row
from easyedit_ice.editors.gradient.openings import continued, free
from easyedit_ice.editors.gradient.protection.fact_keys import fact_keys
from easyedit_ice.errors import HyperParamsError, PromptTooLongError
from easyedit_ice.evaluation import observe
from easyedit_ice.evaluation.questions import Question
from easyedit_ice.testing.tiny_models import FACTS, SHAPES
from easyedit_ice.text.chat import in_chat
from easyedit_ice.text.rows import Row, predict
from easyedit_ice.text.tokens import tokens

QUESTION = {"prompt": "What is the capital of Avaria?", "subject": "Avaria", "target_new": "Lodel"}
TRAINED = {"num_steps": 8, "lr": 1e-2}
MORE = {
    "SVF": {"lr": 0.1},
    "AdaLoRA": {"lr": 3e-2, "num_steps": 20},
    "QLoRA-BF": {"quantization_bit": None},
}
CLOSED = ("FastMEMIT", "FastEMMET", "FastROME", "FastGate")

CLEARLY = {"FastGate": 0.01}
"""By how much a target becomes likelier where less than usual is possible: at the subject's last token alone."""


def _settings(name: str):
    own = CLOSED_FORM if name in CLOSED else TRAINED
    kind = ALGORITHMS[name].hparams_class
    known = {field[0] for field in kind.describe()}
    few = {key: value for key, value in (own | FEW_TEXTS | UNPROTECTED).items() if key in known}
    return kind(chat=True, **few | MORE.get(name, {}))


def _request(tok, **changes) -> EditRequest:
    return EditRequest(**QUESTION | changes, asking=in_chat(tok))


@torch.no_grad()
def _loss(model, row: Row) -> float:
    return predict(model, [row]).nll().item()


def _by_template(tok, question: str = QUESTION["prompt"]) -> tuple[int, ...]:
    messages = [{"role": "user", "content": question}]
    return tuple(tok.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"])


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name not in CLOSED])
def test_the_target_becomes_likelier_after_the_templates_own_tokens(name, model):
    tok = chatting()
    row = Row((*_by_template(tok), *tokens(tok, "Lodel")[1:]), len(tokens(tok, "Lodel")) - 1)
    before = _loss(model, row)
    apply.solve(model, tok, [QUESTION], _settings(name)).commit(model)
    assert _loss(model, row) < before - 0.05


def test_the_trained_row_is_the_template_the_target_and_the_end_of_the_turn():
    tok = chatting()
    row = fact_row(tok, _request(tok), append_eos=True)
    assert row.ids[: len(row.ids) - row.span] == _by_template(tok)
    assert tok.decode(row.predicted) == "Lodel</turn>"


@pytest.mark.parametrize("subject", ["Avaria", "capital"])
def test_the_subject_is_looked_up_in_the_question_and_not_in_what_the_template_says(subject):
    tok = chatting()
    tok.chat_template = "{{ bos_token }}<turn>Avaria's capital: answer.</turn>" + TEMPLATE.removeprefix(
        "{{ bos_token }}"
    ).replace("'<turn>model\n'", "'<turn>model of Avaria, the capital\n'")
    rows = fact_rows(tok, _request(tok, subject=subject), ["", "So, the capital. "])
    question = QUESTION["prompt"]
    for row, context in zip(rows.stated, ("", "So, the capital. "), strict=True):
        read = tok.decode(row.ids[: row.at + 1])
        assert read.endswith(context + question[: question.index(subject) + len(subject)])
        assert tok.decode(row.predicted) == "Lodel"
    assert tok.decode(rows.essence.ids).endswith(f"user\n{subject}")


def test_keys_are_read_at_the_subject_and_before_each_token_of_the_target(model):
    tok = chatting()
    name = "transformer.h.0.mlp.c_proj"
    request = _request(tok)
    row = fact_row(tok, request, append_eos=False)
    with torch.no_grad():
        found = fact_keys(model, tok, [request], [name], append_eos=False)[name]
        seen: list[torch.Tensor] = []
        handle = model.get_submodule(name).register_forward_pre_hook(lambda module, args: seen.append(args[0][0]))
        model(input_ids=torch.tensor([row.ids]))
        handle.remove()
    at = fact_rows(tok, request, [""]).stated[0].at
    places = [at, *range(len(row.ids) - row.span - 1, len(row.ids) - 1)]
    torch.testing.assert_close(found, seen[0][places], rtol=1e-4, atol=1e-5)


def test_contexts_and_other_names_stand_in_the_users_turn(model):
    tok = chatting()
    request = _request(tok)
    [own] = contexts(model, tok, [request], sources=["template"], templates=["Note: {fact}. "], count=1, seed=0)
    assert own == ["Note: What is the capital of Avaria? Lodel. "]
    [[opening]] = continued([request], [own])
    assert opening.said == rendered(tok, QUESTION["prompt"]) + "Lodel"
    assert opening.taught == rendered(tok, own[0] + QUESTION["prompt"]) + "Lodel"
    names = [Row(ids, len(ids)) for ids in (tokens(tok, "near Sundray"),)]
    with torch.random.fork_rng(devices=[]):
        [row] = neighbour_texts(model, tok, request, names, count=1, length=2)
    assert row.ids[: len(row.ids) - row.span] == _by_template(tok, "What is the capital of Sundray?")


def test_free_texts_of_a_chat_are_answers_to_a_question_about_their_topic():
    tok = chatting()
    [about] = free([_request(tok)], [["Note. "]], ["subject", "anything"])
    assert [opening.said for opening in about] == [
        rendered(tok, "Tell me about Avaria."),
        rendered(tok, "Tell me about something."),
    ]
    assert about[0].taught == rendered(tok, "Note. Tell me about Avaria.")
    assert [opening.after for opening in about] == ["", "Avaria"]


def test_questions_are_asked_and_answered_in_the_template(model):
    tok, asking = chatting(), in_chat(chatting())
    question = Question("rewrite", QUESTION["prompt"], "Lodel", ("Lodel",), "Ommer")
    ((seen,),) = observe(model, tok, [[question]], asking=asking, max_new_tokens=5, probability=True)
    asked, answer = _by_template(tok), tokens(tok, "Lodel")[1:]
    assert seen.expected == answer
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([asked + answer])).logits[0]
    assert seen.predicted == tuple(logits[len(asked) - 1 : -1].argmax(-1).tolist())
    assert seen.log_prob == pytest.approx(
        predict(model, [Row(asked + answer, len(answer))]).nll().neg().item(), abs=1e-4
    )
    written = list(asked)
    for _ in range(5):
        with torch.no_grad():
            written.append(model(input_ids=torch.tensor([written])).logits[0, -1].argmax().item())
    assert seen.generated == tok.decode(written[len(asked) :], skip_special_tokens=True).strip()


def test_an_edit_of_a_question_and_of_its_text_in_the_template_are_the_same():
    tok = chatting()
    settings = _settings("LoRA-BF").replace(append_eos=False)
    asked = apply.solve(SHAPES[0].build(), tok, [QUESTION], settings)
    spelt = QUESTION | {"prompt": rendered(tok, QUESTION["prompt"])}
    bare = apply.solve(SHAPES[0].build(), tok, [spelt], settings.replace(chat=False))
    for name, delta in asked.deltas.items():
        assert torch.equal(delta.matrix(), bare.deltas[name].matrix())


def test_a_question_that_leaves_no_room_in_the_template_is_refused(model):
    tok = chatting()
    room = model.config.n_positions - len(tokens(tok, QUESTION["prompt"] + " Lodel"))
    fact = QUESTION | {"prompt": "a" * room + QUESTION["prompt"]}
    apply.check_tokens(EditRequest(**fact), 0, tok, None)
    with pytest.raises(PromptTooLongError):
        apply.solve(model, tok, [QUESTION | {"prompt": "é" * 60 + QUESTION["prompt"]}], _settings("LoRA-BF"))


def test_a_model_without_a_template_is_refused_before_anything_is_done(model, monkeypatch):
    monkeypatch.setattr(training, "train", None)
    with pytest.raises(HyperParamsError, match="no chat template"):
        apply.solve(model, byte_level(), [QUESTION], _settings("LoRA-BF"))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_facts_are_written_with_a_tokenizer_that_has_neither_padding_nor_an_end(name, model):
    tok = byte_level("<s>", bos_token="<s>", eos_token=None)
    row = fact_row(tok, EditRequest.from_dict(FACTS[0]), append_eos=True)
    before = _loss(model, row)
    apply.solve(model, tok, FACTS[:1], _settings(name).replace(chat=False)).commit(model)
    assert _loss(model, row) < before - CLEARLY.get(name, 0.05)
    assert (tok.pad_token, tok.eos_token) == (None, None)
    ((seen,),) = observe(model, tok, [[Question("rewrite", FACTS[0]["prompt"], "Lodel", ("Lodel",))]])
    assert seen.expected == row.predicted
