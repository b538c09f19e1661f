"""EasyEdit's own methods that edit text models by themselves, one entry for each.

Methods that want another model trained first, data to be downloaded, or a service are not among them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from easyedit_ice.easyedit.auto_settings.attached import defer, grace, melo, wise
from easyedit_ice.easyedit.auto_settings.closed_form import (
    alphaedit,
    core,
    eamet,
    emmet,
    memit,
    memit_fe,
    pmet,
    rome,
    sphere,
)
from easyedit_ice.easyedit.auto_settings.trained import dpo, ft, ike, kn, lora, qlora, simie, ultraedit
from easyedit_ice.easyedit.methods.first_use import compute_null_space, draw_templates
from easyedit_ice.easyedit.methods.host_spec import Globals, HostSpec, NotYet
from easyedit_ice.easyedit.methods.settings_fixes import fit_kn, fit_simie, fit_wise

_TEMPLATES: dict[str, Any] = {"CONTEXT_TEMPLATES_CACHE": None}
_MOMENTS = _TEMPLATES | {"COV_CACHE": {}}
_ROME_GLOBALS = Globals(_TEMPLATES | {"inv_mom2_cache": {}})
_MEMIT_GLOBALS = Globals(_MOMENTS)
_NULL_SPACE_GLOBALS = Globals(
    caches=_MOMENTS | {"P_loaded": False, "P": NotYet("P_loaded")},
    records={"cache_c_new": False, "cache_c": NotYet("cache_c_new")},
)
_DRAWN = (draw_templates,)

HOST_METHODS: dict[str, HostSpec] = {
    "FT": HostSpec("FTHyperParams", ft, left_out=("objective_optimization",)),
    "LoRA": HostSpec("LoRAHyperParams", lora, left_out=("lora_type", "model_parallel")),
    "ROME": HostSpec("ROMEHyperParams", rome, "right", left_out=("fp16",), globals=_ROME_GLOBALS, first_use=_DRAWN),
    "MEMIT": HostSpec("MEMITHyperParams", memit, "right", globals=_MEMIT_GLOBALS, first_use=_DRAWN),
    "KN": HostSpec("KNHyperParams", kn, fit=fit_kn),
    "IKE": HostSpec("IKEHyperParams", ike, left_out=("use_icl_examples",), demonstrates=True),
    "R-ROME": HostSpec("R_ROMEHyperParams", rome, "right", globals=_ROME_GLOBALS, first_use=_DRAWN),
    "EMMET": HostSpec("EMMETHyperParams", emmet, "right", globals=_MEMIT_GLOBALS, first_use=_DRAWN),
    "PMET": HostSpec("PMETHyperParams", pmet, globals=Globals(_MOMENTS | {"KZ_CACHE": {}}), first_use=_DRAWN),
    "AlphaEdit": HostSpec(
        "AlphaEditHyperParams",
        alphaedit,
        "right",
        globals=_NULL_SPACE_GLOBALS,
        first_use=(draw_templates, compute_null_space),
    ),
    "SPHERE": HostSpec(
        "SPHEREHyperParams",
        sphere,
        "right",
        globals=_NULL_SPACE_GLOBALS,
        first_use=(draw_templates, compute_null_space),
    ),
    "CORE": HostSpec("COREHyperParams", core, "right", globals=_MEMIT_GLOBALS, first_use=_DRAWN),
    "MEMIT-FE": HostSpec("MEMITFEHyperParams", memit_fe, globals=_MEMIT_GLOBALS, first_use=_DRAWN),
    "EAMET": HostSpec("EAMETHyperParams", eamet, "right", globals=_MEMIT_GLOBALS, first_use=_DRAWN),
    "WISE": HostSpec(
        "WISEHyperParams",
        wise,
        unlisted=("act_margin",),
        globals=Globals(
            caches=_TEMPLATES | {"WISEload": True},
            records={"edit_history": [], "merge_group_edit_history": []},
        ),
        fit=fit_wise,
        first_use=(partial(draw_templates, lengths=[[5, 5], [10, 5]]),),
        asked_alone=True,
        keeps_texts=True,
    ),
    "GRACE": HostSpec("GraceHyperParams", grace, asked_alone=True),
    "DEFER": HostSpec("DeferHyperParams", defer, asked_alone=True),
    "MELO": HostSpec("MELOHyperParams", melo, asked_alone=True, returns_wrapper=True),
    "ULTRAEDIT": HostSpec("UltraEditHyperParams", ultraedit),
    "QLoRA": HostSpec("QLoRAHyperParams", qlora),
    "DPO": HostSpec("DPOHyperParams", dpo),
    "SimIE": HostSpec("SimIEHyperParams", simie, fit=fit_simie, keeps_objects=True),
}

LEFT_OUT = {
    "MEND": "it wants a network that is trained to edit first",
    "SERAC": "it wants a classifier and a second model that are trained first",
    "FT-Api": "it asks a paid service to fine-tune a model of its own",
    "DeepEdit-Api": "it asks a paid service",
    "DINM": "it takes requests about safety, which have no target to write",
}
"""EasyEdit's other methods for text models, and why they are not among them."""
