"""How the texts of in-context editing begin, for a teacher that reads a context and a student that does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.chat import Asking
from easyedit_ice.text.rows import Row
from easyedit_ice.text.subjects import mentions
from easyedit_ice.text.tokens import tokens

ABOUT = ("subject", "target", "anything")


@dataclass(frozen=True)
class Opening:
    """How a text begins that the model then goes on with.

    Attributes:
        taught: what the teacher reads: a context, and what the student reads.
        said: what the student reads.
        after: the text counts only after the first mention of this; empty to count all of it.
    """

    taught: str
    said: str
    after: str = ""


def continued(requests: Sequence[EditRequest], contexts: Sequence[Sequence[str]]) -> list[list[Opening]]:
    """The fact's own sentence, to go on with: the paper's continuation."""
    return [
        [
            Opening(request.asked(context) + request.completion, request.asked() + request.completion)
            for context in texts
        ]
        for request, texts in zip(requests, contexts, strict=True)
    ]


def free(
    requests: Sequence[EditRequest], contexts: Sequence[Sequence[str]], about: Sequence[str]
) -> list[list[Opening]]:
    """Free texts: about the subject, about the target, or about anything that leads to the subject.

    In a chat the model is asked to tell about them.
    """
    openings = []
    for request, texts in zip(requests, contexts, strict=True):
        subject, target = request.subject or request.prompt, request.target_new.strip()
        begins = {"subject": (subject, ""), "target": (target, ""), "anything": ("", subject)}
        openings.append([_opening(request.asking, context, *begins[kind]) for context in texts for kind in about])
    return openings


def _opening(asking: Asking, context: str, topic: str, after: str) -> Opening:
    """A text that the model goes on with, or its answer to a question about a topic."""
    said = f"Tell me about {topic or 'something'}." if asking.after else topic
    return Opening(asking.text(said, context), asking.text(said), after)


def pair_of(
    tok: Tokenizer, opening: Opening, text: Sequence[int], ends: Sequence[int], longest: int | None
) -> tuple[Row, Row] | None:
    """The teacher's row and the student's, predicting what the two have in common of the text.

    A tokenizer may cut the first tokens of the text differently where no context precedes them; those are given. It may
    make more tokens of the whole than were drawn; what the model's context has no room for is left off.
    """
    end = tuple(text[-1:]) if text[-1:] and text[-1] in ends else ()
    written = tok.decode(text[: len(text) - len(end)])
    if not opening.said or opening.taught[-1:].isspace():
        written = written.lstrip()
    teacher = (*tokens(tok, opening.taught + written), *end)
    student = (*tokens(tok, opening.said + written), *end)
    counted = _counted(tok, opening, written, len(student), len(text))
    span = min(_common_ending(teacher, student), counted, len(student) - 1)
    beyond = 0 if longest is None else max(len(teacher) - 1 - longest, 0)
    if span <= beyond:
        return None
    taught, learnt = (Row(ids[: len(ids) - beyond], span - beyond) for ids in (teacher, student))
    return taught, learnt


def _counted(tok: Tokenizer, opening: Opening, written: str, total: int, drawn: int) -> int:
    """How many of the student's last tokens count."""
    if not opening.after:
        return drawn
    places = mentions(written, opening.after)
    return total - len(tokens(tok, opening.said + written[: places[0][1]])) if places else 0


def _common_ending(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = zip(reversed(one), reversed(other), strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
