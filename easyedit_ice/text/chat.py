"""How a prompt is put to a model: as it is, or in the user's turn of a chat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.tokens import opening

_QUESTION, _ANSWER = "xqx", "xax"


@dataclass(frozen=True)
class Asking:
    """What stands around a prompt and before its answer. The default is the bare text.

    Attributes:
        before: text before what the user says.
        after: text between what the user says and the answer.
        gap: what stands before the answer; ``None`` for a space, unless the text ends in white space.
        end: the token that ends an answer; ``None`` for the tokenizer's end of text.
        opening: the tokenizer's beginning of text; a prompt that spells it keeps it before any context.
    """

    before: str = ""
    after: str = ""
    gap: str | None = None
    end: int | None = None
    opening: str = ""

    def text(self, prompt: str, context: str = "") -> str:
        """The text that an answer follows.

        Args:
            prompt: a question, or a text to complete; one that stands in the chat template already is not put into it
                again.
            context: what is said before it, within the same turn.
        """
        return self.upto(prompt, context) + self.after

    def upto(self, prompt: str, context: str = "") -> str:
        """The same up to the end of the prompt."""
        begins = self.before or self.opening
        question = prompt.removeprefix(begins).removesuffix(self.after)
        if self.before:
            return self.before + (context + question).strip()
        return (begins if question != prompt else "") + context + question

    def gap_after(self, text: str) -> str:
        """What stands between a text and its answer."""
        return ("" if text[-1:].isspace() else " ") if self.gap is None else self.gap


PLAIN = Asking()
"""The bare text."""


def asking_for(tok: Tokenizer, chat: bool) -> Asking:
    """How prompts are put to the model of a tokenizer.

    Args:
        tok: its tokenizer.
        chat: in the user's turn of its chat template, rather than as they are.

    Raises:
        HyperParamsError: the tokenizer has no chat template, or one that a question and an answer cannot be put into.
    """
    return in_chat(tok) if chat else Asking(opening=opening(tok))


def in_chat(tok: Tokenizer, earlier: tuple[str, str] | None = None) -> Asking:
    """A question as the user's turn, and the answer as the model's, by the tokenizer's template.

    Templates that let a model think are asked for an answer without it. What a template puts before the answer, and
    the token by which the model's turn ends, are read from a turn that the template itself writes.

    Args:
        tok: a tokenizer.
        earlier: what the user and the model say before that; none if the question is the first turn.

    Raises:
        HyperParamsError: as for :func:`asking_for`.
    """
    if not getattr(tok, "chat_template", None):
        raise HyperParamsError(
            "chat is true, but the tokenizer has no chat template; set chat: false for a base model, or give the "
            "tokenizer its model's template (tok.chat_template)"
        )
    user, model = {"role": "user", "content": _QUESTION}, {"role": "assistant", "content": _ANSWER}
    said = [{"role": role, "content": text} for role, text in zip(("user", "assistant"), earlier or (), strict=False)]
    before, asked, after = _rendered(tok, [*said, user], add_generation_prompt=True).partition(_QUESTION)
    answered = _rendered(tok, [*said, user, model]).partition(_QUESTION)[2]
    head, told, closing = answered.partition(_ANSWER)
    if not asked or not told or not after:
        raise HyperParamsError(
            "chat is true, but the tokenizer's chat template leaves out a user's question or a model's answer; set "
            "chat: false, or mend tok.chat_template"
        )
    gap = head.removeprefix(after) if head.startswith(after) else ""
    return Asking(before, after, gap if gap.isspace() else "", _end_in(tok, closing))


def _rendered(tok: Tokenizer, messages: list[dict[str, str]], **options: Any) -> str:
    from jinja2 import TemplateError

    try:
        text: str = tok.apply_chat_template(messages, tokenize=False, enable_thinking=False, **options)
        return text
    except (TemplateError, ValueError, TypeError) as error:
        raise HyperParamsError(
            f"chat is true, but the tokenizer's chat template cannot be filled in ({error}); set chat: false, or mend "
            "tok.chat_template"
        ) from error


def _end_in(tok: Tokenizer, closing: str) -> int | None:
    """The first special token of what ends a turn; the tokenizer's end of text if there is none."""
    special = {*tok.all_special_ids, *tok.get_added_vocab().values()}
    ids = tok.encode(closing, add_special_tokens=False)
    end: int | None = next((token for token in ids if token in special), tok.eos_token_id)
    return end
