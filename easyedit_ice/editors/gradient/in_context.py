"""In-context editing (Qi et al. 2024, arXiv 2406.11194): learn to answer as after a statement of the fact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from torch import nn

from easyedit_ice.edit.hparams import setting
from easyedit_ice.editors.gradient.adapters import Adapter
from easyedit_ice.editors.gradient.contexts import SOURCES, check_templates, contexts
from easyedit_ice.editors.gradient.objectives import (
    TARGET,
    Edit,
    Objective,
    ObjectiveSettings,
    RowObjective,
    Term,
    Turns,
    fact_rows,
)
from easyedit_ice.editors.gradient.openings import ABOUT, Opening, continued, free, pair_of
from easyedit_ice.editors.gradient.wordings import followed_wordings
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.activation_memory import Pass
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.chat import Asking
from easyedit_ice.text.rows import Row, prefix_ids
from easyedit_ice.text.sampling import sample
from easyedit_ice.text.tokens import ends_of_text

CONTINUATION, FREE = "context", "consequences"
"""Names of the two in-context objectives, in the course of a training."""
OPENING = 4
"""Tokens that a free text is taken to begin with where memory is estimated."""


@dataclass(frozen=True)
class Texts:
    """Texts that the model writes for an in-context objective.

    Attributes:
        name: of the objective.
        weight: of the objective.
        samples: drawn for each fact at a time.
        length: their most tokens.
    """

    name: str
    weight: float
    samples: int
    length: int


@dataclass
class InContextSettings(ObjectiveSettings):
    """Of in-context editing."""

    ice_weight: float = setting(1.0, "λ: weight of the in-context term on continuations of the fact", low=0)
    free_weight: float = setting(1.0, "λ_free: weight of the in-context term on free text about the fact", low=0)
    free_about: list[str] = setting(
        list(ABOUT), f"how free texts begin, in turn: with any of {', '.join(ABOUT)}; what follows a mention counts"
    )
    teacher: str = setting(
        "static", "weights of the teacher: before the edit, or as they are now", choices=("static", "dynamic")
    )
    context_sources: list[str] = setting(["template"], f"where contexts come from: {', '.join(SOURCES)}")
    context_templates: list[str] | None = setting(
        None,
        "context statements, with {fact}, or {prompt} and {target}, in place of the fact; None for those that the "
        "model follows, measured once",
    )
    num_contexts: int = setting(5, "contexts of each fact", low=1)
    context_nll_weight: float = setting(
        0.0, "weight of the target's loss in context, which the paper's released code adds", low=0
    )
    continuation_samples: int = setting(8, "continuations drawn for each fact at a time", low=1)
    continuation_length: int = setting(8, "their most tokens", low=1)
    free_samples: int = setting(16, "free texts drawn for each fact at a time", low=1)
    free_length: int = setting(16, "their most tokens", low=1)
    ice_rows: int = setting(4, "continuations, and free texts, that each step looks at for each fact, in turn", low=1)
    resample_every: int = setting(0, "steps between two drawings; 0 to draw once", low=0)
    temperature: float = setting(1.0, "temperature of the drawing; the divergence is unaffected", above=0)
    top_k: int = setting(0, "draw among this many likeliest tokens; 0 for all", low=0)
    stop_kl: float | None = setting(
        None, "besides stop_nll: a fact rests while its in-context divergence is below this, in nats per token", above=0
    )

    def check(self) -> None:
        """Refuse contexts from nowhere, free texts about nothing, and templates that do not state a fact."""
        if not self.context_sources or any(source not in SOURCES for source in self.context_sources):
            raise HyperParamsError(f"context_sources is {self.context_sources}; expected some of {', '.join(SOURCES)}")
        if not self.free_about or any(about not in ABOUT for about in self.free_about):
            raise HyperParamsError(f"free_about is {self.free_about}; expected some of {', '.join(ABOUT)}")
        check_templates(self.context_templates)

    @property
    def texts(self) -> tuple[Texts, ...]:
        """Of the objectives that have a weight: continuations of the fact, and free texts about it."""
        every = (
            Texts(CONTINUATION, self.ice_weight, self.continuation_samples, self.continuation_length),
            Texts(FREE, self.free_weight, self.free_samples, self.free_length),
        )
        return tuple(texts for texts in every if texts.weight)

    def fitted(self, model: nn.Module, tok: Tokenizer, asking: Asking) -> dict[str, Any]:
        """The wordings that the model follows, where none are given."""
        given_ones = self.context_templates
        return {"context_templates": followed_wordings(model, tok, asking) if given_ones is None else given_ones}

    def build_objectives(self, edit: Edit, adapter: Adapter) -> list[Objective]:
        """On continuations of the fact, and on what the model writes freely about it."""
        stated = contexts(
            edit.model,
            edit.tok,
            edit.requests,
            sources=self.context_sources,
            templates=self.context_templates or (),
            count=self.num_contexts,
            seed=edit.seed,
        )
        openings = {CONTINUATION: continued(edit.requests, stated), FREE: free(edit.requests, stated, self.free_about)}
        objectives: list[Objective] = []
        if self.context_nll_weight:
            objectives.append(TargetInContext(edit, stated, self.context_nll_weight))
        for texts in self.texts:
            begins = openings[texts.name]
            objectives.append(InContext(texts, edit.model, edit.tok, begins, self, adapter.disabled, self.stop_kl))
        return objectives

    def pass_of_a_fact(self, tokens: int) -> Pass:
        """Contexts with the target, and the texts that a step looks at."""
        total = Pass(0, 0, 0)
        if self.context_nll_weight:
            total += Pass(self.num_contexts * 2 * tokens, self.num_contexts * TARGET, 0)
        for texts in self.texts:
            begins = tokens if texts.name == CONTINUATION else OPENING
            total += Pass(self.ice_rows * (begins + texts.length), 0, self.ice_rows * texts.length)
        return total

    def remembered_tokens(self, facts: int, steps: int) -> int:
        """Of a static teacher: all texts, or as many as the steps come to."""
        if self.teacher != "static":
            return 0
        return sum(facts * min(texts.samples, self.ice_rows * steps) * texts.length for texts in self.texts)

    def drawing(self, facts: int, tokens: int) -> tuple[int, int]:
        """Continuations or free texts of all facts."""
        length = max(2 * tokens + self.continuation_length, tokens + OPENING + self.free_length)
        return facts * max(self.continuation_samples, self.free_samples), length


class TargetInContext(RowObjective):
    """CE(x* | c, q), which the released code of ICE adds to its loss; the gradient flows through the context.

    Args:
        edit: the facts.
        stated: contexts of each fact; those that leave no room for it are left out.
        weight: factor of this objective.
    """

    name = "target in context"

    def __init__(self, edit: Edit, stated: Sequence[Sequence[str]], weight: float) -> None:
        rows = [
            [row for _, row in fact_rows(edit.tok, request, edit.append_eos, statements, edit.longest)]
            for request, statements in zip(edit.requests, stated, strict=True)
        ]
        super().__init__(rows, weight)


class InContext(Objective):
    """KL(p(x | c, ·) ‖ p(x | ·)): without the context, answer as with it (Qi et al. 2024, arXiv 2406.11194, eq. 6).

    The model itself is the teacher, given the context c; its distribution is detached. The text x is the model's
    own: what it writes after the opening in context.

    Args:
        texts: name and weight of the objective, and which texts are drawn.
        model: student and teacher.
        tok: its tokenizer.
        openings: for each fact how its texts begin.
        settings: of the teacher and of the drawing.
        disabled: context manager under which the model is as before the edit.
        stop: as for any objective.
    """

    def __init__(
        self,
        texts: Texts,
        model: nn.Module,
        tok: Tokenizer,
        openings: Sequence[Sequence[Opening]],
        settings: InContextSettings,
        disabled: Callable[[], AbstractContextManager[None]],
        stop: float | None = None,
    ) -> None:
        self.name, self.stop = texts.name, stop
        self._texts, self._settings = texts, settings
        self._model, self._tok, self._openings = model, tok, openings
        self._static = settings.teacher == "static"
        self._teacher = disabled if self._static else nullcontext
        self._drawn: dict[int, tuple[int, Turns[tuple[Row, Row]]]] = {}

    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """Each fact's next few texts."""
        self._draw([fact for fact in facts if self._stale(fact, step)], step)
        return [
            Term(self.name, student, self._texts.weight / len(batch), fact, teacher, self._static)
            for fact, batch in [(fact, self._drawn[fact][1].next()) for fact in facts]
            for teacher, student in batch
        ]

    def _stale(self, fact: int, step: int) -> bool:
        if fact not in self._drawn:
            return True
        every = self._settings.resample_every
        return bool(every) and step - self._drawn[fact][0] >= every

    def _draw(self, facts: Sequence[int], step: int) -> None:
        """Let the teacher write new texts for some facts."""
        if not facts:
            return
        chosen = [
            (fact, self._openings[fact][(index + step) % len(self._openings[fact])])
            for fact in facts
            for index in range(self._texts.samples)
        ]
        prefixes = [prefix_ids(self._tok, opening.taught) for _, opening in chosen]
        with self._teacher():
            written = sample(
                self._model,
                self._tok,
                prefixes,
                length=self._texts.length,
                temperature=self._settings.temperature,
                top_k=self._settings.top_k,
            )
        ends, longest = ends_of_text(self._model, self._tok), ModelAnatomy(self._model).context_length
        pairs_of: dict[int, list[tuple[Row, Row]]] = {fact: [] for fact in facts}
        for (fact, opening), ids in zip(chosen, written, strict=True):
            pair = pair_of(self._tok, opening, ids, ends, longest)
            if pair is not None:
                pairs_of[fact].append(pair)
        self._drawn |= {fact: (step, Turns(pairs, self._settings.ice_rows)) for fact, pairs in pairs_of.items()}
