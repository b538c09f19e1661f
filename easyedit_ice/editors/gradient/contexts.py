"""Statements of a new fact that go before a question, so that the model answers as if it knew the fact."""

from __future__ import annotations

import random
from collections.abc import Sequence

from torch import nn

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.untrusted import fields_of
from easyedit_ice.text.rows import prefix_ids
from easyedit_ice.text.sampling import sample

SOURCES = ("template", "record", "model")
TEMPLATES = (
    "{fact}. ",
    "New fact: {fact}. ",
    "Imagine that {fact}. ",
    "Remember this fact: {fact}. ",
    "Consider this new knowledge: {fact}. ",
    "It is now true that {fact}. ",
)


def contexts(
    model: nn.Module,
    tok: Tokenizer,
    requests: Sequence[EditRequest],
    *,
    sources: Sequence[str],
    templates: Sequence[str],
    count: int,
    seed: int,
) -> list[list[str]]:
    """Contexts for each fact, each ending where the question goes on.

    Args:
        model: writes the contexts of the source ``"model"``.
        tok: its tokenizer.
        requests: the facts.
        sources: any of ``"template"`` (the fact in a template's words), ``"record"`` (the record's own
            ``context``; facts without one fall back to templates) and ``"model"`` (what the model writes after a
            template).
        templates: texts with ``{fact}``, or with ``{prompt}`` and ``{target}``.
        count: how many for each fact, shared evenly among the sources.
        seed: chooses the templates.
    """
    choice = random.Random(seed)
    per_source = [count // len(sources) + (index < count % len(sources)) for index in range(len(sources))]
    result: list[list[str]] = [[] for _ in requests]
    for source, wanted in zip(sources, per_source, strict=True):
        for of_fact, request in zip(result, requests, strict=True):
            stated = [filled(template, request) for template in _draw(choice, templates, wanted)]
            if source == "record" and request.context:
                stated = [_ended(statement) for statement in _draw(choice, request.context, wanted)]
            of_fact.extend(stated)
        if source == "model" and wanted:
            _let_model_restate(model, tok, result, wanted)
    return result


def _draw(choice: random.Random, options: Sequence[str], count: int) -> list[str]:
    """``count`` options in random order, each used once before any is used again."""
    drawn: list[str] = []
    while len(drawn) < count:
        drawn += choice.sample(list(options), len(options))
    return drawn[:count]


def filled(template: str, request: EditRequest) -> str:
    """A template that states the fact."""
    return template.format(fact=request.statement, prompt=request.prompt, target=request.target_new.strip())


def _ended(statement: str) -> str:
    return statement if statement[-1].isspace() else f"{statement} "


def _let_model_restate(model: nn.Module, tok: Tokenizer, statements: list[list[str]], count: int) -> None:
    """Append to the last ``count`` contexts of each fact a sentence of the model's own."""
    places = [(of_fact, index) for of_fact in statements for index in range(len(of_fact) - count, len(of_fact))]
    prefixes = [prefix_ids(tok, of_fact[index]) for of_fact, index in places]
    for (of_fact, index), ids in zip(places, sample(model, tok, prefixes, length=24), strict=True):
        written = tok.decode(ids, skip_special_tokens=True)
        sentence, stop, _ = written.partition(".")
        if sentence.strip() and stop:
            of_fact[index] = f"{of_fact[index].rstrip()}{sentence}. "


def check_templates(templates: Sequence[str] | None) -> None:
    """Refuse templates that do not state a fact.

    Raises:
        HyperParamsError: one has other names in braces than ``{fact}``, ``{prompt}`` and ``{target}``, or neither the
            first nor the last; or there is none.
    """
    for template in templates or ():
        _check_template(template)
    if templates is not None and not templates:
        raise HyperParamsError("context_templates is empty; give at least one template with {fact}")


def _check_template(template: str) -> None:
    try:
        names = fields_of(template)
    except ValueError as error:
        raise HyperParamsError(f"the context template {template!r} has braces that name nothing ({error})") from error
    if names - {"fact", "prompt", "target"} or not names & {"fact", "target"}:
        raise HyperParamsError(
            f"the context template {template!r} must state the fact; put {{fact}} into it, "
            "or {prompt} and {target}, and nothing else in braces"
        )
