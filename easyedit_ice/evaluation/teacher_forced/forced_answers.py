"""What a model predicts under teacher forcing, in EasyEdit's rows: the very tokens it gets, many rows at a time."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from easyedit_ice.evaluation.teacher_forced.batch_forms import exact_logits, form_for
from easyedit_ice.evaluation.teacher_forced.host_rows import HostKind, HostRow, Pair, lay_out
from easyedit_ice.evaluation.teacher_forced.readings import Reading, mean_log_prob, read
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.tokens import padding_id

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Forced:
    """A model's teacher-forced answer to one prompt.

    Attributes:
        expected: the tokens EasyEdit expects.
        predicted: the likeliest token at the place of each, as EasyEdit reads them.
        log_prob: mean log-probability of the tokens after the prompt's, in nats per token, up to rounding; ``nan``
            where there are none.
    """

    expected: tuple[int, ...]
    predicted: tuple[int, ...]
    log_prob: float

    @property
    def token_accuracy(self) -> float:
        """Share of the expected tokens that were predicted; ``nan`` if there is none."""
        if not self.expected:
            return math.nan
        return sum(map(int.__eq__, self.expected, self.predicted)) / len(self.expected)


@dataclass(frozen=True)
class Outcome:
    """Answers, and how they were found.

    Attributes:
        answers: of each row of each group.
        settled: indices of the groups that were run again, just as EasyEdit runs them.
    """

    answers: list[list[Forced]]
    settled: frozenset[int]


def forced(
    model: nn.Module,
    tok: Tokenizer,
    groups: Sequence[Sequence[Pair]],
    *,
    max_length: int,
    host: HostKind,
    gap: str = " ",
) -> list[list[Forced]]:
    """Ask a model under teacher forcing; it is left as it was.

    The tokens are those that EasyEdit gets from one call for each group. Rows of all groups run side by side, equal
    ones once; where rounding could decide between two tokens, the group is run again just as EasyEdit runs it.

    Args:
        model: a causal language model, in evaluation mode while it is asked.
        tok: its tokenizer.
        groups: (prompt, answer) pairs of one kind of probe of one record, which EasyEdit pads together.
        max_length: as in EasyEdit's hyperparameters, in tokens.
        host: whose rules apply.
        gap: what stands between a prompt and its answer; EasyEdit puts a space there.

    Raises:
        UnscorableProbeError: EasyEdit fails on a group of such a form.
        HyperParamsError: ``max_length`` is no positive number.
    """
    rows = lay_out(tok, groups, max_length=max_length, host=host, pad=padding_id(model, tok), gap=gap)
    return ask(model, rows).answers


def ask(model: nn.Module, groups: Sequence[Sequence[HostRow]]) -> Outcome:
    """Answers to rows that are laid out already; the arguments and the result are those of :func:`forced`."""
    if not groups:
        return Outcome([], frozenset())
    with preserved(model), torch.no_grad():
        model.eval()
        form = form_for(model, groups)
        if form is None:
            return Outcome([_run_exactly(model, group) for group in groups], frozenset(range(len(groups))))
        lines = [[form.line(row) for row in group] for group in groups]
        readings = iter(read(model, form.names, form.filler, [line for group in lines for line in group]))
        answers, settled = [], set()
        for index, group in enumerate(groups):
            of_group = [next(readings) for _ in group]
            if all(reading.lead > form.doubt for row in of_group for reading in row.values()):
                answers.append(
                    [_answer(row, by_place, form.shift(row)) for row, by_place in zip(group, of_group, strict=True)]
                )
            else:
                answers.append(_run_exactly(model, group))
                settled.add(index)
    logger.debug("%d of %d groups were run as EasyEdit runs them", len(settled), len(groups))
    return Outcome(answers, frozenset(settled))


def _answer(row: HostRow, by_place: dict[int, Reading], shift: int) -> Forced:
    """What was read in a line that lacks the first ``shift`` cells of the row."""
    tokens = tuple(by_place[place - shift].token for place in row.places)
    return Forced(row.expected, tokens, mean_log_prob(by_place[place - shift] for place in row.answer_places))


def _run_exactly(model: nn.Module, group: Sequence[HostRow]) -> list[Forced]:
    logits = exact_logits(model, group)
    answers = []
    for row, of_row, likeliest in zip(group, logits, logits.argmax(-1).tolist(), strict=True):
        places = torch.tensor(row.answer_places, dtype=torch.long)
        asked = torch.tensor([row.token(place + 1) for place in row.answer_places], dtype=torch.long)
        log_probs = of_row[places].float().log_softmax(-1)[torch.arange(len(places)), asked]
        answers.append(Forced(row.expected, tuple(likeliest[place] for place in row.places), log_probs.mean().item()))
    return answers
