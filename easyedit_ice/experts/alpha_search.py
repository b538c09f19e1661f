"""Alphas by a few questions with known answers (Transformer², Sun et al. 2025, arXiv 2501.06252: few-shot adaptation).

The whole population is asked side by side: each row of a batch has the alphas of one member. Shapes: n rows, K experts,
L projections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import torch
from torch import Tensor, nn

from easyedit_ice.errors import ExpertError
from easyedit_ice.evaluation.scores import normalized
from easyedit_ice.experts.cem import Found, Score, cross_entropy_method
from easyedit_ice.experts.expert import Expert
from easyedit_ice.experts.mixing import modules_of
from easyedit_ice.experts.rowwise import Beside
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import batches_alike
from easyedit_ice.text.rows import Row, answered, predict, prefix_ids
from easyedit_ice.text.sampling import write

SCORINGS = ("forced", "generated")
ROWS = 256
"""Most rows run side by side."""
LENGTH = 16
"""Most tokens of a written answer."""


@dataclass(frozen=True)
class Example:
    """A question with its answer.

    Attributes:
        prompt: text that the answer follows.
        answer: what should follow.
    """

    prompt: str
    answer: str


def search_alphas(
    model: nn.Module,
    tok: Tokenizer,
    experts: Sequence[Expert],
    examples: Sequence[Example],
    *,
    by_module: bool = False,
    scoring: str = "forced",
    iterations: int = 10,
    population: int = 32,
    elites: int = 6,
    seed: int = 0,
) -> Found:
    """Search alphas from 0 to 1 with which most examples are answered rightly; the model is left as it was.

    Between alphas that answer as many, those decide under which the answers are likelier. The search starts at 1 / K.

    Args:
        model: that the experts were trained on.
        tok: its tokenizer.
        experts: to mix.
        examples: that tell right from wrong; not those that the mixture is judged by afterwards.
        by_module: whether an expert has an α for each projection, (K, L), rather than one, (K,).
        scoring: ``"forced"``: an answer is right if each of its tokens is the likeliest; ``"generated"``: if the model
            writes it and stops.
        iterations: of the cross-entropy method.
        population: its members.
        elites: of these.
        seed: of what is drawn.

    Raises:
        ExpertError: there are no examples, or a setting is out of bounds.
    """
    if not examples:
        raise ExpertError("there are no examples to search by; give a few questions with their answers")
    if scoring not in SCORINGS:
        raise ExpertError(f"scoring is {scoring!r}; choose one of {', '.join(SCORINGS)}")
    shape = (len(experts), len(modules_of(experts))) if by_module else (len(experts),)
    settings = {"iterations": iterations, "population": population, "elites": elites, "seed": seed}
    with preserved(model, tok), torch.no_grad():
        model.eval()
        asked = _Asked(model, tok, experts, examples, scoring)
        return cross_entropy_method(asked.scores, torch.full(shape, 1 / len(experts)), **settings)


class _Asked:
    """Examples put to a model with other alphas for each row."""

    def __init__(
        self, model: nn.Module, tok: Tokenizer, experts: Sequence[Expert], examples: Sequence[Example], scoring: str
    ) -> None:
        self._model, self._tok, self._examples = model, tok, examples
        self._scoring = scoring
        self._modules = len(modules_of(experts))
        self._beside = Beside(model, experts)
        self._rows = [answered(tok, one.prompt, one.answer.strip()) for one in examples]

    def scores(self, members: Tensor) -> list[Score]:
        """Share of examples answered rightly, and the answers' mean log-likelihood, of each member."""
        alphas = members if members.ndim == 3 else members[..., None].expand(-1, -1, self._modules)
        pairs = [(member, example) for member in range(len(members)) for example in range(len(self._examples))]
        forced = self._forced(pairs, alphas)
        right = [hit for hit, _ in forced] if self._scoring == "forced" else self._written(pairs, alphas)
        count = len(self._examples)
        return [
            (mean(right[start : start + count]), mean(likelihood for _, likelihood in forced[start : start + count]))
            for start in range(0, len(pairs), count)
        ]

    def _forced(self, pairs: Sequence[tuple[int, int]], alphas: Tensor) -> list[tuple[bool, float]]:
        """Whether every token of an answer is the likeliest, and their mean log-likelihood."""
        by_index: dict[int, tuple[bool, float]] = {}
        for chunk in batches_alike([len(self._rows[example].ids) for _, example in pairs], ROWS):
            rows = [self._rows[pairs[index][1]] for index in chunk]
            with self._beside.using(alphas[[pairs[index][0] for index in chunk]]):
                by_index |= zip(chunk, _judged(self._model, rows), strict=True)
        return [by_index[index] for index in range(len(pairs))]

    def _written(self, pairs: Sequence[tuple[int, int]], alphas: Tensor) -> list[bool]:
        """Whether an answer is what the model writes."""
        prompts = [prefix_ids(self._tok, one.prompt) for one in self._examples]
        by_index: dict[int, bool] = {}
        for chunk in batches_alike([len(prompts[example]) for _, example in pairs], ROWS):
            with self._beside.using(alphas[[pairs[index][0] for index in chunk]]):
                texts = write(self._model, self._tok, [prompts[pairs[index][1]] for index in chunk], length=LENGTH)
            for index, tokens in zip(chunk, texts, strict=True):
                text = self._tok.decode(tokens, skip_special_tokens=True)
                by_index[index] = normalized(text) == normalized(self._examples[pairs[index][1]].answer)
        return [by_index[index] for index in range(len(pairs))]


def _judged(model: nn.Module, rows: Sequence[Row]) -> list[tuple[bool, float]]:
    predictions = predict(model, rows)
    right = (predictions.log_probs.argmax(-1) == predictions.tokens).split(predictions.spans)
    return [(tokens.all().item(), -nll) for tokens, nll in zip(right, predictions.nll().tolist(), strict=True)]
