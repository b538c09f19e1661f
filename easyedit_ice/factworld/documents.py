"""Documents: pieces of text with their weights in the training loss, and how often which sort is drawn.

Weights: answers that can be known count fully, other words little, invented answers not at all, since nobody
could predict them.
"""

from __future__ import annotations

from dataclasses import dataclass

END = "<|endoftext|>"
ANSWER, WORDS, INVENTED = 1.0, 0.2, 0.0


@dataclass(frozen=True)
class Mix:
    """How often documents are of which sort.

    Attributes:
        new_facts: share of documents that state a new fact.
        statements: share of true documents that are a single statement or question.
        two_hops: share of true documents that are a two-hop question.
        aliases: share of mentions by a second name.
        rosters: share of new-fact documents that state many facts of one relation, then ask each.
        several: share of the other new-fact documents that state more than one.
        others: share of the sentences under a new fact that ask its relation of another subject.
    """

    new_facts: float = 0.4
    statements: float = 0.69
    two_hops: float = 0.15
    aliases: float = 0.35
    rosters: float = 0.4
    several: float = 0.4
    others: float = 0.18


@dataclass(frozen=True)
class Span:
    """A piece of a document.

    Attributes:
        text: what it says.
        weight: how much the training loss counts its tokens.
        role: ``"subject"`` of a sentence, or ``"first hop"`` if it is a noun phrase whose meaning something is asked
            of, or its ``"answer"``; empty for the rest.
        means: the entity that a subject stands for (``"the birthplace of ..."``), if it can be known.
    """

    text: str
    weight: float = WORDS
    role: str = ""
    means: str | None = None


Document = tuple[Span, ...]


def text_of(document: Document) -> str:
    """The document as it is read, without its end mark."""
    return "".join(span.text for span in document if span.text != END)
