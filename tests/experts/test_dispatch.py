"""Which expert answers a prompt, and when none does."""

from __future__ import annotations

import pytest
import torch
from made_experts import FP32, PROMPTS, expert

from easyedit_ice.errors import ExpertError
from easyedit_ice.experts import FixedAlphas, LabelDispatcher, Wording
from easyedit_ice.testing.tiny_models import tokenizer

LABELS = Wording(template="{question} ({labels}):")


@pytest.fixture(scope="module")
def model():
    return FP32[0].build()


@pytest.fixture(scope="module")
def experts(model):
    return [expert(model, "one", 1), expert(model, "two", 2)]


class Likelihoods(LabelDispatcher):
    """A dispatcher to which a model says what each prompt spells out."""

    def likelihoods(self, model, tok, experts, prompts):
        return torch.tensor([[float(number) for number in prompt.split()] for prompt in prompts])


def test_the_likeliest_label_wins():
    assert Likelihoods().choose(None, None, [0, 1], ["-1 -2 -3", "-2 -1 -3"]) == [0, 1]


def test_the_other_label_means_the_base(model, experts):
    prompts = ["-1 -2 -3", "-3 -3 -1", "-2 -1 -3", "-9 -8 -1"]
    found = Likelihoods().alphas(model, None, experts, prompts)
    assert Likelihoods().choose(model, None, experts, prompts) == [0, None, 1, None]
    assert found[:, :, 0].tolist() == [[1, 0], [0, 0], [0, 1], [0, 0]]


def test_a_lead_below_the_margin_means_the_base():
    dispatcher = Likelihoods(margin=0.5)
    assert dispatcher.choose(None, None, [0, 1], ["-1 -1.4 -3", "-1 -1.6 -3", "-1 -3 -1.2"]) == [None, 0, None]


def test_a_likelihood_that_is_no_number_means_the_base():
    assert Likelihoods().choose(None, None, [0, 1], ["nan nan nan"]) == [None]


def test_the_base_model_finds_labels_by_their_mean_log_likelihood(model, experts):
    tok = tokenizer()
    found = LabelDispatcher(LABELS).likelihoods(model, tok, experts, PROMPTS)
    assert found.shape == (3, 3)
    text = f"{PROMPTS[1]} (one, two, other):"
    whole = torch.tensor([tok.encode(f"{text} other")])
    start = len(tok.encode(text))
    with torch.no_grad():
        log_probs = model(input_ids=whole).logits[0].log_softmax(-1)
    tokens = whole[0, start:]
    expected = log_probs[start - 1 : -1].gather(1, tokens[:, None]).mean()
    torch.testing.assert_close(found[1, 2], expected, atol=1e-4, rtol=1e-4)


def test_a_classifier_is_active_in_the_first_pass_alone(model, experts):
    tok, classifier = tokenizer(), expert(model, "classifier", 9)
    with torch.no_grad():
        before = model(input_ids=torch.tensor([[1, 2, 3]])).logits
    plain = LabelDispatcher(LABELS).likelihoods(model, tok, experts, PROMPTS)
    guided = LabelDispatcher(LABELS, classifier=classifier).likelihoods(model, tok, experts, PROMPTS)
    committed = classifier.update(model)
    committed.commit(model)
    within = LabelDispatcher(LABELS).likelihoods(model, tok, experts, PROMPTS)
    committed.revert(model)
    torch.testing.assert_close(guided, within, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(guided, plain)
    with torch.no_grad():
        assert torch.equal(model(input_ids=torch.tensor([[1, 2, 3]])).logits, before)


def test_fixed_alphas_are_those_of_every_prompt(model, experts):
    found = FixedAlphas({"two": 0.5}).alphas(model, None, experts, PROMPTS)
    assert found.tolist() == [[[0, 0], [0.5, 0.5]]] * 3


def test_experts_are_described_and_labelled_in_the_question(experts):
    wording = Wording(
        labels={"one": "work"}, descriptions={"two": "rivers"}, template="{question} {labels}", other="no"
    )
    assert wording.choices(experts) == ["work", "two", "no"]
    assert wording.asked(experts, "What?") == "What? work, rivers, no"


@pytest.mark.parametrize(
    ("wording", "why"),
    [
        ({"labels": {"three": "x"}}, "no expert three to label; there are one, two"),
        ({"labels": {"one": "two"}}, "expected different ones"),
        ({"other": "one"}, "expected different ones"),
        ({"labels": {"one": " "}}, "none of them blank"),
    ],
)
def test_labels_that_do_not_tell_experts_apart_are_refused(experts, wording, why):
    with pytest.raises(ExpertError, match=why):
        Wording(**wording).choices(experts)


@pytest.mark.parametrize("template", ["no question", "{question} {answer}", "{question"])
def test_templates_that_cannot_be_filled_in_are_refused(template):
    with pytest.raises(ExpertError, match="the template"):
        Wording(template=template)


def test_a_question_longer_than_the_context_is_refused(model, experts):
    with pytest.raises(ExpertError, match=r"takes \d+ tokens, but the model's context is 128"):
        LabelDispatcher(LABELS).choose(model, tokenizer(), experts, ["Avaria " * 200])
