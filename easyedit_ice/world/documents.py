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
        several: share of new-fact documents that state more than one.
        rivals: whether these are of one relation, so that only the subject tells them apart.
        others: share of the sentences under a new fact that ask its relation of another subject.
        rosters: share of new-fact documents that state many facts of one relation, then ask each.
    """

    new_facts: float = 0.17
    statements: float = 0.60
    two_hops: float = 0.26
    aliases: float = 0.3
    several: float = 0.15
    rivals: bool = False
    others: float = 0.14
    rosters: float = 0.0


@dataclass(frozen=True)
class Span:
    """A piece of a document.

    Attributes:
        text: what it says.
        weight: how much the training loss counts its tokens.
        means: the entity that the piece's last words stand for (``"the birthplace of ..."``), if any.
    """

    text: str
    weight: float = WORDS
    means: str | None = None


Document = tuple[Span, ...]


def text_of(document: Document) -> str:
    """The document as it is read, without its end mark."""
    return "".join(span.text for span in document if span.text != END)
