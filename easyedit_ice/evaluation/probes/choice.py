"""Multiple choice: the new answer among the old one and two others, as texts or as letters of a list."""

from __future__ import annotations

from easyedit_ice.evaluation.probes.claim import Claim
from easyedit_ice.evaluation.probes.item import Item, Probe
from easyedit_ice.evaluation.probes.wording import BLANK, question_in

LETTERS = "ABCD"
OPTIONS = len(LETTERS)


def options_of(claim: Claim, what: str) -> tuple[tuple[str, ...], int] | None:
    """The options in the order of the seed, and the place of the right one; none where nothing competes."""
    options = [claim.answer, *claim.wrong][:OPTIONS]
    if len(options) < 2:
        return None
    claim.shuffled(what).shuffle(options)
    return tuple(options), options.index(claim.answer)


def chosen_after(claim: Claim, prompt: str, *, conversation: bool = False) -> tuple[Item, ...]:
    """Which of the options follows a prompt."""
    options_there = options_of(claim, "choice")
    return () if options_there is None else (Item(prompt, *options_there, conversation),)


def _texts(claim: Claim) -> tuple[Item, ...]:
    return chosen_after(claim, claim.prompt)


def _letters(claim: Claim) -> tuple[Item, ...]:
    options_there = options_of(claim, "letters")
    if options_there is None or not all(
        option.isprintable() for option in options_there[0]
    ):  # a line break would end its line
        return ()
    options, right = options_there
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    asked = question_in(claim.prompt) or f"{claim.prompt.rstrip()} {BLANK}"
    return (Item(f"Question: {asked}\n{listed}\nAnswer:", tuple(LETTERS[: len(options)]), right),)


CHOICE = Probe(
    "choice",
    "which of four answers follows the fact's own prompt: new, old, two others of the same kind",
    "the new answer is the likeliest",
    1 / OPTIONS,
    _texts,
)
LISTED = Probe(
    "letters",
    "the same four answers, listed as A to D in an order of the seed",
    "the new answer's letter is the likeliest",
    1 / OPTIONS,
    _letters,
)
