"""Questions that models answer wrong: QAEdit (arXiv 2502.11177) and HalluEditBench (arXiv 2410.16251)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from easyedit_ice.data.form import Form, Raw, joined, same_names, single

_HOPS = range(2, 7)


def _qaedit_probes(raw: Raw) -> dict[str, Any]:
    beside = raw.get("locality")
    if isinstance(beside, list):
        beside = [
            {"prompt": other.get("loc"), "ground_truth": other.get("loc_ans")} if isinstance(other, Mapping) else other
            for other in beside
        ]
    return {"locality": None if beside is None else {"neighborhood": beside}, "portability": None}


def _hallu_facts(raw: Raw) -> Sequence[Raw]:
    """The record with what the model of its file answers, as the old answer."""
    said = next((value for key, value in raw.items() if key.startswith("output_")), None)
    return ({**raw, "said": said},)


def _hallu_probes(raw: Raw) -> dict[str, Any]:
    """Its own probes; the question of locality has no answer in the files, and cannot be scored by one."""
    choices, question = raw.get("multiple_choice_with_letters"), raw.get("question")
    listed = f"{question} {choices}" if isinstance(question, str) and isinstance(choices, str) else None
    hops = (single(f"{n}hop", raw.get(f"question_{n}hop"), raw.get(f"answer_{n}hop")) for n in _HOPS)
    return {
        "locality": None,
        "portability": joined(
            (
                single("yes", raw.get("yes_question"), "Yes") if raw.get("yes_question") else {},
                single("no", raw.get("no_question"), "No") if raw.get("no_question") else {},
                single("multiple_choice", listed, raw.get("multiple_choice_labels")) if listed else {},
                single("reversed_relation", raw.get("reversed_relation_question"), raw.get("subject"))
                if raw.get("reversed_relation_question")
                else {},
                *hops,
            )
        ),
    }


QAEDIT = Form(
    name="qaedit",
    marks=frozenset({"source", "prompt", "target", "rephrase", "locality"}),
    fields={
        **same_names("subject", "prompt", "ground_truth"),
        "target_new": ("target",),
        "rephrase_prompt": ("rephrase",),
    },
    probes=_qaedit_probes,
)
HALLUEDITBENCH = Form(
    name="halluedit",
    marks=frozenset({"question", "object", "paraphrased_question", "yes_question", "no_question"}),
    fields={
        "subject": ("subject",),
        "prompt": ("question",),
        "target_new": ("object",),
        "ground_truth": ("said",),
        "rephrase_prompt": ("paraphrased_question",),
    },
    probes=_hallu_probes,
    facts=_hallu_facts,
)
