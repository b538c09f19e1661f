"""Asking a model everything that a run measures."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

from torch import nn

from easyedit_ice.bench.asking.fact_answers import Answers
from easyedit_ice.bench.asking.facts import Fact
from easyedit_ice.bench.asking.kept_answers import KeptAnswers
from easyedit_ice.bench.config import EvaluationConfig
from easyedit_ice.bench.storage.finite_lines import with_nulls
from easyedit_ice.bench.storage.line import OLD, ROUNDING, TOLD, Line, RestOfModel
from easyedit_ice.easyedit.scoring import easyedit_qualities
from easyedit_ice.errors import DataError
from easyedit_ice.evaluation import Context, Drift, Observation, observe
from easyedit_ice.evaluation.fluency import fluency
from easyedit_ice.evaluation.judging import Case, Judge
from easyedit_ice.evaluation.probes import ProbeAnswer, Prober, chosen, told
from easyedit_ice.evaluation.rounding_floor import barely_changed, packed_projection
from easyedit_ice.evaluation.side_effects import Rest
from easyedit_ice.factworld import general_text
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.chat import PLAIN, Asking

_TEXT_SEED = 2 * 10**6
_MOST_TEXTS = 10**6
LEAST_WORDS = 8
"""Words of a line of a file that counts as a text."""


class Examiner:
    """Asks models about facts, always in the same way.

    Args:
        config: what to ask.
        tok: the model's tokenizer.
        hparams: settings of the method, which EasyEdit's own evaluator looks into.
        seed: of sampled text.
        drift: what was said of fixed text before; none if drift is not measured.
        rest: known facts and text to ask about after edits; none if there is nothing of either.
        asking: how questions are put to the model.
        judge: reads what the model writes; none if nobody does.
        kept: what the unedited model has said before; none where that depends on more than the model and the facts.

    Raises:
        HyperParamsError: a dialogue is asked for, and the tokenizer's chat template cannot hold one.
    """

    def __init__(
        self,
        config: EvaluationConfig,
        tok: Tokenizer,
        hparams: Any,
        seed: int,
        drift: Drift | None = None,
        rest: Rest | None = None,
        asking: Asking = PLAIN,
        judge: Judge | None = None,
        kept: KeptAnswers | None = None,
    ) -> None:
        self._judge = judge
        self._kept = kept
        self._config = config
        self._tok = tok
        self._hparams = hparams
        self._seed = seed
        self._drift = drift
        self._rest = rest
        self._asking = asking
        self._prober = Prober(chosen(config.probes), tok, asking) if config.probes else None

    def ask_unedited(self, model: nn.Module, facts: Sequence[Fact]) -> list[Answers]:
        """What a model says of each fact before any edit, and whether it can answer the probes at all."""
        if self._kept is None:
            return self._ask_unedited(model, facts)
        return self._kept.of(facts, lambda: self._ask_unedited(model, facts))

    def ask(
        self, model: nn.Module, facts: Sequence[Fact], contexts: Sequence[Context | None] | None = None
    ) -> list[Answers]:
        """What a model says of each fact.

        Args:
            model: a causal language model, or a wrapper that is called like one.
            facts: any number, also none.
            contexts: for each fact what is put before its questions.
        """
        started, config = time.perf_counter(), self._config
        contexts = contexts or [None] * len(facts)
        observations = observe(
            model,
            self._tok,
            [fact.asked for fact in facts],
            contexts=contexts,
            asking=self._asking,
            max_length=config.max_length,
            max_new_tokens=config.max_new_tokens if config.generate else 0,
            probability=config.probability,
        )
        fluencies: Sequence[float | None] = [None] * len(facts)
        if config.fluency:
            prompts = [
                self._asking.text(_in_context(fact, context)) for fact, context in zip(facts, contexts, strict=True)
            ]
            fluencies = fluency(model, self._tok, prompts, seed=self._seed)
        qualities = self._qualities(model, facts)
        probed: Sequence[tuple[ProbeAnswer, ...]] = [()] * len(facts)
        if self._prober is not None:
            probed = self._prober.ask(model, [fact.claim for fact in facts], contexts)
        judged = self._judged(facts, observations)
        seconds = (time.perf_counter() - started) / max(1, len(facts))
        return [
            Answers(readings, entropy, quality, seconds, config.answers, hard, judged=said)
            for readings, entropy, quality, hard, said in zip(
                observations, fluencies, qualities, probed, judged, strict=True
            )
        ]

    def drift(self, model: nn.Module, position: int, step: int, contexts: Sequence[Context] = ()) -> list[Line]:
        """The line of how a model has moved where no edit was meant to, or none if nothing of it is measured.

        Args:
            model: as it is after ``step`` facts.
            position: of the first fact of the last edit.
            step: how many facts are in force.
            contexts: of these facts, where they stand before the question.
        """
        measured: dict[str, Any] = {}
        if self._drift is not None:
            point = self._drift.point(model)
            measured = {"perplexity": point.perplexity, "kl": point.kl}
        measured |= self.rest_of(model, contexts)
        line = {"phase": "drift", "position": position, "step": step, **measured}
        return [with_nulls(cast(Line, line))] if measured else []

    def rounding_floor(self, model: nn.Module) -> list[Line]:
        """The same of the unedited model after a change that means nothing, where its weights are packed.

        What is measured after edits can be told from rounding only beyond that.
        """
        projection = packed_projection(model)
        if projection is None:
            return []
        with barely_changed(projection):
            return [{**line, "phase": ROUNDING} for line in self.drift(model, 0, 0)]

    def rest_of(self, model: nn.Module, contexts: Sequence[Context] = ()) -> RestOfModel:
        """What is left of known facts and of text, as a line has it; nothing where neither is asked for."""
        if self._rest is None:
            return {}
        left = self._rest.point(model, contexts)
        rest: RestOfModel = {} if left.perplexity is None else {"text_perplexity": left.perplexity}
        if left.rights:
            rest["known"] = {
                "facts": len(left.rights),
                "lost": [place for place, stays in enumerate(left.rights) if not stays],
            }
        return rest

    def _ask_unedited(self, model: nn.Module, facts: Sequence[Fact]) -> list[Answers]:
        answers = self.ask(model, facts)
        if self._prober is None:
            return answers
        claims = [fact.claim for fact in facts]
        able = {
            TOLD: self._prober.ask(model, claims, [None if claim is None else told(claim) for claim in claims]),
            OLD: self._prober.ask(model, [None if claim is None else claim.of_old_facts() for claim in claims]),
        }
        return [
            replace(answer, able={style: entries[place] for style, entries in able.items()})
            for place, answer in enumerate(answers)
        ]

    def _judged(
        self, facts: Sequence[Fact], observations: Sequence[tuple[Observation, ...]]
    ) -> list[tuple[bool | None, ...]]:
        """The judge's verdicts on what shall change; locality compares a model with itself, and is not judged."""
        if self._judge is None:
            return [()] * len(facts)
        cases = [
            None
            if question.keeps or (text := _judged_text(observation)) is None
            else Case(question.prompt, text, question.answer)
            for fact, of_fact in zip(facts, observations, strict=True)
            for question, observation in zip(fact.asked, of_fact, strict=True)
        ]
        verdicts = iter(self._judge.verdicts([case for case in cases if case is not None]))
        said = iter([None if case is None else next(verdicts) for case in cases])
        return [tuple(islice(said, len(fact.asked))) for fact in facts]

    def _qualities(self, model: nn.Module, facts: Sequence[Fact]) -> Sequence[dict[str, Any] | None]:
        if self._config.scorer == "batched":
            return [None] * len(facts)
        return easyedit_qualities(model, self._tok, [fact.request for fact in facts], self._hparams)


def _judged_text(observation: Observation) -> str | None:
    """What a judge reads: the whole text where the model ended it by itself, else its leading answer."""
    return observation.generated if observation.stopped else observation.leading


def drift_texts(source: str | None, count: int, about: Collection[str]) -> list[str]:
    """Fixed texts that no edit is about: lines of a file, or texts of the embedded world.

    Args:
        source: a UTF-8 file with a text a line, of which lines of some words are taken; none for the world's.
        count: how many.
        about: names that are edited; texts that mention one are left out.

    Raises:
        DataError: the file cannot be read, or has too few lines.
    """
    texts = list(islice(unrelated_texts(source, about), count))
    if len(texts) < count:
        raise DataError(
            f"it has {len(texts)} lines of {LEAST_WORDS} words or more that mention no edited subject; "
            f"evaluation.drift_texts is {count}",
            source,
        )
    return texts


def unrelated_texts(source: str | None, about: Collection[str]) -> Iterator[str]:
    """All texts of :func:`drift_texts`, one after the other."""
    texts = _world_texts() if source is None else _lines(source)
    return (text for text in texts if not any(name in text for name in about))


def text_of(source: str) -> str:
    """The text of a UTF-8 file.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        return Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"its text cannot be read ({error}); give a file of UTF-8 text", source) from error


def _world_texts() -> Iterator[str]:
    return general_text(_MOST_TEXTS, seed=_TEXT_SEED)


def _lines(source: str) -> Iterator[str]:
    lines = text_of(source).splitlines()
    return (line.strip() for line in lines if len(line.split()) >= LEAST_WORDS)


def _in_context(fact: Fact, context: Context | None) -> str:
    prompt = fact.request["prompt"]
    return prompt if context is None else context(prompt)
