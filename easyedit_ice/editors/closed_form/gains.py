"""What a norm does to each dimension of what passes through it, as one factor each, read from a pass.

A root mean square norm makes y = w x / rms(x) of x, and a layer norm nearly so, but for shifts. The factors w are those
of the least-squares line through y over x / rms(x), for all tokens of some texts. So what a norm takes for a direction
is known without knowing its kind, and its Jacobian is w / rms(x), but for what changes the length of x.

Shapes: n tokens, d the width of the residual stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from easyedit_ice.editors.closed_form.contrast import places_of
from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.capture import captured, hidden_of, watching
from easyedit_ice.model.pretrained import embedding_weight, pretrained, weight_of
from easyedit_ice.runtime.batching import by_row, padded, shortest_first, tokens_on
from easyedit_ice.text.reading import TOKENS, at_places
from easyedit_ice.text.rows import Row

_LEAST = 0.01
"""Factors whose square is much smaller than this part of the mean one are not made up for."""
_TINY = torch.finfo(torch.float32).tiny


def sought_before(residuals: Tensor, gain: Tensor) -> Tensor:
    """What must be added before a norm for so much to come out after it, to first order.

    Args:
        residuals: (n, d).
        gain: of the norm, (d,).
    """
    return residuals * gain / (gain.square() + _LEAST * gain.square().mean())


@torch.no_grad()
def gain_after_norm(model: nn.Module, rows: Sequence[Row], projection: str, block: str) -> Tensor | None:
    """w / rms(x) of the norms that a block puts what its projection writes through before the sum, (d,), rms(x) being
    the median one; ``None`` if there is no norm.

    Gemma 2 and 3, OLMo 2, GLM-4 and EXAONE 4 have such norms.
    """
    device = embedding_weight(model).device
    whole, writer = model.get_submodule(block), model.get_submodule(projection)
    passed: list[tuple[list[Tensor], list[Tensor]]] = []
    for chunk in shortest_first([len(row.ids) - 1 for row in rows], tokens_on(device, TOKENS)):
        ids, real = padded([rows[index].ids[:-1] for index in chunk])
        written: list[Tensor] = []

        def after(
            module: nn.Module, args: tuple[Any, ...], output: Any, written: list[Tensor] = written, real: Tensor = real
        ) -> None:
            hidden = hidden_of(output)
            if module is writer:
                written.append(hidden)
            elif written and args and args[0] is written[-1] and hidden is not written[-1]:
                if len(passed) < len(written):
                    passed.append(([], []))
                for side, found in zip((args[0], hidden), passed[len(written) - 1], strict=True):
                    found.append(by_row(side, len(real))[real.to(side.device)].float())
                written.append(hidden)

        inputs = {"input_ids": ids.to(device), "attention_mask": real.long().to(device), "use_cache": False}
        with captured({block: whole}, "out", keep=hidden_of, stop=True), watching(whole.modules(), after=after):
            model(**inputs)
    if not passed:
        return None
    pairs = [(torch.cat(read), torch.cat(returned)) for read, returned in passed]
    return torch.stack([_gain(*pair) / _rms(pair[0]).median() for pair in pairs]).prod(0)


@torch.no_grad()
def towards_targets(model: nn.Module, rows: Sequence[Row]) -> Tensor:
    """The shortest step of the last block's output by which each target's token draws level with its strongest rival,
    to first order: (n, d).

    With g = w / rms(x) of the norm before the output head, and u and u' the head's rows of the two tokens, that is
    along g * (u - u'). A token that leads already is given a step as if it were a nat behind.

    Args:
        model: with an output head.
        rows: prompts and targets.

    Raises:
        AnatomyError: the head reads vectors of another width than the stream's, as OPT-350m's does.
    """
    anatomy, head = ModelAnatomy(model), cast("nn.Module", pretrained(model).get_output_embeddings())
    weight = weight_of(head)
    path = next(name for name, module in model.named_modules() if module is head)
    texts, every = [row.ids[:-1] for row in rows], [range(len(row.ids) - 1) for row in rows]
    last = at_places(model, texts, every, anatomy.layer_name(anatomy.num_layers - 1), "out")
    normed = at_places(model, texts, every, path, "in")
    if normed.shape[1] != last.shape[1]:
        raise AnatomyError(
            f"the model does not state the fact in its context, and its head reads {normed.shape[1]} values where its "
            f"last block writes {last.shape[1]}, so that no step towards the target is known; choose FastMEMIT"
        )
    starts = torch.tensor([0, *map(len, every)]).cumsum(0).tolist()
    at = [start + place for start, row in zip(starts, rows, strict=False) for place in places_of(row)]
    targets = torch.tensor([[token] for row in rows for token in row.predicted], device=normed.device)
    logits = head(normed[at].to(weight.dtype)).float()
    others = logits.scatter(1, targets, -torch.inf)
    lag = (others.amax(1) - logits.gather(1, targets)[:, 0]).clamp(min=1.0)
    ahead = weight[targets[:, 0]].float() - weight[others.argmax(1)].float()
    slope = _gain(last, normed) * ahead / _rms(last[at])
    step: Tensor = slope * (lag / slope.square().sum(1).clamp(min=_TINY))[:, None]
    return step


def _gain(before: Tensor, after: Tensor) -> Tensor:
    """w, (d,), from what passes (n, d)."""
    unit = before / _rms(before)
    unit, after = unit - unit.mean(0), after - after.mean(0)
    return (unit * after).sum(0) / unit.square().sum(0).clamp(min=_TINY)


def _rms(values: Tensor) -> Tensor:
    return values.square().mean(1, keepdim=True).sqrt().clamp(min=_TINY)
