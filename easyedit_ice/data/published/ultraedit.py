"""The files of UltraEdit (arXiv 2505.14679): UltraEditBench, and its forms of zsRE and FEVER."""

from __future__ import annotations

from typing import Any

from easyedit_ice.data.form import Form, Raw, same_names, single


def _neighbour(raw: Raw) -> dict[str, Any]:
    return {"locality": single("neighborhood", raw.get("loc"), raw.get("loc_ans")), "portability": None}


def _fever_probes(raw: Raw) -> dict[str, Any]:
    """The first of a claim's other wordings is its rephrase; the others are asked besides."""
    wordings = raw.get("equiv_prompt")
    others = wordings[1:] if isinstance(wordings, list) else []
    asked = [{"prompt": wording, "ground_truth": raw.get("alt")} for wording in others]
    return {
        "locality": single("neighborhood", raw.get("unrel_prompt"), raw.get("unrel_ans")),
        "portability": {"equivalent": asked},
    }


ULTRAEDITBENCH = Form(
    name="ultraeditbench",
    marks=frozenset({"prompt", "ans", "loc", "loc_ans"}),
    fields={**same_names("subject", "prompt", "ground_truth", "rephrase_prompt"), "target_new": ("ans",)},
    probes=_neighbour,
)
ZSRE_ANS = Form(
    name="zsre-ans",
    marks=frozenset({"src", "ans", "loc", "loc_ans"}),
    fields={
        **same_names("subject", "ground_truth"),
        "prompt": ("src",),
        "target_new": ("ans",),
        "rephrase_prompt": ("rephrase",),
    },
    probes=_neighbour,
)
FEVER = Form(
    name="fever",
    marks=frozenset({"prompt", "alt", "equiv_prompt", "unrel_prompt", "unrel_ans"}),
    fields={
        **same_names("subject", "prompt", "ground_truth"),
        "target_new": ("alt",),
        "rephrase_prompt": ("equiv_prompt", 0),
    },
    probes=_fever_probes,
)
