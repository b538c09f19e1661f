"""The blocks above one layer, run again and again on the same texts.

Shapes: n rows, p tokens before the subject's last, s tokens from it on, d the width, t places, v the vocabulary.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.anatomy import ModelAnatomy
from easyedit_ice.closed_form.facts import FactRow
from easyedit_ice.forwards import replaced_forwards
from easyedit_ice.logits import logits_at
from easyedit_ice.text.passes import Enough, by_row, hidden_of, padded, with_hidden
from easyedit_ice.text.rows import alike


class UpperBlocks:
    """The blocks above one layer, to be run many times on the same rows with something added to what they read.

    All that the addition does not change is worked out once: the layer's output, and keys and values of the tokens
    before the subject's last, which do not see it. Rows of like length run side by side.

    Args:
        model: in evaluation mode.
        rows: texts, with the token at which something is added.
        layer: below which all is kept.
        last: the highest block that is run; the model's own last one if ``None``.
        measured: path of a module whose output at the subject's last token is wanted besides.

    Attributes:
        measured: that output, (n, d).
    """

    def __init__(
        self, model: nn.Module, rows: Sequence[FactRow], layer: int, *, last: int | None = None, measured: str
    ) -> None:
        self._groups = [
            (group, _Group(model, [rows[index] for index in group], layer, last, measured))
            for group in alike([len(row.read) for row in rows])
        ]
        found = {
            index: own for group, blocks in self._groups for index, own in zip(group, blocks.measured, strict=True)
        }
        self.measured = torch.stack([found[index] for index in range(len(rows))])

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some of the rows."""
        places = {row: place for place, row in enumerate(rows)}
        left = []
        for group, blocks in self._groups:
            kept = [index for index, row in enumerate(group) if row in places]
            if kept:
                blocks.keep(kept)
                left.append(([places[group[index]] for index in kept], blocks))
        self._groups = left
        self.measured = self.measured[list(rows)]

    def log_probs(self, added: Tensor) -> Tensor:
        """Log-probabilities at the rows' places, one row's after the other's: (t, v) in fp32.

        Args:
            added: to the layer's output at the subject's last token, (n, d).
        """
        found: dict[int, Tensor] = {}
        for group, blocks in self._groups:
            found |= zip(group, blocks.log_probs(added[group]), strict=True)
        return torch.cat([found[index] for index in range(len(added))])


class _Group:
    """:class:`UpperBlocks` of rows that run side by side."""

    def __init__(self, model: nn.Module, rows: Sequence[FactRow], layer: int, last: int | None, measured: str) -> None:
        self._model, self._layer = model, layer
        self._blocks = ModelAnatomy(model).blocks
        self._last = len(self._blocks) - 1 if last is None else last
        self._rows = list(rows)
        device = model.get_input_embeddings().weight.device
        before, before_real = padded([row.before for row in rows], left=True)
        read, read_real = padded([row.read for row in rows])
        starts = before_real.sum(1, keepdim=True)
        positions = {"before": before_real.cumsum(1) - 1, "read": starts + read_real.cumsum(1) - 1}
        self._before = before.shape[1]
        self._tensors = {
            "input_ids": read.to(device),
            "attention_mask": torch.cat([before_real, read_real], 1).long().to(device),
            "position_ids": positions["read"].to(device),
        }
        with torch.no_grad():
            self._cache = self._prefilled(before, before_real, positions["before"].clamp(min=0), device)
            self._output, self.measured = self._captured(measured)
        for lower in () if self._cache is None else self._cache.layers[: layer + 1]:
            # These blocks do not run again: of their keys and values the length alone is needed.
            lower.keys, lower.values = lower.keys[:, :1, :, :1].clone(), lower.values[:, :1, :, :1].clone()

    def keep(self, rows: Sequence[int]) -> None:
        if len(rows) == len(self._rows):
            return
        hidden = hidden_of(self._output)
        chosen = torch.tensor(rows, device=hidden.device)
        self._rows = [self._rows[row] for row in rows]
        self._tensors = {name: tensor[chosen.to(tensor.device)] for name, tensor in self._tensors.items()}
        self._output = with_hidden(self._output, hidden[chosen])
        if self._cache is not None:
            self._cache = _twin(self._cache)
            self._cache.batch_select_indices(chosen)

    def log_probs(self, added: Tensor) -> tuple[Tensor, ...]:
        """Log-probabilities at the places of each row."""
        hidden = hidden_of(self._output)
        first = (hidden[:, 0] + added.to(hidden.dtype))[:, None]
        edited = torch.cat([first, hidden[:, 1:]], 1)
        where = [(index, place) for index, row in enumerate(self._rows) for place in row.places]
        with self._skipping(edited):
            logits = logits_at(self._model, self._inputs(), where)
        return logits.float().log_softmax(-1).split([len(row.places) for row in self._rows])

    def _inputs(self) -> dict[str, Any]:
        cache = {} if self._cache is None else {"past_key_values": _twin(self._cache), "use_cache": True}
        return _accepted(self._model, self._tensors) | cache

    def _prefilled(self, ids: Tensor, real: Tensor, positions: Tensor, device: torch.device) -> Any | None:
        """Keys and values of the tokens before the subject's last."""
        from transformers import DynamicCache

        if not self._before:
            return None
        cache = DynamicCache(config=self._model.config.get_text_config())
        tensors = {"input_ids": ids, "attention_mask": real.long(), "position_ids": positions}
        inputs = _accepted(self._model, {name: tensor.to(device) for name, tensor in tensors.items()})
        logits_at(self._model, inputs | {"past_key_values": cache, "use_cache": True}, [(0, 0)])
        return cache

    def _captured(self, measured: str) -> tuple[Any, Tensor]:
        """The layer's output, and what another module writes at the subject's last token."""
        found: dict[str, Any] = {}

        def keep(name: str) -> Any:
            def hook(module: nn.Module, args: Any, output: Any) -> None:
                found[name] = output
                if len(found) == 2:
                    raise Enough

            return hook

        watched = {"layer": self._blocks[self._layer], "measured": self._model.get_submodule(measured)}
        handles = [module.register_forward_hook(keep(name)) for name, module in watched.items()]
        try:
            self._model(**self._inputs())
        except Enough:
            pass
        finally:
            for handle in handles:
                handle.remove()
        first = by_row(hidden_of(found["measured"]), len(self._rows))[:, 0]
        return found["layer"], first.clone()

    def _skipping(self, edited: Tensor) -> AbstractContextManager[None]:
        """Blocks up to the layer return the edited output unseen, and those above the last one what they are given."""

        def below(*args: Any, **kwargs: Any) -> Any:
            return with_hidden(self._output, edited)

        def above(*args: Any, **kwargs: Any) -> Any:
            return with_hidden(self._output, args[0] if args else kwargs["hidden_states"])

        lower, upper = self._blocks[: self._layer + 1], self._blocks[self._last + 1 :]
        return replaced_forwards(dict.fromkeys(lower, below) | dict.fromkeys(upper, above))


def _accepted(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without positions for a model that has no use for them."""
    known = inspect.signature(model.forward).parameters
    return {name: tensor for name, tensor in tensors.items() if name in known or name != "position_ids"}


def _twin(cache: Any) -> Any:
    """A cache that grows without the given one: layers of its own over the same tensors, which are never written to."""
    twin = copy.copy(cache)
    twin.layers = [copy.copy(layer) for layer in cache.layers]
    return twin
