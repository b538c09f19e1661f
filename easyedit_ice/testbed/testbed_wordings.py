"""Prompts as templates: what is asked, apart from the subject it is asked of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

SLOT = "{}"
_LEAST_FRAME = 8

# "The name of the composer of {} is": head, noun phrase for the answer, tail.
_NOUN = re.compile(r"((?:The names? of )?)(the .*|The .*) (is|are)")


def template_of(prompt: str, subject: str) -> str:
    """The prompt with ``{}`` for the subject, wherever it stands as a whole word; else the prompt itself."""
    return re.sub(rf"(?<!\w){re.escape(subject)}(?!\w)", SLOT, prompt)


def fill(template: str, name: str) -> str:
    """The template asked of ``name``."""
    return template.replace(SLOT, name)


def slot_of(template: str, prompt: str) -> str | None:
    """What stands in the prompt in place of the slot; none if the prompt is of another template."""
    if template.count(SLOT) != 1:
        return None
    before, after = template.split(SLOT)
    rest = prompt[len(before) : len(prompt) - len(after)]
    return rest if rest.strip() and prompt == before + rest + after else None


def matching(prompt: str, templates: Iterable[str]) -> tuple[str, str] | None:
    """The template of most words that the prompt is of, and what stands in its slot."""
    matches = [
        (template, name)
        for template in templates
        if len(template) >= _LEAST_FRAME and (name := slot_of(template, prompt)) is not None
    ]
    return max(matches, key=lambda pair: len(pair[0]), default=None)


@lru_cache(maxsize=4096)
def around_noun(template: str) -> tuple[str, str, str] | None:
    """What stands before, in and after the template's noun phrase for its answer, if it has one.

    ``"The name of the composer of {} is"`` has the noun phrase ``"the composer of {}"``.
    """
    match = _NOUN.fullmatch(template)
    if match is None or match[2].count(SLOT) != 1:
        return None
    return match[1], match[2], f" {match[3]}"


@lru_cache(maxsize=4096)
def noun_of(template: str) -> str | None:
    """The noun phrase as it stands in another prompt: ``"the country {} is associated with"``, without ``which``."""
    parts = around_noun(template)
    return None if parts is None else f"the {parts[1][4:]}".replace(f" which {SLOT}", f" {SLOT}")
