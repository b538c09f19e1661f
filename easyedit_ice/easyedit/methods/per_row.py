"""Wrappers of EasyEdit that decide once for all texts of a batch what to answer, asked one text at a time.

WISE compares activations averaged over the batch and its padding, DEFER's output fits batches of one row only, and
GRACE and MELO look up their keys at one place for all rows. Asked alone, a text is answered as EasyEdit's evaluation of
it alone is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import CausalLMOutputWithPast


class AskedAlone(nn.Module):
    """Calls a wrapper with single rows, without their padding.

    Args:
        wrapper: what EasyEdit calls the edited model.
        model: the model inside, which answers for everything else, such as ``config``.
    """

    asked_alone = True

    def __init__(self, wrapper: nn.Module, model: nn.Module) -> None:
        super().__init__()
        self.wrapper = wrapper
        self._inner = [model]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: Sequence[Any] | None = None,
        use_cache: bool = False,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits (rows, positions, vocabulary), zero at padding, and one cache for each row."""
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        rows, caches = [], []
        for index, (ids, mask) in enumerate(zip(input_ids, real.bool(), strict=True)):
            cache = past_key_values[index] if past_key_values else None
            if cache is None:
                self._look_up_last()
            read = mask[-len(ids) :]
            output = self.wrapper(
                input_ids=ids[read][None],
                attention_mask=mask[mask][None].long(),
                past_key_values=cache,
                use_cache=use_cache,
            )
            row = output.logits.new_zeros(len(ids), output.logits.shape[-1])
            row[read] = output.logits[0]
            rows.append(row)
            caches.append(output.past_key_values)
        held: Any = caches if use_cache else None  # a list, one cache for each row
        return CausalLMOutputWithPast(logits=torch.stack(rows), past_key_values=held)

    def generate(self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any) -> Tensor:
        """What is written after each row, padded on the right: (rows, positions)."""
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        written = []
        for ids, mask in zip(input_ids, real.bool(), strict=True):
            self._look_up_last()
            generate = cast("Any", self.wrapper).generate
            row = generate(input_ids=ids[mask][None], attention_mask=mask[mask][None].long(), **kwargs)[0]
            written.append(torch.cat([ids, row[int(mask.sum()) :]]))
        pad = kwargs["generation_config"].pad_token_id if "generation_config" in kwargs else self.config.pad_token_id
        return nn.utils.rnn.pad_sequence(written, batch_first=True, padding_value=pad or 0)

    def get_output_embeddings(self) -> None:
        """None that sees all rows at once."""
        return

    def _look_up_last(self) -> None:
        """Have GRACE take its key from the last token of what comes next, as its own ``generate`` does."""
        for module in self._inner[0].modules():
            if hasattr(module, "key_id"):
                cast("Any", module).key_id = -1

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._inner[0], name)
