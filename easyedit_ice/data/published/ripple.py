"""RippleEdits (arXiv 2307.12976): six kinds of consequences.

An edit is published as a sentence (``The name of the mother of Ada Brook is Eva.``) and identifiers of Wikidata. So
the answer is looked up among those of the record's own queries, by its identifier, and the subject is what the edit's
prompt has in common with the other prompts about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from easyedit_ice.data.form import Form, Raw, dig

LOCALITY = ("Relation_Specificity", "Relation_Specifity", "Forgetfulness")
"""Kinds that must not change; the first is spelled in both ways."""
PORTABILITY = ("Logical_Generalization", "Subject_Aliasing", "Compositionality_I", "Compositionality_II")
_BEFORE = re.compile(r"^|(?:\bof|\bwhich|\bin|\bby|\baward|\bchildren)\s+")
_AFTER = re.compile(
    r"\s+(?:(?:is associated with|is a member of|plays in|is part of|is the capital of|won|has)\s+)?(?:is|are)$"
    r"|\s+(?:follows|is followed by)$"
)


def _facts(raw: Raw) -> Sequence[Raw]:
    """The record with the edit's prompt, answers and subject as texts of their own."""
    edit = raw.get("edit")
    if not isinstance(edit, Mapping):
        return (raw,)
    new = _answer(raw, edit)
    prompt = None if new is None else _without(edit.get("prompt"), new)
    old = _rest(dig(edit, ("previous_fact", "prompt")), prompt)
    fact = {"prompt": prompt, "target_new": new, "ground_truth": old, "subject": _subject(raw, edit, prompt)}
    return ({**raw, "fact": fact, "relation": edit.get("relation")},)


def _queries(raw: Raw) -> Iterator[Mapping[str, Any]]:
    """All test queries of a record."""
    for kind in (*PORTABILITY, *LOCALITY):
        tests = raw.get(kind)
        for test in tests if isinstance(tests, list) else ():
            asked = dig(test, ("test_queries",))
            yield from (query for query in (asked if isinstance(asked, list) else ()) if isinstance(query, Mapping))


def _answer(raw: Raw, edit: Mapping[str, Any]) -> str | None:
    """The new answer: that of a query with its identifier, with which the edit's sentence ends."""
    for query in _queries(raw):
        targets, answers = query.get("target_ids"), query.get("answers")
        if isinstance(targets, list) and isinstance(answers, list) and edit.get("target_id") in targets:
            for answer in answers:
                value = dig(answer, ("value",))
                if isinstance(value, str) and value.strip() and _without(edit.get("prompt"), value):
                    return value
    return _told_apart(edit)


def _told_apart(edit: Mapping[str, Any]) -> str | None:
    """The new answer where no query has it: what follows the verb that both sentences share."""
    new, old = edit.get("prompt"), dig(edit, ("previous_fact", "prompt"))
    if not isinstance(new, str) or not isinstance(old, str):
        return None
    shared = next((i for i, (a, b) in enumerate(zip(new, old, strict=False)) if a != b), min(len(new), len(old)))
    verb = max((new.rfind(f" {word} ", 0, shared) + len(word) + 2, word) for word in ("is", "are", "by", "follows"))
    rest = new[verb[0] :].strip().removesuffix(".")
    return rest if new.rfind(f" {verb[1]} ", 0, shared) >= 0 and rest else None


def _without(sentence: Any, answer: str) -> str | None:
    """The sentence before its answer; none where it does not end with that."""
    if not isinstance(sentence, str):
        return None
    text = sentence.strip().removesuffix(".")
    answer = answer.strip().removesuffix(".")
    return text[: -len(answer)].rstrip() or None if text.endswith(f" {answer}") else None


def _rest(sentence: Any, prompt: str | None) -> str | None:
    """What follows the prompt in another sentence that begins with it."""
    if not isinstance(sentence, str) or prompt is None or not sentence.startswith(f"{prompt} "):
        return None
    return sentence[len(prompt) :].strip().removesuffix(".") or None


def _subject(raw: Raw, edit: Mapping[str, Any], prompt: str | None) -> str | None:
    """The longest part of the prompt that could be its subject, and that stands in all others about the same."""
    if prompt is None or not edit.get("subject_id"):
        return None
    others = [
        query["prompt"]
        for query in _queries(raw)
        if query.get("subject_id") == edit["subject_id"]
        and query.get("relation") != edit.get("relation")
        and query.get("query_type") == "regular"
        and isinstance(query.get("prompt"), str)
    ]
    end = _AFTER.search(prompt)
    parts = [prompt[begin.end() : end.start()] for begin in _BEFORE.finditer(prompt) if end] if end else []
    return next((part for part in parts if part and others and all(part in other for other in others)), None)


def _probes(raw: Raw) -> dict[str, Any]:
    return {"locality": _kinds(raw, LOCALITY), "portability": _kinds(raw, PORTABILITY)}


def _kinds(raw: Raw, names: Sequence[str]) -> dict[str, Any]:
    return {name.replace("Specifity", "Specificity"): _asked(raw[name]) for name in names if raw.get(name) is not None}


def _asked(tests: Any) -> Any:
    """Probes of a kind's tests; what is no list is left for the checks."""
    if not isinstance(tests, list):
        return tests
    return [_probe(query) for test in tests for query in (dig(test, ("test_queries",)) or [test])]


def _probe(query: Any) -> Any:
    answers = dig(query, ("answers",))
    if not isinstance(answers, list):
        return query
    return {"prompt": query.get("prompt"), "ground_truth": [_aliases(answer) for answer in answers]}


def _aliases(answer: Any) -> Any:
    if not isinstance(answer, Mapping):
        return answer
    aliases = answer.get("aliases")
    return [answer.get("value"), *(aliases if isinstance(aliases, list) else [])]


RIPPLE = Form(
    name="rippleedits",
    marks=frozenset({"example_type", "edit", *PORTABILITY}),
    fields={name: ("fact", name) for name in ("subject", "prompt", "target_new", "ground_truth")}
    | {"rephrase_prompt": ("rephrase_prompt",)},
    probes=_probes,
    facts=_facts,
)
