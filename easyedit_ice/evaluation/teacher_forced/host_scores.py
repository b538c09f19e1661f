"""EasyEdit's scores of many records at a time: the very numbers of its ``compute_edit_quality``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from easyedit_ice.errors import ScoringProtocolError, UnscorableProbeError
from easyedit_ice.evaluation.teacher_forced.forced_answers import Forced, forced
from easyedit_ice.evaluation.teacher_forced.host_rows import HostKind, Pair
from easyedit_ice.model.tokenizer import Tokenizer

Request = Mapping[str, Any]
Scores = dict[str, Any]

_META = {
    "protocol": "decoder_only_teacher_forcing",
    "scorer": "token_accuracy",
    "comparable_group": "lm.decoder_only_teacher_forcing.token_accuracy",
}
_LOCALITY_META = {
    "protocol": "pre_post_argmax_token_match",
    "scorer": "token_match",
    "comparable_group": "locality.lm.pre_post_argmax_token_match",
}
"""How head describes its scores."""
_OWN_EVALUATOR = "score it with EasyEdit's own evaluator (easyedit_qualities)"


def edit_qualities(
    model: nn.Module,
    tok: Tokenizer,
    requests: Sequence[Request],
    *,
    max_length: int,
    host: HostKind,
) -> list[Scores]:
    """What EasyEdit's ``compute_edit_quality`` returns for each request, in batches.

    Args:
        model: a causal language model; it is left as it was, and in evaluation mode while it is asked.
        tok: its tokenizer, with a padding token.
        requests: as EasyEdit's editors make them: ``prompt``, ``target_new`` and, where a fact has them,
            ``rephrase_prompt``, ``locality`` and ``portability``.
        max_length: as in EasyEdit's hyperparameters, in tokens.
        host: whose numbers.

    Returns:
        for each request ``rewrite_acc`` and ``rephrase_acc`` ([accuracy]), ``portability`` (``<kind>_acc``: accuracy
        of each probe) and ``locality`` (``<kind>_output``: predicted tokens of each probe); of head's also
        ``metric_meta``.

    Raises:
        UnscorableProbeError: EasyEdit fails on a probe of such a form.
        ScoringProtocolError: the model is an encoder-decoder.
    """
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        raise ScoringProtocolError(f"{type(model).__name__} is an encoder-decoder; {_OWN_EVALUATOR}")
    asked = [(index, *group) for index, request in enumerate(requests) for group in probe_groups(request)]
    answers = forced(model, tok, [pairs for *_, pairs in asked], max_length=max_length, host=host)
    results = [_empty(request, host) for request in requests]
    for (index, section, kind, _), group in zip(asked, answers, strict=True):
        _require_answer(group, index, f"{section} {kind}".strip())
        _fill(results[index], section, kind, group)
    return results


def with_locality(before: Scores, after: Scores, *, host: HostKind) -> Scores:
    """The scores after an edit, with the locality EasyEdit works out from those before it.

    ``<kind>_acc`` is the share of tokens that stayed, for each probe. The release puts it in the place of
    ``<kind>_output``; head keeps both.
    """
    stayed = _stayed(before, after)
    if host == "release":
        return after | {"locality": {f"{kind}_acc": shares for kind, shares in stayed.items()}}
    shares = {f"{kind}_acc": list(map(float, shares_of)) for kind, shares_of in stayed.items()}
    metas = {f"locality.{kind}": {"result_key": f"locality.{kind}_acc", **_LOCALITY_META} for kind in stayed}
    return after | {"locality": after["locality"] | shares, "metric_meta": after["metric_meta"] | metas}


def _stayed(before: Scores, after: Scores) -> dict[str, list[np.floating]]:
    """The share of tokens that stayed, for each locality probe, by kind."""
    return {
        name.removesuffix("_output"): [
            np.mean(np.equal(new, tokens)) for new, tokens in zip(after["locality"][name], old, strict=True)
        ]
        for name, old in before["locality"].items()
    }


def _require_answer(answers: Sequence[Forced], index: int, where: str) -> None:
    """EasyEdit fails where a prompt that stands alone leaves nothing of its answer."""
    if len(answers) == 1 and not answers[0].expected:
        raise UnscorableProbeError(
            f"its {where} prompt leaves nothing of the answer to score; raise max_length, or leave the probe out", index
        )


def probe_groups(request: Request) -> Iterator[tuple[str, str, list[Pair]]]:
    """What EasyEdit asks for a request, one padded call after the other: section, kind, and prompts with answers.

    The section is ``rewrite``, ``rephrase``, ``locality`` or ``portability``; the first two have no kinds.
    """
    yield "rewrite", "", _pairs(request["prompt"], request["target_new"])
    if request.get("rephrase_prompt") is not None:
        yield "rephrase", "", _pairs(request["rephrase_prompt"], request["target_new"])
    for section in ("locality", "portability"):
        for kind, probes in (request.get(section) or {}).items():
            yield section, kind, _pairs(probes["prompt"], probes["ground_truth"])


def _pairs(prompts: str | Sequence[str], answers: str | Sequence[str]) -> list[Pair]:
    if isinstance(prompts, str):
        return [(prompts, str(answers))]
    return list(zip(prompts, answers, strict=True))


def _empty(request: Request, host: HostKind) -> Scores:
    scores: Scores = {"rewrite_acc": [], "locality": {}, "portability": {}}
    if host == "head":
        sections = ["rewrite"] + ["rephrase"] * (request.get("rephrase_prompt") is not None)
        scores["metric_meta"] = {section: {"result_key": f"{section}_acc", **_META} for section in sections}
    return scores


def _fill(scores: Scores, section: str, kind: str, answers: Sequence[Forced]) -> None:
    if section == "locality":
        scores[section][f"{kind}_output"] = [list(answer.predicted) for answer in answers]
        return
    # EasyEdit leaves out probes of whose answer nothing is left.
    accuracies = [np.mean(np.equal(answer.predicted, answer.expected)) for answer in answers if answer.expected]
    where, name = (scores, section) if not kind else (scores[section], kind)
    where[f"{name}_acc"] = accuracies


def by_measure(scores: Scores, before: Scores | None = None) -> dict[str, float]:
    """Means over probes of each of EasyEdit's accuracies, by measure: ``rewrite``, ``locality.<kind>`` and so on.

    Args:
        scores: after an edit, of either EasyEdit.
        before: those before it, where ``scores`` do not say yet what stayed.
    """
    result = {name: scores[f"{name}_acc"] for name in ("rewrite", "rephrase") if f"{name}_acc" in scores}
    sections = {name: scores[name] for name in ("portability", "locality")}
    if before is not None:
        sections["locality"] = {f"{kind}_acc": shares for kind, shares in _stayed(before, scores).items()}
    for section, kinds in sections.items():
        for name, values in kinds.items():
            if name.endswith("_acc"):
                result[f"{section}.{name.removesuffix('_acc')}"] = values
    means = {measure: float(np.mean(values)) for measure, values in result.items()}
    return {measure: mean for measure, mean in means.items() if not np.isnan(mean)}
