"""The choice of four answers in a conversation whose first turn was about something else."""

from __future__ import annotations

from easyedit_ice.evaluation.probes.choice import OPTIONS, chosen_after
from easyedit_ice.evaluation.probes.claim import Claim
from easyedit_ice.evaluation.probes.item import Item, Probe
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.chat import Asking, in_chat

OPENING = ("Hello!", "Hello! What can I do for you?")
"""What user and model say in the first turn of every conversation."""
_PLAIN = Asking(before=f"User: {OPENING[0]}\nAssistant: {OPENING[1]}\nUser: ", after="\nAssistant:")


def conversation(tok: Tokenizer) -> Asking:
    """How the user's second turn is put to the model: in the tokenizer's chat template where it has one.

    Raises:
        HyperParamsError: the template cannot hold a question and an answer.
    """
    return in_chat(tok, OPENING) if getattr(tok, "chat_template", None) else _PLAIN


def _make(claim: Claim) -> tuple[Item, ...]:
    return chosen_after(claim, claim.prompt, conversation=True)


DIALOGUE = Probe(
    "dialogue",
    "choice, in the second turn of a conversation; in the tokenizer's chat template where it has one",
    "the new answer is the likeliest of the four",
    1 / OPTIONS,
    _make,
)
