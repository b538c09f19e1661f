"""Facts in groups, each of which becomes an expert."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import ExpertError
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import batches_alike, padded
from easyedit_ice.runtime.extras import require
from easyedit_ice.text.subjects import renamed
from easyedit_ice.text.tokens import tokens

WAYS = ("fact", "relation", "cluster")
MOST_ROWS = 64
"""Prompts run side by side."""
_SEED, _STARTS = 0, 10

Groups = dict[str, list[int]]
"""Indices of facts by the name of their group, which is also one for a folder."""


def grouped(
    requests: Sequence[EditRequest],
    by: str,
    *,
    relations: Sequence[str | None] | None = None,
    model: nn.Module | None = None,
    tok: Tokenizer | None = None,
    clusters: int | None = None,
) -> Groups:
    """Facts in groups, in the order of their first facts.

    Args:
        requests: the facts.
        by: ``"fact"``: each by itself; ``"relation"``: those of one kind; ``"cluster"``: those whose prompts leave the
            model in like states.
        relations: kinds of the facts; where one is not given, it is the prompt without its subject.
        model: for clusters.
        tok: its tokenizer.
        clusters: how many.

    Raises:
        ExpertError: there is no such way; or not so many facts as clusters, or no model to make them with.
    """
    if by not in WAYS:
        raise ExpertError(f"facts cannot be grouped by {by!r}; choose one of {', '.join(WAYS)}")
    if by == "fact":
        return {f"fact-{index}": [index] for index in range(len(requests))}
    if by == "relation":
        named = [None] * len(requests) if relations is None else relations
        return _together([name or without_subject(request) for request, name in zip(requests, named, strict=True)])
    if clusters is None or not 1 <= clusters <= len(requests):
        raise ExpertError(f"clusters is {clusters}; expected a number from 1 to that of the facts, {len(requests)}")
    if model is None or tok is None:
        raise ExpertError("clusters are made of a model's states; give the model and its tokenizer")
    states = mean_states(model, tok, requests)
    return _together([f"cluster-{label}" for label in _clusters(states, clusters)])


def without_subject(request: EditRequest) -> str:
    """A prompt with a blank in place of its subject."""
    return request.prompt if request.subject is None else renamed(request.prompt, request.subject, "_")


@torch.no_grad()
def mean_states(model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest]) -> Tensor:
    """Mean over its tokens of the last hidden states of each fact's prompt: (n, width) in fp32 on the CPU.

    Args:
        model: in evaluation mode.
        tok: its tokenizer.
        requests: the facts.
    """
    rows = [tokens(tok, request.prompt) for request in requests]
    by_row: dict[int, Tensor] = {}
    for batch in batches_alike([len(row) for row in rows], MOST_ROWS):
        by_row |= zip(batch, _means(model, [rows[index] for index in batch]), strict=True)
    return torch.stack([by_row[index] for index in range(len(rows))])


def _means(model: nn.Module, rows: Sequence[Sequence[int]]) -> Tensor:
    device = embedding_weight(model).device
    ids, real = (part.to(device) for part in padded(rows))
    output = model(input_ids=ids, attention_mask=real.long(), output_hidden_states=True, use_cache=False)
    weights = real.float()[..., None]
    states = output.hidden_states[-1].float() * weights
    means: Tensor = (states.sum(1) / weights.sum(1)).cpu()
    return means


def _clusters(states: Tensor, count: int) -> list[int]:
    """The number of each state's cluster, by k-means; the same for the same states."""
    require("experts", "grouping facts by clusters")
    from sklearn.cluster import KMeans

    labels: list[int] = KMeans(count, n_init=_STARTS, random_state=_SEED).fit_predict(states.numpy()).tolist()
    return labels


def _together(kinds: Sequence[str]) -> Groups:
    names: Mapping[str, str] = _folder_names(kinds)
    groups: Groups = {}
    for index, kind in enumerate(kinds):
        groups.setdefault(names[kind], []).append(index)
    return groups


def _folder_names(kinds: Sequence[str]) -> dict[str, str]:
    """Each kind as the name of a folder; two that would get the same are numbered."""
    names: dict[str, str] = {}
    for kind in dict.fromkeys(kinds):
        plain = re.sub(r"[^\w.+-]+", "-", kind).strip("-._+") or "group"
        numbered = (plain, *(f"{plain}+{number}" for number in range(2, len(names) + 3)))
        names[kind] = next(name for name in numbered if name not in names.values())
    return names
