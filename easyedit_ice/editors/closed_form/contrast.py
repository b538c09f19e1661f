"""What knowing a new fact adds to a block's output: the difference that two contexts make.

A model reads a fact's prompt and target after a context that states the new fact, and after one that states the old
answer in the same words. Both contexts are as long and as strange to the prompt as each other; what differs in the
block's output h, at each token before one of the target's, is what the model has taken from the new fact:

    r = mean over wordings of h(c_new, prompt, target) - h(c_old, prompt, target)

It goes with the key k that the block's projection reads at the same token without any context. Only wordings count
after which the model states the target.

Shapes: n tokens before those of targets, one fact's after the other's; in and d, the widths of what the projection
reads and of the residual stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.model.blocks import stream_width
from easyedit_ice.model.capture import Side
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import batches_that_fit, tokens_on
from easyedit_ice.text.likely_answers import rows_right
from easyedit_ice.text.reading import TOKENS, at_places
from easyedit_ice.text.rows import Row, encode, prefix_ids
from easyedit_ice.text.sampling import write

ANSWER = 6
"""Most tokens of an old answer that the model writes."""
_ENDS = "\n.,;:!?("
"""What ends it."""


@dataclass(frozen=True)
class Taught:
    """A fact as it is read without context, and after contexts.

    Attributes:
        alone: prompt and target.
        pairs: of each wording that the model's context has room for, the same after the new fact and after the old.
    """

    alone: Row
    pairs: tuple[tuple[Row, Row], ...]


@dataclass(frozen=True)
class Contrast:
    """What is to be written.

    Attributes:
        keys: (n, in) in fp32.
        residuals: (n, d) in fp32.
        spans: tokens of each fact; they sum to n.
        followed: of each fact, whether the model states the target after any wording.
    """

    keys: Tensor
    residuals: Tensor
    spans: tuple[int, ...]
    followed: tuple[bool, ...]


def old_answers(model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest]) -> list[str]:
    """What each prompt is followed by before the edit: as the record has it, or else as the model writes it.

    A record's answer that spells nothing but special tokens, as EasyEdit fills in where there is none, does not count.
    """
    told = [_plain(tok, request.ground_truth or "") for request in requests]
    missing = [index for index, answer in enumerate(told) if not answer.strip()]
    prompts = [prefix_ids(tok, requests[index].asked()) for index in missing]
    written = write(model, tok, prompts, length=ANSWER) if missing else []
    spoken = {
        index: _first(tok.decode(ids, skip_special_tokens=True)) for index, ids in zip(missing, written, strict=True)
    }
    return [spoken[i] if i in spoken else (request.ground_truth or "").strip() for i, request in enumerate(requests)]


def _plain(tok: Tokenizer, answer: str) -> str:
    """An answer; nothing where it spells special tokens alone."""
    return answer if tok.decode(tok.encode(answer), skip_special_tokens=True).strip() else ""


def _first(text: str) -> str:
    """The beginning of what a model writes, up to what ends an answer."""
    answer = text.strip()
    return answer[: next((place for place, letter in enumerate(answer) if letter in _ENDS and place), None)].strip()


def taught(
    tok: Tokenizer,
    request: EditRequest,
    old: str,
    wordings: Sequence[str],
    fill: Callable[[str, EditRequest], str],
    longest: int | None = None,
) -> Taught:
    """Tokenise a fact and its contexts.

    Args:
        tok: a transformers tokenizer.
        request: the fact.
        old: what follows its prompt before the edit; empty if nothing does.
        wordings: templates of contexts.
        fill: states a fact in a template's words.
        longest: tokens that the model's context holds, ``None`` if unlimited.
    """
    alone = encode(tok, request.asked(), request.completion)
    before = replace(request, target_new=old)
    pairs = []
    for wording in wordings if old else ():
        new, other = (
            alone.after(prefix_ids(tok, request.asked(fill(wording, stated)))) for stated in (request, before)
        )
        if longest is None or max(len(new.ids), len(other.ids)) <= longest:
            pairs.append((new, other))
    return Taught(alone, tuple(pairs))


def contrast(
    model: nn.Module, facts: Sequence[Taught], projection: str, block: str, together: int | None = None
) -> Contrast:
    """What contexts add to a block's output for each fact.

    Of a fact whose target the model states after no wording, residuals are the mean over all wordings, and 0 if there
    is none.

    Args:
        model: in evaluation mode.
        facts: as they are read.
        projection: path of the projection that is to write it.
        block: path of its block.
        together: most tokens read side by side; ``None`` for what suits the device.
    """
    keys = read(model, [fact.alone for fact in facts], projection, "in", together)
    right = iter(rows_right(model, [new for fact in facts for new, _ in fact.pairs]))
    pairs, followed = [], []
    for fact in facts:
        follows = [next(right) for _ in fact.pairs]
        followed.append(any(follows))
        pairs.append(
            [pair for pair, follows_it in zip(fact.pairs, follows, strict=True) if follows_it or not followed[-1]]
        )
    residuals = _mean_differences(model, pairs, [fact.alone.span for fact in facts], block, together)
    return Contrast(keys, residuals, tuple(fact.alone.span for fact in facts), tuple(followed))


def _mean_differences(
    model: nn.Module,
    pairs: Sequence[Sequence[tuple[Row, Row]]],
    spans: Sequence[int],
    block: str,
    together: int | None,
) -> Tensor:
    """Of what a block returns for the first and the second of each fact's pairs: (n, d).

    Facts are read so many tokens at a time, and of what is read only the means are kept.
    """
    most = together or tokens_on(embedding_weight(model).device, TOKENS)
    facts = list(zip(pairs, spans, strict=True))
    parts = batches_that_fit(facts, lambda part: sum(len(row.ids) for row in _rows(part)) <= most)
    means = [mean for part in parts for mean in _means(model, part, block, together)]
    return torch.cat([mean.to(means[0].device) for mean in means])


_Fact = tuple[Sequence[tuple[Row, Row]], int]
"""Pairs of a fact, and its span."""


def _rows(facts: Sequence[_Fact]) -> list[Row]:
    return [row for pairs, _ in facts for pair in pairs for row in pair]


def _means(model: nn.Module, facts: Sequence[_Fact], block: str, together: int | None) -> Iterator[Tensor]:
    """Each fact's mean difference, (span, d); 0 without pairs."""
    rows = _rows(facts)
    states = iter(read(model, rows, block, "out", together).split([row.span for row in rows]) if rows else ())
    for pairs, span in facts:
        differences = [next(states) - next(states) for _ in pairs]
        yield torch.stack(differences).mean(0) if differences else torch.zeros(span, stream_width(model))


def read(model: nn.Module, rows: Sequence[Row], module: str, side: Side, together: int | None = None) -> Tensor:
    """What a module reads or writes at each token before a predicted one: (t, d) in fp32."""
    return at_places(model, [row.ids[:-1] for row in rows], [places_of(row) for row in rows], module, side, together)


def places_of(row: Row) -> range:
    """Where a row's predicted tokens are predicted."""
    return range(len(row.ids) - row.span - 1, len(row.ids) - 1)
