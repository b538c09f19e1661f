"""What a module reads or writes at some tokens of each text, by a pass that ends there.

Shapes: n rows, p places in all, d the width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.errors import AnatomyError

TOKENS = {"cpu": 2048, "cuda": 32768}
"""Most tokens run side by side."""


class Enough(Exception):
    """All that was wanted has been read: the rest of the pass is not needed."""


def at_last_token(model: nn.Module, rows: Sequence[Sequence[int]], module: str, side: str) -> Tensor:
    """What a module reads or writes at the last token of each row: (n, d), as :func:`at_places` has it."""
    return at_places(model, rows, [(len(row) - 1,) for row in rows], module, side)


@torch.no_grad()
def at_places(
    model: nn.Module, rows: Sequence[Sequence[int]], places: Sequence[Sequence[int]], module: str, side: str
) -> Tensor:
    """What a module reads or writes at some tokens of each row: (p, d) in fp32, one row's after the other's; the pass
    ends there.

    Args:
        model: in evaluation mode.
        rows: token ids.
        places: of each row, indices of its tokens.
        module: its path.
        side: ``"in"`` or ``"out"``.

    Raises:
        AnatomyError: the model does not call the module.
    """
    found: dict[int, Tensor] = {}
    device = model.get_input_embeddings().weight.device
    for chunk in chunks(rows, TOKENS.get(device.type, TOKENS["cuda"])):
        ids, real = padded([rows[index] for index in chunk])
        inputs = {"input_ids": ids.to(device), "attention_mask": real.long().to(device), "use_cache": False}
        values = by_row(_seen(model, inputs, module, side), len(chunk))
        found |= {index: own[list(places[index])].float() for index, own in zip(chunk, values, strict=True)}
    return torch.cat([found[index] for index in range(len(rows))])


def _seen(model: nn.Module, inputs: Mapping[str, Any], module: str, side: str) -> Tensor:
    """What a module reads or writes."""
    seen: list[Tensor] = []

    def before(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen.append(args[0])
        raise Enough

    def after(module: nn.Module, args: Any, output: Any) -> None:
        seen.append(hidden_of(output))
        raise Enough

    watched = model.get_submodule(module)
    handle = watched.register_forward_pre_hook(before) if side == "in" else watched.register_forward_hook(after)
    try:
        model(**inputs)
    except Enough:
        pass
    finally:
        handle.remove()
    if not seen:
        raise not_run(module)
    return seen[0]


def not_run(module: str) -> AnatomyError:
    """The error for a module of which a pass has taken the weight alone, as fused kernels do."""
    return AnatomyError(
        f"{module} is not called in the model's forward pass, which reads its weight directly; choose other "
        "target_modules or layers"
    )


def chunks(rows: Sequence[Sequence[int]], tokens: int) -> Iterator[list[int]]:
    """Indices of rows of like length, with so many tokens at most."""
    chunk: list[int] = []
    for index in sorted(range(len(rows)), key=lambda index: len(rows[index])):
        if chunk and len(rows[index]) * (len(chunk) + 1) > tokens:
            yield chunk
            chunk = []
        chunk.append(index)
    if chunk:
        yield chunk


def padded(rows: Sequence[Sequence[int]], left: bool = False) -> tuple[Tensor, Tensor]:
    """Rows side by side, and which cells are theirs: (n, longest) each."""
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    real = torch.zeros(len(rows), width, dtype=torch.bool)
    for index, row in enumerate(rows):
        own = slice(width - len(row), width) if left else slice(0, len(row))
        ids[index, own] = torch.tensor(row, dtype=torch.long)
        real[index, own] = True
    return ids, real


def by_row(values: Tensor, rows: int) -> Tensor:
    """(n, tokens, d); the MLPs of some models, such as OPT, see the tokens of all rows one after the other."""
    return values.reshape(rows, -1, values.shape[-1])


def hidden_of(output: Any) -> Tensor:
    """The hidden states in what a module returns."""
    return output[0] if isinstance(output, (tuple, list)) else output


def with_hidden(output: Any, hidden: Tensor) -> Any:
    """What a module returned, with other hidden states."""
    if isinstance(output, list):
        return [hidden, *output[1:]]
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden
