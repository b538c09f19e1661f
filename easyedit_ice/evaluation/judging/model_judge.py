"""A causal language model as judge: is Yes likelier than No?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from easyedit_ice.evaluation.judging.case import TEMPLATE, Case, text_for
from easyedit_ice.evaluation.likelihood import alternatives
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import batches
from easyedit_ice.runtime.cache import fingerprint
from easyedit_ice.text.chat import Asking, in_chat

YES, NO = "Yes", "No"
_PLAIN = Asking(after="\nReply:")
_AT_A_TIME = 32


class ModelJudge:
    """Judges by the probabilities of Yes and No after the template; in the tokenizer's chat template, where it has one.

    Args:
        model: a causal language model, other than the one that is edited.
        tok: its tokenizer.
        name: by which it was loaded.
    """

    def __init__(self, model: nn.Module, tok: Tokenizer, name: str = "") -> None:
        self._model, self._tok, self._name = model, tok, name
        self._asking = in_chat(tok) if getattr(tok, "chat_template", None) else _PLAIN

    def verdicts(self, cases: Sequence[Case]) -> list[bool]:
        """Whether Yes is likelier than No of each answer; of equal cases one is asked."""
        asked = [self._asking.text(text_for(case)) for case in cases]
        by_text: dict[str, bool] = {}
        for batch in batches(list(dict.fromkeys(asked)), _AT_A_TIME):
            pairs = alternatives(self._model, self._tok, [(text, (YES, NO)) for text in batch], self._asking)
            by_text |= {text: yes > no for text, (yes, no) in zip(batch, pairs, strict=True)}
        return [by_text[text] for text in asked]

    def entry(self) -> dict[str, Any]:
        """Name, fingerprint of the weights, and template."""
        weights = fingerprint(self._model.state_dict().items())
        return {"model": self._name, "fingerprint": weights, "template": TEMPLATE}
