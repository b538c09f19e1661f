"""The rows of tokens that EasyEdit's teacher-forced evaluation feeds to a model, and where it looks for the answers.

The unit is the group: the prompts and answers of one kind of probe of one record, which EasyEdit pads together. Its
``test_prediction_acc`` tokenises ``prompt + " " + answer`` as one text and the prompt alone for its length. It then
compares the predictions at ``[start - 1 : -1]`` of each *padded* row with the tokens at ``[start:]``, where ``start``
counts all padding tokens of the row and the other tokens of the prompt. With padding on the right, which the release
allows, the two slices therefore begin too late and reach into the padding.

Texts are tokenised as everywhere (:mod:`easyedit_ice.text.tokens`): just as EasyEdit does it, but for tokenizers that
append an end of text and for texts that spell their beginning, of which EasyEdit makes two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from easyedit_ice.errors import HyperParamsError, UnscorableProbeError
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.tokens import text_slice

HostKind = Literal["release", "head"]
Pair = tuple[str, str]
Cell = tuple[int, ...]
"""What one token gives to each input of the model, in the order of :attr:`HostRow.names`."""


@dataclass(frozen=True)
class HostRow:
    """One prompt with its answer, as EasyEdit pads it within its group.

    Attributes:
        names: the model's inputs, such as ``input_ids`` and ``attention_mask``.
        cells: the tokens of the text.
        padding: what stands for padding.
        left: how much padding comes before the text.
        right: how much comes after it.
        start: where EasyEdit takes the answer to begin in the padded row.
        prompt_length: tokens of the prompt alone.
    """

    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    padding: Cell
    left: int
    right: int
    start: int
    prompt_length: int

    @property
    def width(self) -> int:
        """Length of the padded row."""
        return self.left + len(self.cells) + self.right

    @property
    def padded(self) -> tuple[Cell, ...]:
        """The row as the model gets it."""
        return (self.padding,) * self.left + self.cells + (self.padding,) * self.right

    @property
    def places(self) -> range:
        """Where EasyEdit reads predictions in the padded row."""
        return range(self.start - 1, self.width - 1)

    @property
    def answer_places(self) -> range:
        """Where the tokens after the prompt's are in truth predicted, in the padded row."""
        end = self.left + len(self.cells)
        return range(min(self.left + max(self.prompt_length, 1), end) - 1, end - 1)

    def token(self, place: int) -> int:
        """The token at a place of the padded row."""
        inside = 0 <= place - self.left < len(self.cells)
        return (self.cells[place - self.left] if inside else self.padding)[self.names.index("input_ids")]

    @property
    def expected(self) -> tuple[int, ...]:
        """The tokens EasyEdit compares the predictions with."""
        return tuple(self.token(place + 1) for place in self.places)


def lay_out(
    tok: Tokenizer, groups: Sequence[Sequence[Pair]], *, max_length: int, host: HostKind, pad: int, gap: str = " "
) -> list[list[HostRow]]:
    """The rows of each group.

    Args:
        tok: its padding side counts on the release; head pads on the left whatever it is.
        groups: prompts with their answers.
        max_length: longest row in tokens; head takes more where a text of the group is longer.
        host: whose rules apply.
        pad: token that fills rows up.
        gap: what stands between a prompt and its answer; EasyEdit puts a space there.

    Raises:
        HyperParamsError: ``max_length`` is no positive number.
        UnscorableProbeError: EasyEdit fails on a group of such a form.
    """
    if not isinstance(max_length, int) or max_length < 1:
        raise HyperParamsError(f"max_length is {max_length!r}; set it to the most tokens of a prompt with its answer")
    side = tok.padding_side if host == "release" else "left"
    asked = [[(prompt, f"{prompt}{gap}{answer}") for prompt, answer in group] for group in groups]
    texts = dict.fromkeys(text for group in asked for pair in group for text in pair)
    encoded = dict(zip(texts, _encode(tok, list(texts)), strict=True))
    return [_group_rows(tok, group, encoded, max_length=max_length, host=host, side=side, pad=pad) for group in asked]


def _encode(tok: Tokenizer, texts: list[str], limit: int | None = None) -> list[dict[str, list[int]]]:
    if not texts:
        return []
    cut = {"truncation": True, "max_length": limit} if limit else {}
    columns = tok(texts, verbose=False, **cut)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    wanted = [text_slice(tok, row["input_ids"]) for row in rows]
    return [{name: values[places] for name, values in row.items()} for row, places in zip(rows, wanted, strict=True)]


def _group_rows(
    tok: Tokenizer,
    group: Sequence[Pair],
    encoded: dict[str, dict[str, list[int]]],
    *,
    max_length: int,
    host: HostKind,
    side: str,
    pad: int,
) -> list[HostRow]:
    """Rows of pairs of a prompt and the same with its answer."""
    if not group:
        raise UnscorableProbeError("a kind of probe holds no prompt; leave it out")
    limit = max_length
    if host == "head":
        limit = max(limit, 1 + max(len(encoded[whole]["input_ids"]) for _, whole in group))

    def within(text: str) -> dict[str, list[int]]:
        row = encoded[text]
        return row if len(row["input_ids"]) <= limit else _encode(tok, [text], limit)[0]

    rows = [(within(prompt), within(whole)) for prompt, whole in group]
    width = max(len(whole["input_ids"]) for _, whole in rows)
    laid_out = [_row(tok, prompt["input_ids"], whole, width=width, side=side, pad=pad) for prompt, whole in rows]
    for row, (prompt, _) in zip(laid_out, group, strict=True):
        if width == 1 or row.start == 0:
            raise UnscorableProbeError(f"{prompt!r} leaves no token before its answer; give a prompt")
    return laid_out


def _row(tok: Tokenizer, prompt: list[int], whole: dict[str, list[int]], *, width: int, side: str, pad: int) -> HostRow:
    names = tuple(whole)
    fill = {"input_ids": pad, "token_type_ids": tok.pad_token_type_id}
    padding = width - len(whole["input_ids"])
    in_prompt, in_text = (_count(ids, tok.pad_token_id) for ids in (prompt, whole["input_ids"]))
    return HostRow(
        names=names,
        cells=tuple(zip(*whole.values(), strict=True)),
        padding=tuple(fill.get(name, 0) for name in names),
        left=padding if side == "left" else 0,
        right=padding if side != "left" else 0,
        start=padding + in_text + len(prompt) - in_prompt,
        prompt_length=len(prompt),
    )


def _count(ids: list[int], token: int | None) -> int:
    return 0 if token is None else ids.count(token)
