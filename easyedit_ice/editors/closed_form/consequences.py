"""What else is said otherwise once a fact is known: tokens of texts that the model writes with it in its context.

In-context editing (Qi et al. 2024, arXiv 2406.11194) teaches a model to say without a context c what it says after one
that states the new fact. Of the texts x that it then writes, few tokens have to do with the fact; they are those that
the context makes likelier,

    gain_t = log p(x_t | c_new, x_<t) - max(log p(x_t | x_<t), log p(x_t | c_old, x_<t)).

c_old states the old answer in the same words: what any such context would bring about drops out. Where the old answer
is not known or not asked about (``contrast``), the gain is over p(x_t | x_<t) alone. Each token of a gain
becomes a small fact of its own: the text up to there, the token, and the log-odds that it has after c_new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from easyedit_ice.edit.hparams import Section, setting
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.closed_form.contrast import old_answers
from easyedit_ice.editors.closed_form.newton import Aim
from easyedit_ice.editors.gradient.contexts import check_templates, contexts
from easyedit_ice.editors.gradient.openings import ABOUT, Opening, continued, free, pair_of
from easyedit_ice.editors.gradient.wordings import followed_wordings
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.pulls import odds
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.rows import Row, in_parts, predict, prefix_ids
from easyedit_ice.text.sampling import sample
from easyedit_ice.text.tokens import ends_of_text


@dataclass
class ConsequenceSettings(Section):
    """Which texts are drawn, and what counts of them."""

    context_templates: list[str] | None = setting(
        None,
        "context statements, with {fact}, or {prompt} and {target}, in place of the fact; None for those that the "
        "model follows, measured once",
    )
    num_contexts: int = setting(5, "contexts of each fact", low=1)
    free_about: list[str] = setting(
        list(ABOUT), f"how free texts begin, in turn: with any of {', '.join(ABOUT)}; what follows a mention counts"
    )
    free_samples: int = setting(24, "free texts drawn for each fact", low=0)
    free_length: int = setting(16, "their most tokens", low=1)
    continuation_samples: int = setting(8, "texts drawn for each fact that go on from its statement", low=0)
    continuation_length: int = setting(8, "their most tokens", low=1)
    tokens_each: int = setting(3, "most tokens of a text that count", low=1)
    consequences_each: int = setting(32, "most tokens of all texts that count, for each fact", low=1)
    least_gain: float = setting(
        1.0, "by how much a context must raise a token's log-likelihood to count, in nats", low=0
    )
    contrast: bool = setting(
        True, "count what a context raises that states the new fact, and not what one does that states the old answer"
    )
    least_odds: float = setting(-3.0, "least log-odds after the context of a token that counts")
    most_odds: float = setting(3.0, "log-odds beyond which no consequence is raised")
    consequence_slack: float = setting(
        0.1, "how freely consequences may be missed, against what the cheapest change costs; facts have 0.001", above=0
    )

    def check(self) -> None:
        """Refuse texts about nothing, and templates that do not state a fact."""
        if not self.free_about or any(about not in ABOUT for about in self.free_about):
            raise HyperParamsError(f"free_about is {self.free_about}; expected some of {', '.join(ABOUT)}")
        if self.least_odds >= self.most_odds:
            raise HyperParamsError(
                f"least_odds is {self.least_odds} and most_odds {self.most_odds}; expected the first to be lower"
            )
        check_templates(self.context_templates)


@dataclass(frozen=True)
class _Said:
    """A text, as it is read after the new fact, after the old one, and alone; all predict the same tokens at the end.

    Attributes:
        fact: which it is of.
        new: after the new fact.
        old: after the old one; ``None`` where that is not known.
        alone: without a context.
    """

    fact: int
    new: Row
    old: Row | None
    alone: Row


def consequences(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], settings: ConsequenceSettings
) -> list[list[Aim]]:
    """Draw texts, and find what facts change in them.

    Args:
        model: in evaluation mode, as before the edit.
        tok: its tokenizer.
        requests: the facts.
        settings: of the texts.

    Returns:
        of each fact its consequences, of distinct texts.
    """
    texts = _texts(model, tok, requests, settings)
    found: list[dict[Row, float]] = [{} for _ in requests]
    for text, (gains, certainty) in zip(texts, _gains(model, texts, settings), strict=True):
        for place in gains.topk(min(settings.tokens_each, len(gains))).indices.tolist():
            if gains[place] >= settings.least_gain:
                found[text.fact].setdefault(replace(_up_to(text.alone, place), span=1), certainty[place].item())
    return [
        [
            Aim(row, min(value, settings.most_odds), settings.consequence_slack)
            for row, value in list(of_fact.items())[: settings.consequences_each]
        ]
        for of_fact in found
    ]


def _texts(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], settings: ConsequenceSettings
) -> list[_Said]:
    """What the model writes after statements of the facts."""
    wordings = settings.context_templates or followed_wordings(model, tok, requests[0].asking)
    answers = old_answers(model, tok, requests) if settings.contrast else [""] * len(requests)
    before = [replace(fact, target_new=old or fact.target_new) for fact, old in zip(requests, answers, strict=True)]
    new, old = (
        contexts(model, tok, facts, sources=["template"], templates=wordings, count=settings.num_contexts, seed=0)
        for facts in (requests, before)
    )
    about, after = settings.free_about, (settings.continuation_samples, settings.continuation_length)
    drawn = [
        *_drawn(
            model,
            tok,
            free(requests, new, about),
            free(requests, old, about),
            settings.free_samples,
            settings.free_length,
        ),
        *_drawn(model, tok, continued(requests, new), continued(requests, old), *after),
    ]
    return [text if answers[text.fact] else replace(text, old=None) for text in drawn]


def _drawn(
    model: nn.Module,
    tok: Tokenizer,
    new: Sequence[Sequence[Opening]],
    old: Sequence[Sequence[Opening]],
    samples: int,
    length: int,
) -> Iterator[_Said]:
    """Texts that go on from each fact's openings after the new fact, in turn, also as they are read after the old."""
    chosen = [
        (fact, (of_new[index % len(of_new)], of_old[index % len(of_old)]))
        for fact, (of_new, of_old) in enumerate(zip(new, old, strict=True))
        for index in range(samples)
    ]
    prefixes = [prefix_ids(tok, opening.taught) for _, (opening, _) in chosen]
    written = sample(model, tok, prefixes, length=length) if prefixes else []
    ends, longest = ends_of_text(model, tok), ModelAnatomy(model).context_length
    for (fact, openings), ids in zip(chosen, written, strict=True):
        after_new, after_old = (pair_of(tok, opening, ids, ends, longest) for opening in openings)
        if after_new is not None:
            yield _said(fact, after_new, after_old)


def _said(fact: int, new: tuple[Row, Row], old: tuple[Row, Row] | None) -> _Said:
    """A text with the tokens that all of its readings have in common."""
    taught, alone = new
    if old is None or old[1].ids != alone.ids:
        return _Said(fact, taught, None, alone)
    span = min(alone.span, old[0].span)
    return _Said(fact, *(Row(row.ids, span) for row in (taught, old[0], alone)))


def _gains(model: nn.Module, texts: Sequence[_Said], settings: ConsequenceSettings) -> Iterator[tuple[Tensor, Tensor]]:
    """The gain of each predicted token of some texts, and its log-odds after the new fact: (span,) each.

    After the old fact a text is read as far as tokens count that do so against the text alone, and else not at all.
    """
    found = _likelihoods(model, [row for text in texts for row in (text.new, text.alone)])
    both = [(new, new - alone) for new, alone in zip(found, found, strict=True)]
    certainties = [odds(-new) for new, _ in both]
    places = [
        ((gains >= settings.least_gain) & (certainty >= settings.least_odds)).nonzero()[:, 0].tolist()
        for (_, gains), certainty in zip(both, certainties, strict=True)
    ]
    read = [_up_to(text.old, at[-1]) if text.old and at else None for text, at in zip(texts, places, strict=True)]
    after_old = _likelihoods(model, [row for row in read if row])
    for (new, gains), certainty, row in zip(both, certainties, read, strict=True):
        if row:
            gains[: row.span] = gains[: row.span].minimum(new[: row.span] - next(after_old))
        gains[certainty < settings.least_odds] = -torch.inf
        yield gains, certainty


def _up_to(row: Row, place: int) -> Row:
    """A row that ends with one of its predicted tokens."""
    return Row(row.ids[: len(row.ids) - row.span + place + 1], place + 1)


@torch.no_grad()
def _likelihoods(model: nn.Module, rows: Sequence[Row]) -> Iterator[Tensor]:
    """Log-likelihoods of each row's predicted tokens, (span,) on the CPU."""
    for part in in_parts(model, rows):
        predictions = predict(model, part)
        found = predictions.log_probs.gather(1, predictions.tokens[:, None])[:, 0]
        yield from found.cpu().split(predictions.spans)
