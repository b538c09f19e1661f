"""How much it matters what a projection writes: S = E[g gᵀ] over general text, measured once on the unedited model.

g is the gradient, by what the projection writes at a token, of the log-probability of what the model itself would write
next: C = E[k kᵀ] and S are the two factors of the Fisher information of a projection's weight (K-FAC, Martens and
Grosse 2015, arXiv 1503.05671), so that tr(S ΔW C ΔWᵀ) is about twice the divergence per token that ΔW causes on general
text. C alone, which MEMIT and AlphaEdit weigh by, calls a change dear wherever general text is read; it is dear only
where what it writes there is listened to as well (CrispEdit, arXiv 2602.15823).

The Fisher information counts what a model is sure of for little: the gradient of log p vanishes as p goes to 1. That is
right for one small change, and too little for the sum of hundreds of edits. The gradient of the log-odds
log(p / (1 - p)) of what the model finds likeliest does not vanish, and S may be made of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from easyedit_ice.errors import DataError
from easyedit_ice.model.activation_memory import FP32, vocabulary
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.baseline import as_first_seen, baseline_of
from easyedit_ice.model.pretrained import pretrained
from easyedit_ice.model.pulls import odds, pulled
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.corpora import text_source
from easyedit_ice.precompute.moment_store import Origin, load_moment, save_moment
from easyedit_ice.precompute.moments import Measuring
from easyedit_ice.text.rows import TOGETHER
from easyedit_ice.text.tokens import tokens

SCORES = ("drawn", "odds")
"""What g is the gradient of: log p of a token drawn as the model would write it, or log-odds of the likeliest."""

_LONGEST = 64
"""Most tokens of a text that are read."""
_TOGETHER = 2048
"""Tokens that run side by side at most, and a text more."""


def sensitivities(
    model: nn.Module, tok: Tokenizer, names: Sequence[str], measuring: Measuring, score: str = "drawn"
) -> dict[str, Tensor]:
    """S (out, out) of some projections in fp64, by path; from disk where it is stored, else measured in one pass.

    Args:
        model: before any edit, if it was not seen before.
        tok: its tokenizer.
        names: paths of the projections.
        measuring: the text; ``dynamic_multiplier`` tokens for each output of the widest projection are read.
        score: what g is the gradient of.

    Raises:
        StatisticsError: a stored S is damaged.
        DataError: there is no such text.
    """
    cache = baseline_of(model).tables["sensitivities"]
    missing = [name for name in names if (name, measuring, score) not in cache]
    if missing:
        measured = _load_or_measure(model, tok, missing, measuring, score)
        cache.update({(name, measuring, score): matrix for name, matrix in measured.items()})
    return {name: cache[name, measuring, score] for name in names}


def _load_or_measure(
    model: nn.Module, tok: Tokenizer, names: Sequence[str], measuring: Measuring, score: str
) -> dict[str, Tensor]:
    source = text_source(measuring.mom2_dataset, model, tok)
    widths = {name: ModelAnatomy(model).site(name).out_features for name in names}
    count = measuring.dynamic_multiplier * max(widths.values())
    origins = {
        name: Origin(
            model=str(pretrained(model).config._name_or_path),
            weights=baseline_of(model).weights,
            module=f"{name}, gradients" + ("" if score == "drawn" else " of log-odds"),
            text=source.name,
            text_hash=source.fingerprint,
            tokens=count,
            longest=_LONGEST,
            dtype=measuring.mom2_dtype,
        )
        for name in names
    }
    stored = {name: loaded[0] for name, origin in origins.items() if (loaded := load_moment(origin)) is not None}
    if len(stored) < len(names):
        keep = as_first_seen(model)
        measured = measure(model, tok, names, source, count, score=score)
        for name in names if keep else ():
            save_moment(origins[name], measured[name], count)
        return measured
    return stored


def tokens_together(model: nn.Module) -> int:
    """Tokens that run side by side: fewer where the vocabulary is large, and a text's at least."""
    return max(_LONGEST, min(_TOGETHER, TOGETHER // (FP32 * vocabulary(model))))


def measure(
    model: nn.Module,
    tok: Tokenizer,
    names: Sequence[str],
    texts: Iterable[str],
    count: int,
    seed: int = 0,
    score: str = "drawn",
) -> dict[str, Tensor]:
    """S of some projections, (out, out) in fp64.

    Args:
        model: in evaluation mode; its parameters get no gradient.
        tok: its tokenizer.
        names: paths of the projections.
        texts: read in order, each up to 64 tokens.
        count: stop after so many tokens.
        seed: of what the model would write next.
        score: what g is the gradient of.

    Raises:
        DataError: the texts end before.
    """
    draws, together = torch.Generator().manual_seed(seed), tokens_together(model)
    sums: dict[str, Tensor] = {}
    read = 0
    batch: list[tuple[int, ...]] = []

    def scored(logits: Tensor) -> Tensor:
        log_probs = logits.float().log_softmax(-1)
        if score == "odds":
            return odds(-log_probs.amax(-1))
        drawn = torch.multinomial(log_probs.detach().exp().cpu(), 1, generator=draws)
        return log_probs.gather(1, drawn.to(log_probs.device))

    def run() -> None:
        where = [(index, place) for index, row in enumerate(batch) for place in range(len(row))]
        _, _, pulls = pulled(model, batch, names, where, scored)
        for name, pull in pulls.items():
            sums[name] = sums.get(name, 0) + pull.double().T @ pull.double()

    for text in texts:
        ids = tokens(tok, text)[: min(_LONGEST, count - read)]
        if not ids:
            continue
        batch.append(ids)
        read += len(ids)
        if sum(map(len, batch)) >= together or read == count:
            run()
            batch = []
        if read == count:
            return {name: total / read for name, total in sums.items()}
    raise DataError(
        f"the texts hold {read} tokens, and what gradients are measured on needs {count}; give more text, or lower "
        "dynamic_multiplier"
    )
