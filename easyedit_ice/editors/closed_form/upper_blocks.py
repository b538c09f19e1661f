"""What follows of a model where one projection has written, run again and again on the same texts.

Shapes: n rows, p tokens before the subject's last, s tokens from it on, d the width, t places, v the vocabulary.
"""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.editors.closed_form.subject_rows import FactRow
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.capture import captured, hidden_of, watching, with_hidden
from easyedit_ice.model.forward_overrides import copied, replaced_forwards, replaced_outputs
from easyedit_ice.model.logits import logits_at
from easyedit_ice.model.pretrained import embedding_weight, pretrained
from easyedit_ice.runtime.batching import alike, by_row, padded

_FEW = 64
"""Tokens, those that fill rows up among them, of which a pass takes hardly longer than of one: it reads all weights."""
_SAME = 0.1
"""How far a block's output may miss what its projection was made to add, for rounding, as a share of that."""


class UpperBlocks:
    """A model above one projection, to be run many times on the same rows with something added to what that writes.

    All that the addition does not change is worked out once: what the modules before the projection return, and keys
    and values of the tokens before the subject's last, which do not see it. Models that keep more of a text than keys
    and values (linear attention, convolutions) read the whole rows each time. Rows of like length run side by side, and
    all of them where they are few and short.

    Args:
        model: in evaluation mode.
        rows: texts, with the token at which something is added.
        projection: path of the projection.
        last: the highest block that is run; the model's own last one if ``None``.

    Attributes:
        projected: what the projection writes at the subject's last token, (n, d).
        block: what its block returns there, (n, d).
        adds: whether the block adds what the projection writes to the residual stream as it is: there is no norm
            (Gemma 2, OLMo 2, GLM-4, EXAONE 4) and no factor (Granite) between them.
    """

    def __init__(self, model: nn.Module, rows: Sequence[FactRow], projection: str, *, last: int | None = None) -> None:
        self._groups = [
            (group, _Group(model, [rows[index] for index in group], projection, last))
            for group in _groups([len(row.read) for row in rows])
        ]
        self.projected = self._in_order(lambda blocks: blocks.projected)
        self.block = self._in_order(lambda blocks: blocks.block)
        self.adds = all(blocks.adds for _, blocks in self._groups)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some of the rows."""
        places = {row: place for place, row in enumerate(rows)}
        left = []
        for group, blocks in self._groups:
            here = [index for index, row in enumerate(group) if row in places]
            if here:
                blocks.keep(here)
                left.append(([places[group[index]] for index in here], blocks))
        self._groups = left
        self.projected, self.block = self.projected[list(rows)], self.block[list(rows)]

    def log_probs(self, added: Tensor) -> Tensor:
        """Log-probabilities at the rows' places, one row's after the other's: (t, v) in fp32.

        Args:
            added: to what the projection writes at the subject's last token, (n, d).
        """
        by_row: dict[int, Tensor] = {}
        for group, blocks in self._groups:
            by_row |= zip(group, blocks.log_probs(added[group]), strict=True)
        return torch.cat([by_row[index] for index in range(len(added))])

    def _in_order(self, read: Callable[[_Group], Tensor]) -> Tensor:
        by_row = {
            index: value for group, blocks in self._groups for index, value in zip(group, read(blocks), strict=True)
        }
        return torch.stack([by_row[index] for index in range(len(by_row))])


class _Group:
    """:class:`UpperBlocks` of rows that run side by side."""

    projected: Tensor
    block: Tensor
    adds: bool
    _wrote: Any
    _returned: Any
    _below: Any
    _outputs: dict[nn.Module, Any]

    def __init__(self, model: nn.Module, rows: Sequence[FactRow], projection: str, last: int | None) -> None:
        anatomy = ModelAnatomy(model)
        self._model, self._blocks, self._projection = model, anatomy.blocks, model.get_submodule(projection)
        self._layer = anatomy.site(projection).layer
        self._last = len(self._blocks) - 1 if last is None else last
        self._rows = list(rows)
        device = embedding_weight(model).device
        cache = _empty_cache(model)
        split = cache is not None
        before, before_real = padded([row.before if split else () for row in rows], left=True)
        read, read_real = padded([row.read if split else (*row.before, *row.read) for row in rows])
        starts = before_real.sum(1, keepdim=True)
        positions = {"before": before_real.cumsum(1) - 1, "read": starts + read_real.cumsum(1) - 1}
        self._at = torch.tensor([0 if split else row.at for row in rows], device=device)
        self._tensors = {
            "input_ids": read.to(device),
            "attention_mask": torch.cat([before_real, read_real], 1).long().to(device),
            "position_ids": positions["read"].to(device),
        }
        with torch.no_grad():
            self._cache = cache if before.shape[1] else None
            if self._cache is not None:
                tensors = {"input_ids": before, "attention_mask": before_real.long()}
                self._prefill(tensors | {"position_ids": positions["before"].clamp(min=0)}, device)
            self._capture()
            self.projected, self.block = self._at_subject(self._wrote), self._at_subject(self._returned)
            self.adds = self._adds()
        for lower in () if self._cache is None else self._cache.layers[: self._layer]:
            # These blocks do not run again: of their keys and values the length alone is needed.
            lower.keys, lower.values = lower.keys[:, :1, :, :1].clone(), lower.values[:, :1, :, :1].clone()

    def keep(self, rows: Sequence[int]) -> None:
        if len(rows) == len(self._rows):
            return
        before, chosen = len(self._rows), torch.tensor(rows, device=self._at.device)
        self._rows = [self._rows[row] for row in rows]
        self._at = self._at[chosen]
        self._tensors = {name: tensor[chosen.to(tensor.device)] for name, tensor in self._tensors.items()}
        self._wrote, self._returned, self._below = (
            _chosen(value, chosen, before) for value in (self._wrote, self._returned, self._below)
        )
        self._outputs = {module: _chosen(value, chosen, before) for module, value in self._outputs.items()}
        if self._cache is not None:
            self._cache = _twin(self._cache)
            self._cache.batch_select_indices(chosen)

    def log_probs(self, added: Tensor) -> tuple[Tensor, ...]:
        """Log-probabilities at the places of each row."""
        starts = self._at.tolist()
        where = [
            (index, start + place)
            for index, (row, start) in enumerate(zip(self._rows, starts, strict=True))
            for place in row.places
        ]
        with self._adding(added):
            logits = logits_at(self._model, self._inputs(), where)
        rows: tuple[Tensor, ...] = logits.float().log_softmax(-1).split([len(row.places) for row in self._rows])
        return rows

    def _inputs(self) -> dict[str, Any]:
        cache = {"use_cache": False}
        if self._cache is not None:
            cache = {"past_key_values": _twin(self._cache), "use_cache": True}
        return _accepted(self._model, self._tensors) | cache

    def _prefill(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Keys and values of the tokens before the subject's last."""
        inputs = _accepted(self._model, {name: tensor.to(device) for name, tensor in tensors.items()})
        logits_at(self._model, inputs | {"past_key_values": self._cache, "use_cache": True}, [(0, 0)])

    def _capture(self) -> None:
        """Run up to the block's end; keep what the block is given, and what its modules return before the projection.

        A module is kept if it has run once and nothing that holds it is kept: it need not run again.
        """
        block = self._blocks[self._layer]
        inner = [module for module in block.modules() if module is not block]
        lower = {"below": self._blocks[self._layer - 1]} if self._layer else {}
        calls: Counter[nn.Module] = Counter()
        finished: dict[nn.Module, Any] = {}
        wrote: list[Any] = []

        def after(module: nn.Module, args: Any, output: Any) -> None:
            calls[module] += 1
            if module is self._projection:
                wrote.append(copied(output))
            elif not wrote:
                finished[module] = copied(output)

        with captured({"block": block} | lower, "out", stop=True) as states, watching(inner, after=after):
            self._model(**self._inputs())
        self._returned, self._below = states["block"], states.get("below")
        once = {module: output for module, output in finished.items() if calls[module] == 1}
        held = {child for module in once for child in module.modules() if child is not module}
        self._wrote = wrote[0]
        self._outputs = {module: output for module, output in once.items() if module not in held}

    def _at_subject(self, output: Any) -> Tensor:
        """What a module returned at the subject's last token of each row, (n, d)."""
        values = by_row(hidden_of(output), len(self._rows))
        return values[torch.arange(len(values), device=values.device), self._at.to(values.device)].clone()

    def _adds(self) -> bool:
        """Whether the block's output moves by what is added to the projection's, tried with a vector as long as it."""
        probe = self.projected.float()
        probe = probe * (self.block.float().norm(dim=1) / probe.norm(dim=1).clamp(min=1e-30))[:, None]
        with captured({"block": self._blocks[self._layer]}, "out", stop=True) as states, self._adding(probe):
            self._model(**self._inputs())
        moved = self._at_subject(states["block"]).float() - self.block.float()
        return bool(((moved - probe).norm(dim=1) <= _SAME * probe.norm(dim=1)).all())

    @contextmanager
    def _adding(self, added: Tensor) -> Iterator[None]:
        """The projection writes more; what runs before it, or above the last block, does not run."""
        wrote = hidden_of(self._wrote)
        rows = by_row(wrote, len(self._rows))
        more = torch.zeros_like(rows)
        more[torch.arange(len(rows), device=rows.device), self._at.to(rows.device)] = added.to(rows)
        overrides = self._outputs | {self._projection: with_hidden(self._wrote, (rows + more).view_as(wrote))}

        def below(*args: Any, **kwargs: Any) -> Any:
            return self._below

        def above(*args: Any, **kwargs: Any) -> Any:
            return with_hidden(self._returned, args[0] if args else kwargs["hidden_states"])

        lower, upper = self._blocks[: self._layer], self._blocks[self._last + 1 :]
        instead = dict.fromkeys(lower, below) | dict.fromkeys(upper, above)
        with replaced_outputs(overrides), replaced_forwards(instead):
            yield


def _groups(lengths: Sequence[int]) -> list[list[int]]:
    """Indices of rows of these lengths, by what runs side by side."""
    return [list(range(len(lengths)))] if max(lengths) * len(lengths) <= _FEW else alike(lengths)


def _chosen(value: Any, rows: Tensor, count: int) -> Any:
    """Some rows of what a module returned for ``count`` of them; what has no rows stays."""
    if isinstance(value, list):
        return [_chosen(part, rows, count) for part in value]
    if isinstance(value, tuple):
        return tuple(_chosen(part, rows, count) for part in value)
    if not isinstance(value, Tensor) or not value.ndim or len(value) < count or len(value) % count:
        return value
    rows_of = value.reshape(count, -1, *value.shape[1:])[rows.to(value.device)]
    return rows_of.reshape(-1, *value.shape[1:])


def _empty_cache(model: nn.Module) -> Any | None:
    """A cache of keys and values; ``None`` if the model keeps anything else of a text."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    if "past_key_values" not in inspect.signature(model.forward).parameters:
        return None
    cache = DynamicCache(config=pretrained(model).config.get_text_config())
    usual = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)
    return cache if usual else None


def _accepted(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without positions for a model that has no use for them."""
    parameters = inspect.signature(model.forward).parameters
    return {name: tensor for name, tensor in tensors.items() if name in parameters or name != "position_ids"}


def _twin(cache: Any) -> Any:
    """A cache that grows without the given one: layers of its own over the same tensors, which are never written to."""
    twin = copy.copy(cache)
    twin.layers = [copy.copy(layer) for layer in cache.layers]
    return twin
