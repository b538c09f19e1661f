"""WikiBigEdit (arXiv 2503.05683): Wikidata's edits of half a year, as questions."""

from __future__ import annotations

from typing import Any

from easyedit_ice.data.form import Form, Raw, joined, single, text_or_none


def _probes(raw: Raw) -> dict[str, Any]:
    """A question whose text is missing was not made for this fact; one whose answer is missing is a flaw."""
    persona = text_or_none(raw.get("personas"))
    hops = text_or_none(raw.get("mhop"))
    return {
        "locality": single("neighborhood", raw.get("loc"), raw.get("loc_ans")),
        "portability": joined(
            (
                single("personas", persona, raw.get("ans")) if persona else {},
                single("mhop", hops, raw.get("mhop_ans")) if hops else {},
            )
        ),
    }


WIKIBIGEDIT = Form(
    name="wikibigedit",
    marks=frozenset({"update", "ans", "personas", "mhop"}),
    fields={
        "subject": ("subject",),
        "prompt": ("update",),
        "target_new": ("ans",),
        "ground_truth": ("ground_truth",),
        "rephrase_prompt": ("rephrase",),
    },
    probes=_probes,
)
