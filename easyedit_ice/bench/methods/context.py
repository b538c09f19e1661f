"""Methods that leave the model alone and put the new fact before every question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from easyedit_ice.bench.methods.method import OURS_AT_A_FACT, Context, Edited
from easyedit_ice.data.easyedit_requests import RequestDict
from easyedit_ice.easyedit.methods.ike import HostIke
from easyedit_ice.edit.hparams import EditHyperParams, setting
from easyedit_ice.errors import HyperParamsError, UpdateError
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.untrusted import fields_of


@dataclass
class PromptHyperParams(EditHyperParams):
    """Settings of the prompt baseline."""

    alg_name: str = setting("Prompt", "name of the method")
    template: str = setting(
        "{prompt} {target_new}. {question}", "what is asked; {prompt}, {target_new} and {subject} are the fact's"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            fields_of(self.template)
            asked = self.template.format(prompt="", target_new="", subject="", question="?")
        except (KeyError, IndexError, ValueError) as error:
            asked = f"({error!r})"
        if not asked.endswith("?"):
            raise HyperParamsError(
                f"template is {self.template!r}; it must end with {{question}}, and may hold {{prompt}}, "
                "{target_new} and {subject} besides"
            )


class ContextMethod:
    """A :class:`~easyedit_ice.bench.methods.method.Method` whose facts stand in the question.

    Each fact is put before its own questions only, also in a stream.

    Args:
        model: asked, and never changed.
        tok: its tokenizer.
        hparams: settings.
        settings: the same as plain values.
        context: for a fact what turns a question's prompt into what is asked once the fact is in force.
        preset: where the settings come from.
        fact_errors: what ``context`` raises where a fact is at fault.
    """

    kind = "context"
    batchable = True

    def __init__(
        self,
        name: str,
        model: Any,
        tok: Tokenizer,
        hparams: Any,
        settings: Mapping[str, Any],
        context: Callable[[RequestDict], Context],
        preset: str | None = None,
        fact_errors: tuple[type[Exception], ...] = OURS_AT_A_FACT,
    ) -> None:
        self.name = name
        self.fact_errors = fact_errors
        self.preset = preset
        self.model, self.tok = model, tok
        self.hparams = hparams
        self._settings = dict(settings)
        self._context = context

    def settings(self) -> dict[str, Any]:
        """All settings as plain values."""
        return dict(self._settings)

    def apply(self, requests: Sequence[RequestDict], seed: int) -> Edited:
        """Make the contexts of the facts; nothing is random."""
        return Edited(self.model, {}, tuple(self._context(request) for request in requests))

    def take_out(self, edited: Edited) -> Any:
        """The model, which was never changed."""
        return self.model

    def undo(self, edited: Edited) -> None:
        """The model is as it was."""

    def reset(self) -> None:
        """The model is as it was."""

    def state(self) -> dict[str, Tensor] | None:
        """Facts are kept in contexts, and contexts by who asks."""
        return None

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """There is no state to load."""
        if tensors:
            raise UpdateError(f"{self.name} keeps no tensors, but is to load {', '.join(tensors)}")


def in_prompt(template: str, request: RequestDict) -> Context:
    """The prompt baseline: the template, filled in with the fact, and the question."""
    fact = {key: request[key] for key in ("prompt", "target_new")} | {"subject": request.get("subject") or ""}
    return lambda question: template.format(question=question, **fact)


def in_demonstrations(ike: HostIke, request: RequestDict) -> Context:
    """EasyEdit's IKE: demonstrations, the new fact, and the question."""
    before = ike.before(request)
    return lambda question: before + question
