"""Facts told in paragraphs: UnKE (arXiv 2405.15349) and AKEW (arXiv 2402.18909)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from easyedit_ice.data.form import Form, Path, Raw, dig, joined, paired, same_names

_REWRITE = "requested_rewrite"


def _unke_probes(raw: Raw) -> dict[str, Any]:
    return {
        "locality": None,
        "portability": paired("sub_questions", raw.get("sub_question"), raw.get("sub_answer")),
    }


def _akew_facts(raw: Raw) -> Sequence[Raw]:
    """A record for each edit: AKEW's MQuAKE has a list of them, its other files one."""
    rewrites = raw.get(_REWRITE)
    return [
        {**raw, "edit": rewrite, "relation_id": dig(rewrite, ("relation_id",))}
        for rewrite in (rewrites if isinstance(rewrites, list) and rewrites else [rewrites])
    ]


def _akew_probes(raw: Raw) -> dict[str, Any]:
    """What the paragraph says: its facts as triplets, and the one that it was written for."""
    edit = raw.get("edit")
    triplets = dig(edit, ("unsfact_triplets_GPT",))
    told = [_filled(triplet, "target") for triplet in triplets] if isinstance(triplets, list) else triplets
    fact = _filled(edit, "target_new") if isinstance(edit, Mapping) else None
    return {
        "locality": None,
        "portability": joined(
            (
                {"structured": [fact]} if fact is not None else {},
                {} if told is None else {"told": told},
            )
        ),
    }


def _filled(triplet: Any, target: str) -> Any:
    """A triplet's prompt with its subject, and its answer."""
    if not isinstance(triplet, Mapping):
        return triplet
    prompt, subject, answer = triplet.get("prompt"), triplet.get("subject"), triplet.get(target)
    if isinstance(prompt, str) and isinstance(subject, str):
        prompt = prompt.replace("{}", subject)
    return {"prompt": prompt, "ground_truth": answer.get("str") if isinstance(answer, Mapping) else answer}


def _akew(name: str, inner: Path, rephrase: Path) -> Form:
    return Form(
        name=name,
        marks=frozenset({_REWRITE}),
        fields={
            "subject": ("edit", "subject"),
            "prompt": ("edit", "question"),
            "target_new": ("edit", "fact_new_uns"),
            "ground_truth": ("ground_truth",),
            "rephrase_prompt": rephrase,
        },
        probes=_akew_probes,
        inner=(inner,),
        facts=_akew_facts,
    )


UNKE = Form(
    name="unke",
    marks=frozenset({"question", "para_question", "answer", "sub_question", "sub_answer"}),
    fields={
        **same_names("subject", "ground_truth"),
        "prompt": ("question",),
        "target_new": ("answer",),
        "rephrase_prompt": ("para_question",),
    },
    probes=_unke_probes,
)
AKEW = _akew("akew", (_REWRITE, "fact_new_uns"), ("paraphrase_prompts", 0))
AKEW_MQUAKE = _akew("akew-mquake", (_REWRITE, 0, "fact_new_uns"), ("rephrase_prompt",))
