"""What every method of the benchmark offers, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from easyedit_ice.data.easyedit_requests import RequestDict
from easyedit_ice.errors import DriftError, HostEditError, RequestError, TrainingDivergedError, UpdateError
from easyedit_ice.model.tokenizer import Tokenizer

Context = Callable[[str], str]

OURS_AT_A_FACT = (RequestError, TrainingDivergedError, DriftError, UpdateError)
"""By which the algorithms of this package say that a fact could not be written; they raise nothing else for that."""
THEIRS_AT_A_FACT = (*OURS_AT_A_FACT, HostEditError, ValueError, AssertionError, LookupError, ArithmeticError)
"""How EasyEdit's methods fail on facts they were not made for: in any way."""


@dataclass(frozen=True)
class Edited:
    """Facts in force.

    Attributes:
        model: what answers now; a wrapper where the method needs one.
        originals: the base model's values of the plain parameters that the edit changed, by name.
        contexts: one for each request: turns the prompt of a question into the text that the model is asked with.
        everywhere: the same for every other question; none where these are asked as they are.
    """

    model: Any
    originals: Mapping[str, Tensor]
    contexts: tuple[Context, ...]
    everywhere: Context | None = None


class Method(Protocol):
    """A knowledge editor with the model it edits.

    Attributes:
        name: as in tables.
        kind: ``"ours"``, ``"easyedit"``; where it edits no weights ``"context"`` if it is told which fact a question is
            about, ``"retrieval"`` if it is not.
        batchable: whether it writes several facts together.
        model: the base model, edited in place.
        tok: its tokenizer.
        hparams: its settings, as its author's class holds them.
        preset: name or path of the preset they come from; ``"auto"`` if they were made for the model; none if they are
            those of the class.
        fact_errors: what :meth:`apply` raises where a fact is at fault; all else is a fault of the method or the run.
    """

    name: str
    batchable: bool
    model: Any
    tok: Tokenizer
    hparams: Any
    preset: str | None

    @property
    def kind(self) -> str:
        """See above."""
        ...

    @property
    def fact_errors(self) -> tuple[type[Exception], ...]:
        """See above."""
        ...

    def settings(self) -> dict[str, Any]:
        """All settings as plain values."""
        ...

    def apply(self, requests: Sequence[RequestDict], seed: int) -> Edited:
        """Write facts, on top of those that are there.

        Equal states, facts and seeds give equal edits. Whatever it raises, all is as it was before.

        Args:
            requests: EasyEdit's request dicts.
            seed: of everything random.
        """
        ...

    def take_out(self, edited: Edited) -> Any:
        """Take the last edit out in the method's own way, which need not be exact; :meth:`undo` must follow.

        Returns:
            what answers then.

        Raises:
            HostEditError: EasyEdit's code failed at it.
            UpdateError: ``edited`` is not what the last :meth:`apply` returned.
        """
        ...

    def undo(self, edited: Edited) -> None:
        """Go back to the bits before the last :meth:`apply`.

        Raises:
            UpdateError: ``edited`` is not what the last :meth:`apply` returned.
        """
        ...

    def reset(self) -> None:
        """Go back to the base model, bit for bit, whatever happened."""
        ...

    def state(self) -> dict[str, Tensor] | None:
        """Tensors that differ from the base model (on the CPU); ``None`` if the method keeps edits elsewhere."""
        ...

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Go to a state that :meth:`state` returned.

        Raises:
            UpdateError: the model has no such tensors.
        """
        ...


def identity(prompt: str) -> str:
    """The context of methods that change weights: none."""
    return prompt
