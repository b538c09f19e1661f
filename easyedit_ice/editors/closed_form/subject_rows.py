"""A fact as the closed-form editors read it: tokens, and where its subject ends in them.

What a model reads at the first token of a text is much the same whatever the token is, and several times as long as
elsewhere, so that an edit there moves every text, or writes nothing (Yang et al. 2024, arXiv 2406.11263, of ROME).
Tokenizers that begin no text with a token of their own put a subject of one token there, if a prompt begins with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.subject_position import last_token_of, subject_in
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.rows import encode
from easyedit_ice.text.tokens import tokens


@dataclass(frozen=True)
class FactRow:
    """A text about the subject.

    Attributes:
        ids: its tokens.
        at: index of the subject's last token, where the fact is looked up.
        span: how many of the last tokens are predicted; 0 to look at the prediction at the subject alone.
    """

    ids: tuple[int, ...]
    at: int
    span: int

    @property
    def before(self) -> tuple[int, ...]:
        """Tokens before the subject's last."""
        return self.ids[: self.at]

    @property
    def read(self) -> tuple[int, ...]:
        """Tokens from the subject's last on, but for the last that is predicted, which nothing follows."""
        return self.ids[self.at : -1] if self.span else self.ids[self.at : self.at + 1]

    @property
    def places(self) -> range:
        """Indices in :attr:`read` of the predictions."""
        return range(len(self.read) - max(self.span, 1), len(self.read))

    @property
    def predicted(self) -> tuple[int, ...]:
        """The tokens that are predicted there."""
        return self.ids[len(self.ids) - self.span :]


@dataclass(frozen=True)
class FactRows:
    """A fact in its contexts.

    Attributes:
        stated: prompt and target, first alone, then after each context that leaves room for them.
        essence: the subject alone, whose next word shall stay as it is.
        follows: whether it is looked up at the token after its subject, which is the first of the text.
    """

    stated: tuple[FactRow, ...]
    essence: FactRow
    follows: bool = False

    @property
    def all(self) -> tuple[FactRow, ...]:
        """All rows, the essence last."""
        return (*self.stated, self.essence)


def fact_rows(tok: Tokenizer, request: EditRequest, prefixes: Sequence[str], longest: int | None = None) -> FactRows:
    """Tokenise a fact after each prefix.

    Args:
        tok: a transformers tokenizer.
        request: the fact; it has a subject.
        prefixes: texts to state it after; the first is empty.
        longest: tokens that the model's context holds, ``None`` if unlimited. A prefix after which the fact would not
            fit is left out; the first stays.

    Raises:
        SubjectNotFoundError: the subject does not occur in the prompt.
    """
    text = request.asking.upto(f"{request.subject} is a")
    essence, at = tokens(tok, text), last_token_of(tok, text, request.its_subject, before=len(text) - len(" is a"))
    first, *others = (_stated(tok, request, prefix) for prefix in prefixes)
    fit = (row for row in others if longest is None or len(row.ids) <= longest)
    return FactRows((first, *fit), _up_to(essence, at))


def looked_up(
    tok: Tokenizer, request: EditRequest, prefixes: Sequence[str], longest: int | None = None
) -> tuple[FactRows, ...]:
    """A fact after each prefix, in the parts that are looked up at one kind of token, each with a value of its own.

    That is one, unless the subject is the first token of the text. Then the bare prompt is looked up at the second,
    which has read it, and the texts that follow a context at the subject.

    Args:
        tok: a transformers tokenizer.
        request: the fact; it has a subject.
        prefixes: texts to state it after; the first is empty.
        longest: tokens that the model's context holds, as in :func:`fact_rows`.

    Raises:
        SubjectNotFoundError: the subject does not occur in the prompt.
    """
    rows = fact_rows(tok, request, prefixes, longest)
    bare, *after = rows.stated
    if (place := place_in(bare)) == bare.at:
        return (rows,)
    parts = [FactRows((replace(bare, at=place),), _up_to(bare.ids, place), follows=True)]
    if after:
        parts.append(FactRows(tuple(after), _up_to(after[0].ids, after[0].at)))
    return tuple(parts)


def place_in(row: FactRow) -> int:
    """Index of the token at which a text is looked up: the subject's last, or the second where that is the first."""
    return 1 if row.at == 0 and len(row.ids) > row.span + 1 else row.at


def _up_to(ids: Sequence[int], at: int) -> FactRow:
    """A text that ends with a token, of which the next one is looked at."""
    return FactRow(tuple(ids[: at + 1]), at, 0)


def _stated(tok: Tokenizer, request: EditRequest, prefix: str) -> FactRow:
    text = request.asked(prefix)
    row = encode(tok, text, request.completion)
    at = subject_in(tok, request, prefix)
    return FactRow(row.ids, min(at, len(row.ids) - row.span - 1), row.span)
