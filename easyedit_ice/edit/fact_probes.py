"""Probes of a fact: questions that score its edit, and how EasyEdit's dicts hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from easyedit_ice.edit.fact_texts import text_of
from easyedit_ice.errors import LengthMismatchError, ProbeFormError
from easyedit_ice.runtime.untrusted import is_unicode

ProbeKinds = Mapping[str, tuple["Probe", ...]]


@dataclass(frozen=True)
class Probe:
    """A question that scores an edit.

    Attributes:
        prompt: the question's text, up to the answer.
        answers: the answers that are all expected, each as a tuple of aliases.
    """

    prompt: str
    answers: tuple[tuple[str, ...], ...]

    @property
    def answer(self) -> str:
        """The first alias of the first answer: what EasyEdit scores."""
        return self.answers[0][0]


def probes_of(kinds: Any, section: str, index: int) -> dict[str, tuple[Probe, ...]]:
    """Read ``{kind: {"prompt": str | [str], "ground_truth": ...}}`` or ``{kind: [{"prompt", ...}, ...]}``.

    Raises:
        ProbeFormError: they are of no such form.
        EmptyTextError: a prompt is blank.
        LengthMismatchError: there are unequal numbers of prompts and answers.
    """
    if kinds is None:
        return {}
    if not isinstance(kinds, Mapping):
        raise ProbeFormError(f"{section} is {kinds!r}; it must map each kind to its probes", index)
    if odd := [kind for kind in kinds if not isinstance(kind, str) or not is_unicode(kind)]:
        raise ProbeFormError(f"{section} has the kind {odd[0]!r}; a kind must be a string of Unicode text", index)
    return {kind: _kind_probes(probes, f"{section}[{kind!r}]", index) for kind, probes in kinds.items()}


def _kind_probes(probes: Any, where: str, index: int) -> tuple[Probe, ...]:
    if isinstance(probes, Mapping):
        pairs = _paired(probes, where, index)
    elif isinstance(probes, Sequence) and not isinstance(probes, str):
        pairs = [pair for probe in probes for pair in _paired(_probe_mapping(probe, where, index), where, index)]
    else:
        raise ProbeFormError(f"{where} is {probes!r}; expected {{'prompt': …, 'ground_truth': …}}", index)
    return tuple(
        Probe(text_of(prompt, f"{where} prompt", index), _answers(truth, f"{where} ground_truth", index))
        for prompt, truth in pairs
    )


def _probe_mapping(probe: Any, where: str, index: int) -> Mapping[str, Any]:
    if not isinstance(probe, Mapping):
        raise ProbeFormError(f"{where} holds {probe!r}; expected {{'prompt': …, 'ground_truth': …}}", index)
    return probe


def _paired(probe: Mapping[str, Any], where: str, index: int) -> list[tuple[Any, Any]]:
    missing = {"prompt", "ground_truth"} - probe.keys()
    if missing:
        held = ", ".join(sorted(map(str, probe))) or "nothing"
        raise ProbeFormError(f"{where} lacks {' and '.join(sorted(missing))}; it has {held}", index)
    prompts, truths = probe["prompt"], probe["ground_truth"]
    if isinstance(prompts, str):
        return [(prompts, truths)]
    if not isinstance(prompts, Sequence) or not isinstance(truths, Sequence) or isinstance(truths, str):
        raise ProbeFormError(f"{where} must hold a prompt with its answer, or a list of each", index)
    if len(prompts) != len(truths):
        raise LengthMismatchError(f"{where} has {len(prompts)} prompts but {len(truths)} answers", index)
    return list(zip(prompts, truths, strict=True))


def _answers(truth: Any, where: str, index: int) -> tuple[tuple[str, ...], ...]:
    """Answers as tuples of aliases; a probe without an answer has the empty answer EasyEdit scores."""
    listed = truth if isinstance(truth, Sequence) and not isinstance(truth, str) else [truth]
    answers = (_aliases(answer, where, index) for answer in listed)
    return tuple(aliases for aliases in answers if aliases) or (("",),)


def _aliases(answer: Any, where: str, index: int) -> tuple[str, ...]:
    """The aliases of an answer; numbers are read as they are written."""
    if answer is None:
        return ()
    listed = answer if isinstance(answer, Sequence) and not isinstance(answer, str) else [answer]
    if odd := [alias for alias in listed if not isinstance(alias, (str, int, float)) or not is_unicode(str(alias))]:
        raise ProbeFormError(f"{where} holds {odd[0]!r}; an answer is a text, or a list of its aliases", index)
    return tuple(map(str, listed))
