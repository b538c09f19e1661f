"""A model that answers with its experts, each row with its own."""

from __future__ import annotations

import pytest
import torch
from made_experts import BF16, FP32, PROMPTS, expert, logits

from easyedit_ice.errors import ExpertError
from easyedit_ice.evaluation import Question, observe
from easyedit_ice.experts import FixedAlphas, LabelDispatcher, Wording, composed, mixed
from easyedit_ice.model.logits import logits_at
from easyedit_ice.testing.tiny_models import tokenizer
from easyedit_ice.text.rows import encode, predict
from easyedit_ice.text.sampling import write

EACH = pytest.mark.parametrize("shape", FP32, ids=lambda shape: shape.name)
MIXTURES = torch.tensor([[[1.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 0.5]], [[0.0, 0.0], [0.0, 0.0]]])
"""Of each prompt: the first expert, some of the second, and the base."""


class ByPrompt:
    """Gives each of the prompts its mixture, and remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def alphas(self, model, tok, experts, prompts):
        self.seen += prompts
        return torch.stack([MIXTURES[PROMPTS.index(prompt)] for prompt in prompts])


class Fails:
    """A dispatcher that fails."""

    def alphas(self, model, tok, experts, prompts):
        raise RuntimeError("no idea")


def made(shape):
    model = shape.build()
    return model, tokenizer(), [expert(model, "one", 1), expert(model, "two", 2)]


def committed(model, experts, alphas, ask):
    """What is answered with a mixture in the weights."""
    update = mixed(experts, alphas, model)
    update.commit(model)
    try:
        return ask()
    finally:
        update.revert(model)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("shape", [*FP32, *BF16], ids=lambda shape: shape.name)
def test_each_row_answers_as_with_its_own_mixture_committed(shape, side):
    model, tok, experts = made(shape)
    with composed(model, tok, experts, ByPrompt()):
        found = logits(model, tok, PROMPTS, side)
    near = {"atol": 1e-4, "rtol": 1e-4} if shape.dtype == torch.float32 else {"atol": 0.05, "rtol": 0.05}
    for row, alphas in enumerate(MIXTURES):
        expected = committed(model, experts, alphas, lambda: logits(model, tok, PROMPTS, side))
        torch.testing.assert_close(found[row], expected[row], **near)
    assert not torch.allclose(found[0], logits(model, tok, PROMPTS, side)[0], atol=1e-2)


@EACH
def test_rows_of_the_base_have_the_very_bits_of_the_base(shape):
    model, tok, experts = made(shape)
    base = logits(model, tok, PROMPTS)
    with composed(model, tok, experts, ByPrompt()):
        assert torch.equal(logits(model, tok, PROMPTS)[2], base[2])


@EACH
def test_writing_goes_on_with_each_rows_own_mixture(shape):
    model, tok, experts = made(shape)
    prefixes = [tok.encode(prompt) for prompt in PROMPTS]
    dispatcher = ByPrompt()
    with composed(model, tok, experts, dispatcher) as answering:
        found = write(model, tok, prefixes, length=6)
    for row, alphas in enumerate(MIXTURES):
        expected = committed(
            model, experts, alphas, lambda row=row: write(model, tok, prefixes[row : row + 1], length=6)
        )
        assert found[row] == expected[0]
    assert dispatcher.seen == PROMPTS
    assert answering.seconds.first > 0 and answering.seconds.second > 0


def test_beams_of_a_text_share_its_mixture():
    model, tok, experts = made(FP32[1])
    ids = torch.tensor([tok.encode(PROMPTS[0])])
    settings = {"num_beams": 3, "max_new_tokens": 4, "do_sample": False, "attention_mask": torch.ones_like(ids)}
    with composed(model, tok, experts, ByPrompt()):
        found = model.generate(ids, **settings)
    expected = committed(model, experts, MIXTURES[0], lambda: model.generate(ids, **settings))
    assert torch.equal(found, expected)


def test_two_texts_written_in_turns_keep_their_mixtures():
    model, tok, experts = made(FP32[0])
    first, second = (torch.tensor([tok.encode(prompt)]) for prompt in PROMPTS[:2])
    token = torch.tensor([[7]])

    def ask():
        with torch.no_grad():
            one, two = (model(input_ids=ids, use_cache=True).past_key_values for ids in (first, second))
            return [model(input_ids=token, past_key_values=cache).logits[0, 0] for cache in (one, two)]

    with composed(model, tok, experts, ByPrompt()):
        found = ask()
    for row in (0, 1):
        expected = committed(model, experts, MIXTURES[row], ask)[row]
        torch.testing.assert_close(found[row], expected, atol=1e-4, rtol=1e-4)


@EACH
def test_detaching_brings_back_the_very_model(shape):
    model, tok, experts = made(shape)
    before = logits(model, tok, PROMPTS)
    modules = {name: dict(vars(module)) for name, module in model.named_modules()}
    hooks = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())
    answering = composed(model, tok, experts, ByPrompt())
    logits(model, tok, PROMPTS)
    answering.detach()
    answering.detach()
    assert all(torch.equal(*pair) for pair in zip(logits(model, tok, PROMPTS), before, strict=True))
    assert sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()) == hooks
    assert {name: set(vars(module)) for name, module in model.named_modules()} == {
        name: set(own) for name, own in modules.items()
    }


def test_a_failing_dispatcher_leaves_a_model_that_answers_again():
    model, tok, experts = made(FP32[0])
    before = logits(model, tok, PROMPTS)
    with pytest.raises(RuntimeError, match="no idea"), composed(model, tok, experts, Fails()):
        logits(model, tok, PROMPTS)
    assert all(torch.equal(*pair) for pair in zip(logits(model, tok, PROMPTS), before, strict=True))


def test_the_dispatcher_asks_the_base_and_not_itself():
    model, tok, experts = made(FP32[0])
    dispatcher = LabelDispatcher(Wording(template="{question}:"))
    expected = dispatcher.alphas(model, tok, experts, PROMPTS)
    with composed(model, tok, experts, dispatcher) as answering:
        logits(model, tok, PROMPTS)
        assert torch.equal(answering.alphas, expected)


def test_whoever_narrows_the_logits_gets_those_of_the_second_pass():
    model, tok, experts = made(FP32[0])
    alphas = LabelDispatcher(Wording(template="{question}:"), alpha=1.0)
    inputs = tok(PROMPTS, return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False)
    with composed(model, tok, experts, alphas), torch.no_grad():
        whole = model(**inputs).logits
        narrowed = logits_at(model, inputs, [(0, 2), (2, 1)])
    torch.testing.assert_close(narrowed, torch.stack([whole[0, 2], whole[2, 1]]), atol=1e-5, rtol=1e-5)


def test_rows_with_answers_are_decided_by_their_whole_text_unless_prompts_are_given():
    model, tok, experts = made(FP32[0])
    rows = [encode(tok, prompt, " baker") for prompt in PROMPTS]
    seen = []

    class Sees(FixedAlphas):
        def alphas(self, model, tok, experts, prompts):
            seen.append(sorted(prompts))
            return super().alphas(model, tok, experts, prompts)

    with composed(model, tok, experts, Sees([1.0, 0.0])) as answering, torch.no_grad():
        model(input_ids=torch.tensor([rows[1].ids]))
        with answering.deciding_on([*PROMPTS, "Mira"]):
            model(input_ids=torch.tensor([rows[1].ids]))
            model(input_ids=torch.tensor([tok.encode("Otto Venn")]))
        predict(model, rows[1:2])
    assert seen[0] == ["Mira Tolven works as a baker"]
    assert seen[1] == [PROMPTS[1]]
    assert seen[2] == ["Otto Venn"]
    assert seen[3][0].startswith(PROMPTS[1])


def test_the_evaluators_questions_are_answered_as_with_the_mixture_committed():
    model, tok, experts = made(FP32[0])
    asked = [[Question("rewrite", prompt, "baker Lodel", ())] for prompt in PROMPTS]
    dispatcher = ByPrompt()
    with composed(model, tok, experts, dispatcher) as answering, answering.deciding_on(PROMPTS):
        found = observe(model, tok, asked, max_new_tokens=5)
    assert set(dispatcher.seen) == set(PROMPTS)
    for row, alphas in enumerate(MIXTURES):
        expected = committed(model, experts, alphas, lambda: observe(model, tok, asked, max_new_tokens=5))
        assert found[row] == expected[row]


def test_a_model_answers_with_one_set_of_experts_at_a_time():
    model, tok, experts = made(FP32[0])
    with composed(model, tok, experts, ByPrompt()), pytest.raises(ExpertError, match="with experts already"):
        composed(model, tok, experts, ByPrompt())
    composed(model, tok, experts, ByPrompt()).detach()


def test_a_text_begun_without_the_experts_is_not_gone_on_with():
    model, tok, experts = made(FP32[0])
    ids = torch.tensor([tok.encode(PROMPTS[0])])
    with torch.no_grad():
        cache = model(input_ids=ids, use_cache=True).past_key_values
    with composed(model, tok, experts, ByPrompt()), pytest.raises(ExpertError, match="begun without these experts"):
        model(input_ids=ids[:, -1:], past_key_values=cache)


def test_a_call_without_tokens_is_refused():
    model, tok, experts = made(FP32[0])
    with composed(model, tok, experts, ByPrompt()), pytest.raises(ExpertError, match="call it with input_ids"):
        model(inputs_embeds=torch.zeros(1, 3, 32))


def test_experts_of_another_model_are_refused_and_nothing_is_attached():
    _, tok, experts = made(FP32[0])
    other = FP32[0].build()
    with torch.no_grad():
        other.transformer.h[0].mlp.c_proj.weight.mul_(1.01)
    before = logits(other, tok, PROMPTS)
    with pytest.raises(ExpertError, match="was trained on weights"):
        composed(other, tok, experts, ByPrompt())
    assert all(torch.equal(*pair) for pair in zip(logits(other, tok, PROMPTS), before, strict=True))
    with composed(other, tok, [expert(other, "own")], FixedAlphas([0.0])):
        pass
