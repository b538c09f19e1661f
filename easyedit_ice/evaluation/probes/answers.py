"""Asking a model the probes of claims, and judging its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from easyedit_ice.evaluation.likelihood import alternatives
from easyedit_ice.evaluation.probes.claim import Claim
from easyedit_ice.evaluation.probes.dialogue import DIALOGUE, conversation
from easyedit_ice.evaluation.probes.item import Item, Probe
from easyedit_ice.model.blocks import context_length
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.chat import PLAIN, Asking
from easyedit_ice.text.rows import answered

Context = Callable[[str], str]


@dataclass(frozen=True)
class ProbeAnswer:
    """A model's answer to one probe of a claim.

    Attributes:
        probe: its name.
        items: what was asked.
        log_probs: for each item the mean log-probability of each option's tokens, in nats per token.
        right: whether that is a right answer.
    """

    probe: str
    items: tuple[Item, ...]
    log_probs: tuple[tuple[float, ...], ...]
    right: bool


class Prober:
    """Asks the chosen probes, always in the same way.

    Args:
        probes: in the order in which they are asked.
        tok: the model's tokenizer.
        asking: how texts are put to the model that stand in no conversation of their own.

    Raises:
        HyperParamsError: a dialogue is asked, and the tokenizer's chat template cannot hold a question and an answer.
    """

    def __init__(self, probes: Sequence[Probe], tok: Tokenizer, asking: Asking = PLAIN) -> None:
        self._probes, self._tok, self._asking = tuple(probes), tok, asking
        self._conversation = conversation(tok) if DIALOGUE in self._probes else asking

    def ask(
        self, model: nn.Module, claims: Sequence[Claim | None], contexts: Sequence[Context | None] | None = None
    ) -> list[tuple[ProbeAnswer, ...]]:
        """What a model answers to each claim's probes; it is left as it was.

        A probe that cannot be made of a claim, or that the model has no room for, is not among the answers.

        Args:
            model: a causal language model.
            claims: any number; of none nothing is asked.
            contexts: for each claim what is put before its texts.
        """
        contexts = contexts or [None] * len(claims)
        longest = context_length(model)
        asked = [
            (place, probe, items)
            for place, (claim, context) in enumerate(zip(claims, contexts, strict=True))
            for probe in self._probes
            if claim is not None and (items := self._fitting(probe.make(claim), context, longest))
        ]
        said = self._log_probs(model, [(item, contexts[place]) for place, _, items in asked for item in items])
        by_claim: list[list[ProbeAnswer]] = [[] for _ in claims]
        for place, probe, items in asked:
            log_probs = tuple(next(said) for _ in items)
            by_claim[place].append(ProbeAnswer(probe.name, items, log_probs, probe.judge(items, log_probs)))
        return [tuple(of_claim) for of_claim in by_claim]

    def _log_probs(self, model: nn.Module, texts: Sequence[tuple[Item, Context | None]]) -> Iterator[tuple[float, ...]]:
        by_place: dict[int, tuple[float, ...]] = {}
        for in_conversation in (False, True):
            places = [place for place, (item, _) in enumerate(texts) if item.conversation is in_conversation]
            framing = self._framing(in_conversation)
            questions = [(self._text(*texts[place]), texts[place][0].options) for place in places]
            if questions:
                by_place |= zip(places, alternatives(model, self._tok, questions, framing), strict=True)
        return (by_place[place] for place in range(len(texts)))

    def _fitting(self, items: tuple[Item, ...], context: Context | None, longest: int | None) -> tuple[Item, ...]:
        """The items, or none of them where the model has no room for one."""
        if longest is None:
            return items
        lengths = (
            len(answered(self._tok, self._text(item, context), option, self._framing(item.conversation)).ids)
            for item in items
            for option in item.options
        )
        return items if all(length <= longest for length in lengths) else ()

    def _text(self, item: Item, context: Context | None) -> str:
        return self._framing(item.conversation).text((context or str)(item.prompt))

    def _framing(self, in_conversation: bool) -> Asking:
        return self._conversation if in_conversation else self._asking


def told(claim: Claim) -> Context:
    """The context by which a model is told a claim: its sentence before each question."""
    return lambda question: f"{claim.statement}. {question}"


def shares(answers: Sequence[ProbeAnswer]) -> dict[str, float]:
    """By probe 1 for a right answer and 0 for a wrong one."""
    return {answer.probe: float(answer.right) for answer in answers}
