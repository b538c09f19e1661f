"""Methods that put the fact before the question."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from quick_methods import EXAMPLES, FACTS

from easyedit_ice import factworld
from easyedit_ice.bench.methods import make_method
from easyedit_ice.easyedit.locate import PACKAGE
from easyedit_ice.errors import HyperParamsError


def test_the_prompt_baseline_states_each_fact_before_its_own_questions(method: Callable) -> None:
    contexts = method("Prompt").apply(FACTS[:2], 0).contexts
    fact = FACTS[1]
    assert contexts[1]("Who is it?") == f"{fact['prompt']} {fact['target_new']}. Who is it?"


def test_the_wording_of_the_prompt_baseline_can_be_set(method: Callable) -> None:
    made = method("Prompt", template="Of {subject}: {prompt} {target_new}!\n{question}")
    fact = FACTS[0] | {"target_new": "{odd}"}
    asked = made.apply([fact], 0).contexts[0]("Q {x}")
    assert asked == f"Of {fact['subject']}: {fact['prompt']} {{odd}}!\nQ {{x}}"


@pytest.mark.parametrize("template", ["{prompt} {target_new}", "{question}: {prompt}", "{who} {question}", "{question"])
def test_a_wording_that_does_not_end_with_the_question_is_refused(template: str, method: Callable) -> None:
    with pytest.raises(HyperParamsError, match="must end with"):
        method("Prompt", template=template)


def test_ike_asks_what_easyedits_evaluation_of_ike_asks(method: Callable) -> None:
    made = method("IKE")
    edited = made.apply([FACTS[0]], 0)
    asked = []
    evaluate = import_module(f"{PACKAGE}.evaluate.evaluate")

    def noting(texts: Any, **options: Any) -> Any:
        asked.append(texts)
        return made.tok(texts, **options)

    request = FACTS[0] | {"locality": {}, "portability": {}}
    demonstrations = made._context.args[0].demonstrations(FACTS[0])
    evaluate.compute_icl_edit_quality(
        made.model, "gpt2", made.hparams, noting, demonstrations, request, made.hparams.device
    )
    assert f"{edited.contexts[0](request['prompt'])} {request['target_new']}" in asked
    assert f"{edited.contexts[0](request['rephrase_prompt'])} {request['target_new']}" in asked


def test_ike_shows_what_is_likest_to_the_fact(method: Callable) -> None:
    made = method("IKE", k=1)
    example = EXAMPLES[3]
    shown = made._context.args[0].demonstrations(example)[0]
    assert f"New Fact: {example['prompt']} {example['target_new']}\n" in shown


def test_ike_refuses_to_show_more_than_there_is(method: Callable) -> None:
    with pytest.raises(HyperParamsError, match="lower k"):
        make_method("IKE", model=factworld.load(), settings={"k": 16}, examples=EXAMPLES[:2])


def test_methods_that_change_weights_ask_the_question_alone(method: Callable) -> None:
    assert method("FT").apply([FACTS[0]], 0).contexts[0]("Who?") == "Who?"


def test_contexts_leave_the_model_alone(method: Callable) -> None:
    made = method("Prompt")
    edited = made.apply([FACTS[0]], 0)
    assert edited.model is made.model
    assert not edited.originals
