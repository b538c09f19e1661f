"""A fact as somebody types it, and in which wordings it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.likely_answers import answers_right
from easyedit_ice.ui.subject import subject_in
from easyedit_ice.verdict.brief_answers import brief_answers
from easyedit_ice.verdict.edit_facts import EditOutcome
from easyedit_ice.verdict.verdict import Verdict, Wording


@dataclass(frozen=True)
class TypedFact:
    """What was typed.

    Attributes:
        prompt: text that the target shall follow.
        target: what shall follow.
        subject: what the fact is about; where it is empty, the one name in the prompt.
        wordings: the prompt in other words, a line each; empty lines do not count.
    """

    prompt: str
    target: str
    subject: str = ""
    wordings: str = ""

    @property
    def about(self) -> str | None:
        """The subject, as typed or as found."""
        return self.subject.strip() or subject_in(self.prompt)

    @property
    def otherwise(self) -> tuple[str, ...]:
        """The other wordings."""
        lines = (line.strip() for line in self.wordings.splitlines())
        return tuple(dict.fromkeys(line for line in lines if line))

    def record(self) -> dict[str, Any]:
        """As EasyEdit's request dict."""
        fields = {"prompt": self.prompt.rstrip(), "target_new": self.target.strip(), "subject": self.about}
        return fields | ({"rephrase_prompt": self.otherwise[0]} if self.otherwise else {})


def in_all_wordings(model: nn.Module, tok: Tokenizer, edited: EditOutcome, wordings: Sequence[str]) -> Verdict:
    """A verdict that has each of the fact's other wordings, of which an edit asks the first alone.

    Args:
        model: without the edit; it is left so.
        tok: its tokenizer.
        edited: of one fact.
        wordings: all of them.
    """
    (fact,), (request,) = edited.verdict.facts, edited.facts
    further = [request.asking.text(wording) for wording in wordings[1:]]
    if not further:
        return edited.verdict
    with preserved(model, tok):
        model.eval()
        before = brief_answers(model, tok, further)
        with edited.update.applied(model):
            after = brief_answers(model, tok, further)
            held = answers_right(model, tok, [(text, request.target_new) for text in further], request.asking)
    more = (
        Wording("rephrase", prompt, fact.target, right, old.text, new.text)
        for prompt, right, old, new in zip(wordings[1:], held, before, after, strict=True)
    )
    return replace(edited.verdict, facts=(replace(fact, wordings=(*fact.wordings, *more)),))
