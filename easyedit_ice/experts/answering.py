"""Two passes: the first finds which experts a question is for, the second answers with them.

The experts stand beside the weights of the model object itself, so whatever asks it, ``generate`` or EasyEdit's
evaluators, asks the mixture; each row of a batch gets its own. A pass that begins a text decides; those that go on from
its cache have the alphas of their rows. Without a cache each pass begins anew, and decides by all that is written.

**A teacher-forced evaluation shows the dispatcher the answer**: its rows are prompts with targets, and by the target it
may tell which expert knows it. :meth:`Answering.deciding_on` has rows decided by their prompts alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from typing_extensions import Self

from easyedit_ice.errors import ExpertError
from easyedit_ice.experts.dispatch import Dispatcher
from easyedit_ice.experts.expert import Expert
from easyedit_ice.experts.rowwise import Beside
from easyedit_ice.model.edit_state import state_of
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.model.snapshot import replace
from easyedit_ice.model.tokenizer import Tokenizer

_ASKED_ALONE = "asked_alone"
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_forward_pre_hooks_with_kwargs", "_forward_hooks_with_kwargs")


@dataclass
class Seconds:
    """Time spent.

    Attributes:
        first: in deciding.
        second: in the passes that answer, those of single new tokens included.
    """

    first: float = 0.0
    second: float = 0.0


class Answering:
    """A model that answers with its experts, until :meth:`detach`; also a context manager.

    Args:
        model: that the experts were trained on, maybe edited since. It gets hooks, and ``asked_alone``, by which this
            package's evaluation knows not to read several texts from one row.
        tok: its tokenizer.
        experts: to mix.
        dispatcher: finds alphas; where it asks the model itself, the base answers.

    Attributes:
        seconds: spent so far.
        alphas: (n, K, L) of the rows of the last text begun, or ``None``.

    Raises:
        ExpertError: an expert is of another model, they cannot be mixed, or the model answers with experts already.
    """

    def __init__(self, model: nn.Module, tok: Tokenizer, experts: Sequence[Expert], dispatcher: Dispatcher) -> None:
        if state_of(model).answering:
            raise ExpertError("this model answers with experts already; detach those first")
        self._model, self._tok, self._experts, self._dispatcher = model, tok, tuple(experts), dispatcher
        self._asker_hooks = _AskerHooks(model)
        self._beside = Beside(model, experts)
        self._handles = [
            model.register_forward_pre_hook(self._before, with_kwargs=True),
            model.register_forward_hook(self._after, always_call=True),
        ]
        self._asker_hooks.mark_asked_alone()
        state_of(model).answering = True
        self._prompts: tuple[str, ...] = ()
        self._begun: WeakKeyDictionary[Any, Tensor] = WeakKeyDictionary()
        self._started: float | None = None
        self.alphas: Tensor | None = None
        self.seconds = Seconds()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.detach()

    def detach(self) -> None:
        """Have the model answer as before, to the bit."""
        while self._handles:
            self._handles.pop().remove()
        self._beside.detach()
        self._asker_hooks.unmark()
        state_of(self._model).answering = False

    @contextmanager
    def deciding_on(self, prompts: Sequence[str]) -> Iterator[None]:
        """Within the block a row that begins with one of these prompts, the longest, is decided by that alone.

        Args:
            prompts: of all questions that are asked; a row that begins with none is decided by its whole text.
        """
        before, self._prompts = self._prompts, tuple(sorted({prompt.strip() for prompt in prompts}, key=len)[::-1])
        try:
            yield
        finally:
            self._prompts = before

    def _before(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        cache = kwargs.get("past_key_values")
        if cache is not None and cache.get_seq_length():
            self._beside.alphas = self._begun_with(cache)
        else:
            ids = kwargs.get("input_ids", args[0] if args else None)
            self._beside.alphas = self.alphas = self._decided(ids, kwargs.get("attention_mask"))
        self._started = self._now()

    def _after(self, model: nn.Module, args: Any, output: Any) -> None:
        if self._started is None:
            return
        self.seconds.second += self._now() - self._started
        cache = getattr(output, "past_key_values", None)
        if cache is not None and self._beside.alphas is not None:
            self._begun[cache] = self._beside.alphas
        self._started = self._beside.alphas = None

    @torch.no_grad()
    def _decided(self, ids: Tensor | None, attention: Tensor | None) -> Tensor:
        if ids is None:
            raise ExpertError("experts are chosen by a text's tokens, and the model got none; call it with input_ids")
        started = self._now()
        texts = self._texts(ids, attention)
        different = list(dict.fromkeys(texts))
        with self._asker_hooks.in_force():
            alphas = self._dispatcher.alphas(self._model, self._tok, self._experts, different)
        self.seconds.first += self._now() - started
        return alphas[[different.index(text) for text in texts]]

    def _texts(self, ids: Tensor, attention: Tensor | None) -> list[str]:
        """What the dispatcher sees of each row: its text without padding, or the prompt it begins with."""
        real = attention if attention is not None and attention.shape == ids.shape else torch.ones_like(ids)
        rows = [row[mask.bool()].tolist() for row, mask in zip(ids, real, strict=True)]
        options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        texts = [self._tok.decode(row, **options).strip() for row in rows]
        return [next((prompt for prompt in self._prompts if text.startswith(prompt)), text) for text in texts]

    def _begun_with(self, cache: Any) -> Tensor:
        if cache not in self._begun:
            raise ExpertError(
                f"a text of {cache.get_seq_length()} tokens goes on that was begun without these experts; begin it "
                "again while they are attached"
            )
        return self._begun[cache]

    def _now(self) -> float:
        device = embedding_weight(self._model).device
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()


def composed(model: nn.Module, tok: Tokenizer, experts: Sequence[Expert], dispatcher: Dispatcher) -> Answering:
    """Have a model answer with experts: ``with composed(...) as answering:``, or until ``answering.detach()``.

    Args and errors are those of :class:`Answering`.
    """
    return Answering(model, tok, experts, dispatcher)


class _AskerHooks:
    """A model's hooks and marks as they were found.

    The first pass runs with these: hooks of whoever is asking, which narrow the logits to their places or stop a pass
    early, are meant for the second.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._tables = [(table, dict(table)) for table in _hook_tables(model)]
        self._asked_alone = vars(model).get(_ASKED_ALONE)

    def mark_asked_alone(self) -> None:
        """Have evaluations look at each text by itself."""
        setattr(self._model, _ASKED_ALONE, True)

    def unmark(self) -> None:
        """Have them do as they did."""
        vars(self._model).pop(_ASKED_ALONE, None)
        if self._asked_alone is not None:
            setattr(self._model, _ASKED_ALONE, self._asked_alone)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """The hooks and marks that were found, and no others, within the block."""
        now = [(table, dict(table)) for table, _ in self._tables]
        try:
            self.unmark()
            for table, entries in self._tables:
                replace(table, entries)
            yield
        finally:
            self.mark_asked_alone()
            for table, entries in now:
                replace(table, entries)


def _hook_tables(model: nn.Module) -> list[dict[int, Any]]:
    return [vars(module)[name] for module in model.modules() for name in _HOOKS]
