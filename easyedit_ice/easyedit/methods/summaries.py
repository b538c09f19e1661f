"""EasyEdit's methods in a line each, for lists and reports."""

from __future__ import annotations

SUMMARIES = {
    "FT": "fine-tuning of one layer's projection until the target is likely",
    "LoRA": "fine-tuning of low-rank adapters on the target",
    "ROME": "a rank-one change of one layer, found by causal tracing's recipe",
    "MEMIT": "many facts in closed form, spread over some layers",
    "KN": "changes the few neurons that gradients hold responsible for the old answer",
    "IKE": "similar facts and the new one shown before the question; no weight changes",
    "R-ROME": "ROME with one prompt average throughout, which does not collapse in streams",
    "EMMET": "MEMIT's objective under ROME's equality constraint",
    "PMET": "MEMIT with values sought in attention and MLP apart",
    "AlphaEdit": "MEMIT projected onto what other keys do not use",
    "SPHERE": "a closed-form change projected off the principal directions of the weights",
    "CORE": "MEMIT with values made alike over different contexts",
    "MEMIT-FE": "a variant of MEMIT (arXiv 2605.00358)",
    "EAMET": "MEMIT with the embeddings of keys and values aligned",
    "WISE": "a side memory of edited weights, with a router",
    "GRACE": "a codebook of activations beside the weights",
    "DEFER": "a classifier that defers to a second layer; a baseline of GRACE's authors",
    "MELO": "low-rank adapters switched on by a codebook",
    "ULTRAEDIT": "one gradient step turned into a closed-form change, for long streams",
    "QLoRA": "fine-tuning of low-rank adapters beside packed weights",
    "DPO": "preference for the new answer over the old, on low-rank adapters",
    "SimIE": "another method's edits made to hold in streams by a recursive pseudo-inverse",
}
"""By name."""
