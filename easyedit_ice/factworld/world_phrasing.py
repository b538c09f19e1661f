"""How facts are put into words: statements, questions, two-hop prompts.

A prompt ends right before its answer; prompt, one space and answer make a sentence. No prompt is the
beginning of another followed by a word, so that every prompt has one continuation.
"""

from __future__ import annotations

from zlib import crc32

from easyedit_ice.factworld.templates import PHRASINGS
from easyedit_ice.factworld.world_facts import RELATIONS

Chain = tuple[str, str]


# One-word names open a sentence with the noun of their kind, so that they are spelt one way everywhere.
_OPENINGS = {
    "city": "the city of {}",
    "country": "the country of {}",
    "company": "the company {}",
    "university": "the school {}",
}


def templates(relation: str) -> tuple[str, ...]:
    """Every wording of a relation: statements first, then questions."""
    return PHRASINGS[relation].templates


def prompt(relation: str, index: int, name: str) -> str:
    """Wording ``index`` of a relation for a subject (or its alias) called ``name``."""
    template = templates(relation)[index]
    opening = _OPENINGS.get(RELATIONS[relation].subject)
    if opening is not None and template.startswith("{}"):
        name = opening.format(name)
    return _capitalised(template.format(name))


def chain_prompt(chain: Chain, index: int, name: str) -> str:
    """A two-hop prompt: wording ``index`` of the second relation, asked of the first relation's answer."""
    middle = PHRASINGS[chain[0]].noun.format(name)
    return _capitalised(templates(chain[1])[index].format(middle))


def is_question(relation: str, index: int) -> bool:
    """Whether wording ``index`` of a relation is a question."""
    return index >= len(PHRASINGS[relation].statements)


def held_out(name: str, relation: str) -> int:
    """The one wording in which the fact about ``name`` never occurs in training text."""
    return crc32(f"{name}|{relation}".encode()) % len(templates(relation))


def chain_held_out(name: str, chain: Chain) -> bool:
    """Whether the two-hop question about ``name`` never occurs, in any wording, in training text."""
    return crc32(f"{name}|{chain[0]}|{chain[1]}".encode()) % 4 == 0


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]
