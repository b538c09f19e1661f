"""MQuAKE (arXiv 2305.14795): cases of one to four edits, with questions that need all of them.

The original files and MQuAKE-Remastered (ICLR 2025) have the same keys, but for the texts of old and new answers, which
the latter keeps as ``target_true_str`` and ``target_new_str``. Each edit becomes a record of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from easyedit_ice.data.form import Form, Raw, dig, joined

_REWRITES = "requested_rewrite"


def edits(raw: Raw) -> Sequence[Raw]:
    """A record for each edit of a case: ``edit``, how many ``edits`` the case has, and whether this is the ``last``."""
    rewrites = raw.get(_REWRITES)
    if not isinstance(rewrites, list) or not rewrites:
        return (raw,)
    return [
        {**raw, "edit": _flat(rewrite), "edits": len(rewrites), "last": place == len(rewrites)}
        | {"relation_id": dig(rewrite, ("relation_id",))}
        for place, rewrite in enumerate(rewrites, 1)
    ]


def _flat(rewrite: Any) -> Any:
    """An edit with its answers as texts, from either kind of file."""
    if not isinstance(rewrite, Mapping):
        return rewrite
    new, old = (dig(rewrite, (key, "str")) or rewrite.get(f"{key}_str") for key in ("target_new", "target_true"))
    return {**rewrite, "target_new_str": new, "target_true_str": old}


def _probes(raw: Raw) -> dict[str, Any]:
    """The case's questions belong to its last edit: the answer changes once all are made."""
    several = raw.get("edits") != 1
    questions = raw.get("questions") if raw.get("last") else []
    answer = [_answers(raw.get("new_answer"), raw.get("new_answer_alias"))]
    kind = "multi_hop_of_several" if several else "multi_hop"
    asked = (
        [{"prompt": question, "ground_truth": answer} for question in questions]
        if isinstance(questions, list)
        else questions
    )
    return {"locality": joined([_other_hops(raw)]), "portability": {kind: asked}}


def _other_hops(raw: Raw) -> dict[str, Any]:
    """The steps of the new chain that no edit of the case makes; they hold before and after."""
    rewrites, hops = raw.get(_REWRITES), raw.get("new_single_hops")
    if not raw.get("last") or not isinstance(rewrites, list) or not isinstance(hops, list):
        return {}
    texts = {text for rewrite in rewrites if isinstance(rewrite, Mapping) for text in _wordings(rewrite)}
    return {
        "other_hops": [
            {"prompt": hop.get("question"), "ground_truth": [_answers(hop.get("answer"), hop.get("answer_alias"))]}
            for hop in hops
            if isinstance(hop, Mapping) and not texts & {hop.get("question"), hop.get("cloze")}
        ]
    }


def _wordings(rewrite: Mapping[str, Any]) -> list[str]:
    prompt, subject = rewrite.get("prompt"), rewrite.get("subject")
    filled = prompt.replace("{}", subject) if isinstance(prompt, str) and isinstance(subject, str) else None
    return [text for text in (rewrite.get("question"), filled) if isinstance(text, str)]


def _answers(answer: Any, aliases: Any) -> list[Any]:
    """An answer with its aliases."""
    return [answer, *(aliases if isinstance(aliases, list) else [])]


MQUAKE = Form(
    name="mquake",
    marks=frozenset({_REWRITES, "questions", "new_answer"}),
    fields={
        "subject": ("edit", "subject"),
        "prompt": ("edit", "prompt"),
        "target_new": ("edit", "target_new_str"),
        "ground_truth": ("edit", "target_true_str"),
        "rephrase_prompt": ("edit", "question"),
    },
    probes=_probes,
    facts=edits,
)
