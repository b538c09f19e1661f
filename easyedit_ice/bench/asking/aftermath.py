"""What is measured of a whole state of a model: its abilities, and what treatments leave of its edits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from easyedit_ice.bench.asking.examiner import LEAST_WORDS, Examiner, unrelated_texts
from easyedit_ice.bench.asking.fact_answers import Answers
from easyedit_ice.bench.asking.facts import Fact
from easyedit_ice.bench.asking.lines import later_line
from easyedit_ice.bench.config import EvaluationConfig
from easyedit_ice.bench.methods import Edited, Method
from easyedit_ice.bench.storage.finite_lines import with_nulls
from easyedit_ice.bench.storage.ledger import Ledger
from easyedit_ice.bench.storage.line import ABILITIES, AFTERLIFE, Line, Place, RestOfModel, after
from easyedit_ice.errors import DataError
from easyedit_ice.evaluation import Context
from easyedit_ice.evaluation.abilities import Tasks
from easyedit_ice.evaluation.afterlife import Course, Treatment, chosen, names_of, treated
from easyedit_ice.evaluation.afterlife.settings import BATCH
from easyedit_ice.evaluation.afterlife.treatment_table import TRAINED
from easyedit_ice.model.tokenizer import Tokenizer


@dataclass(frozen=True)
class Aftermath:
    """Measures states of a model; of the default, nothing.

    Attributes:
        tok: the model's tokenizer.
        examiner: asks facts.
        tasks: of lm-eval; none where abilities are not scored.
        treatments: what edited models go through.
        edits: in modes single and batch, how many of the first edits are followed up.
        writes: whether the method changes weights; where it does not, its model's abilities are the unedited one's.
        seed: of the treatments.
    """

    tok: Tokenizer
    examiner: Examiner
    tasks: Tasks | None = None
    treatments: tuple[Treatment, ...] = field(default=())
    edits: int = 1
    writes: bool = True
    seed: int = 0

    def unedited(self, model: Any, ledger: Ledger) -> list[Line]:
        """Lines of the model before any edit, but those that the ledger has."""
        return [*self._abilities(model, 0, 0, ledger), *self._treated(model, 0, 0, ledger, lambda: ((), (), ()))]

    def after_edit(
        self, edited: Edited, facts: Sequence[Fact], before: Sequence[Answers], batch: int, ledger: Ledger
    ) -> list[Line]:
        """Lines of an edit of modes single and batch that is in force, if it is among the first.

        Args:
            edited: the edit.
            facts: that it wrote.
            before: what the unedited model said of them.
            batch: the edit's place among all.
            ledger: of the run.
        """
        if batch >= self.edits:
            return []
        position, step = facts[0].position, len(facts)
        return [
            *(self._abilities(edited.model, position, step, ledger) if self.writes else ()),
            *self._treated(edited.model, position, step, ledger, lambda: (facts, before, edited.contexts)),
        ]

    def in_stream(self, model: Any, step: int, ledger: Ledger) -> list[Line]:
        """The abilities after so many facts of a stream."""
        return list(self._abilities(model, 0, step, ledger)) if self.writes else []

    def after_stream(
        self,
        model: Any,
        step: int,
        ledger: Ledger,
        pool: Callable[[], tuple[Sequence[Fact], Sequence[Answers], Sequence[Context | None]]],
    ) -> list[Line]:
        """Lines of what treatments leave at a stream's end; ``pool`` gives facts, what was said of them, contexts."""
        return list(self._treated(model, 0, step, ledger, pool))

    def _abilities(self, model: Any, position: int, step: int, ledger: Ledger) -> Iterator[Line]:
        if self.tasks is not None and Place(ABILITIES, position, step) not in ledger:
            abilities = [ability.to_dict() for ability in self.tasks.measure(model, self.tok)]
            yield with_nulls({"phase": ABILITIES, "position": position, "step": step, "abilities": abilities})

    def _treated(
        self,
        model: Any,
        position: int,
        step: int,
        ledger: Ledger,
        pool: Callable[[], tuple[Sequence[Fact], Sequence[Answers], Sequence[Context | None]]],
    ) -> Iterator[Line]:
        """Lines of facts after each treatment, and at last one of what else each did."""
        if not self.treatments or Place(AFTERLIFE, position, step) in ledger:
            return
        facts, before, contexts = pool()
        stated = [context for context in contexts if context is not None]
        left: dict[str, RestOfModel] = {}
        for treatment in self.treatments:
            with treated(model, self.tok, treatment, self.seed):
                now = self.examiner.ask(model, facts, contexts)
                left[treatment.name] = self.examiner.rest_of(model, stated)
            for fact, was, answers in zip(facts, before, now, strict=True):
                yield later_line(after(treatment.name), fact, step, was, answers)
        yield with_nulls({"phase": AFTERLIFE, "position": position, "step": step, "afterlife": left})


def aftermath_of(
    config: EvaluationConfig,
    method: Method,
    examiner: Examiner,
    tasks: Tasks | None,
    about: Sequence[str],
    seed: int,
) -> Aftermath:
    """What a run measures of whole states.

    Args:
        config: what to measure.
        method: with the unedited model.
        examiner: asks facts.
        tasks: whose abilities are scored.
        about: names that are edited; texts to train on mention none.
        seed: of the run.

    Raises:
        DataError: there is no text to train on.
        AfterlifeError: what is merged cannot be made.
    """
    treatments: tuple[Treatment, ...] = ()
    if config.afterlife:
        treatments = chosen(config.afterlife, _course(config, about, seed), method.model, method.tok)
    writes = method.kind not in ("context", "retrieval")
    return Aftermath(method.tok, examiner, tasks, treatments, config.followed_edits, writes, seed)


def _course(config: EvaluationConfig, about: Sequence[str], seed: int) -> Course:
    texts: list[str] = []
    if set(names_of(config.afterlife or ())) & set(TRAINED):
        texts = list(islice(unrelated_texts(config.afterlife_text, about), BATCH * config.afterlife_steps))
        if not texts:
            raise DataError(
                f"every line is shorter than {LEAST_WORDS} words or mentions an edited subject; give "
                "evaluation.afterlife_text a file of longer ones",
                config.afterlife_text,
            )
    return Course(
        texts=texts,
        steps=config.afterlife_steps,
        learning_rate=config.afterlife_learning_rate,
        rank=config.afterlife_rank,
        scale=config.afterlife_scale,
        adapter=config.afterlife_adapter,
        seed=seed,
    )
