"""EasyEdit's methods in a line each, for lists and reports."""

from __future__ import annotations

SUMMARIES = {
    "FT": "fine-tuning of one layer's projection until the target is likely",
    "LoRA": "fine-tuning of low-rank adapters on the target",
    "ROME": "a rank-one change of one layer, found by causal tracing's recipe",
    "MEMIT": "many facts in closed form, spread over some layers",
    "KN": "changes the few neurons that gradients hold responsible for the old answer",
    "IKE": "similar facts and the new one shown before the question; no weight changes",
    "R-ROME": "ROME with keys averaged over prompts throughout, meant not to collapse in streams",
    "EMMET": "MEMIT's objective under ROME's equality constraint",
    "PMET": "MEMIT with values sought in attention and MLP apart",
    "AlphaEdit": "MEMIT projected onto what other keys do not use",
    "SPHERE": "AlphaEdit with its change held down along the principal directions of the weight",
    "CORE": "MEMIT with values after which the states of later layers are alike, whatever stands before the prompt",
    "MEMIT-FE": "MEMIT with a target for each layer: the first one's is sought, and running the model gives the others",
    "EAMET": "MEMIT with values sought so that they are as similar to each other as their keys are",
    "WISE": "a side memory of edited weights, with a router",
    "GRACE": "a codebook of activations beside the weights",
    "DEFER": "a trained gate beside one layer, which defers to a second, small layer where it opens",
    "MELO": "low-rank adapters switched on by a codebook",
    "ULTRAEDIT": "one gradient turned into a closed-form change, normalised by all edits so far, for long streams",
    "QLoRA": "fine-tuning of low-rank adapters beside packed weights",
    "DPO": "preference for the new answer over the old, on low-rank adapters",
    "SimIE": "another method's edits made to hold in streams by a recursive pseudo-inverse",
}
"""By name."""
