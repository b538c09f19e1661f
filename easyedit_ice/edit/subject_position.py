"""Where in a text a subject ends, as a token."""

from __future__ import annotations

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import SubjectNotFoundError
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.subjects import last_mention
from easyedit_ice.text.tokens import text_slice, tokens


def last_token_of(tok: Tokenizer, text: str, subject: str, before: int | None = None) -> int:
    """Index, among the tokens of a text, of the one that ends the last mention of a subject.

    What is counted are :func:`~easyedit_ice.text.tokens.tokens` of the text, without padding; so the index is the same
    wherever a batch is padded once the padding before the text is added.

    Args:
        tok: a tokenizer.
        text: in which the subject occurs.
        subject: such as ``"Paris"``, searched as :func:`~easyedit_ice.text.subjects.mentions` does.
        before: only mentions that end before this character count.

    Raises:
        SubjectNotFoundError: it does not occur.
    """
    mention = last_mention(text[:before], subject)
    if mention is None:
        raise SubjectNotFoundError(f"the subject {subject!r} does not occur in {text!r}; spell it as the text does")
    end = mention[1]
    if not getattr(tok, "is_fast", False):
        return len(tokens(tok, text[:end])) - 1
    encoded = tok(text, return_offsets_mapping=True)
    offsets = encoded["offset_mapping"][text_slice(tok, encoded["input_ids"])]
    return max(index for index, (first, last) in enumerate(offsets) if first < end and first < last)


def subject_in(tok: Tokenizer, request: EditRequest, context: str = "") -> int:
    """Index of the token that ends a fact's subject, in the tokens of the fact as it is asked and answered.

    Args:
        tok: a tokenizer.
        request: the fact; it has a subject.
        context: text that it is stated after.

    Raises:
        SubjectNotFoundError: the subject does not occur in the prompt.
    """
    whole = request.asked(context) + request.completion
    return last_token_of(tok, whole, request.its_subject, before=len(request.asking.upto(request.prompt, context)))
