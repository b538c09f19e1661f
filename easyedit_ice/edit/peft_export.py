"""Edited models and updates in other people's formats: LoRA adapters of peft, checkpoints of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from easyedit_ice.edit.delta import Delta, LowRankDelta
from easyedit_ice.errors import UpdateError
from easyedit_ice.model.anatomy import Projection, Site
from easyedit_ice.model.fused_experts import is_fused

Targets = Sequence[tuple[Site, Delta]]
"""Places in a model, each with its delta."""
_WEIGHTS = "adapter_model.safetensors"
ADAPTER = ("adapter_config.json", _WEIGHTS)
"""Files that an adapter is made of."""
_OF_EXPERTS = ("gate_proj", "up_proj", "down_proj")
"""Last parts of names that peft 0.21 takes for those of fused experts, whatever stands before them (findings)."""


def save_peft(model: nn.Module, targets: Targets, base: str | None, folder: Path) -> None:
    """Write low-rank deltas as a LoRA adapter.

    Args:
        model: that they change.
        targets: where they belong.
        base: name or path of the model.
        folder: made if need be.

    Raises:
        UpdateError: a delta is not low-rank, belongs to fused experts, or has a name that peft takes for theirs.
    """
    from peft import LoraConfig
    from safetensors.torch import save_file

    low = [(site, delta) for site, delta in targets if isinstance(delta, LowRankDelta) and isinstance(site, Projection)]
    if dense := [projection.name for projection, delta in targets if not isinstance(delta, LowRankDelta)]:
        raise UpdateError(
            f"{', '.join(dense)}: only low-rank deltas make a LoRA adapter; use to_hf instead, or save for gated ones"
        )
    fused = [projection.name for projection, _ in targets if projection.experts > 1]
    if fused:
        raise UpdateError(f"{', '.join(fused)}: fused experts are no module that LoRA adapts; use save or to_hf")
    taken = [projection.name for projection, _ in targets if projection.name.rpartition(".")[2] in _OF_EXPERTS]
    if taken and any(map(is_fused, model.modules())):
        raise UpdateError(
            f"{', '.join(taken)}: in a model with fused experts peft may put a LoRA of this name into the experts of "
            "all blocks, and not here; use save or to_hf"
        )
    ranked = [(projection, delta) for projection, delta in low if delta.rank]
    if not ranked:
        raise UpdateError("the update has no rank anywhere, so it changes nothing; there is no adapter to write")
    ranks = {projection.name: delta.rank for projection, delta in ranked}
    LoraConfig(
        r=max(ranks.values()),
        lora_alpha=max(ranks.values()),
        rank_pattern=ranks,
        alpha_pattern=ranks,
        target_modules=list(ranks),
        fan_in_fan_out=any(projection.transposed for projection, _ in low),
        base_model_name_or_path=base,
        task_type="CAUSAL_LM",
    ).save_pretrained(str(folder))
    factors = {}
    for projection, delta in ranked:
        factors[f"base_model.model.{projection.name}.lora_A.weight"] = delta.a.detach().cpu().contiguous()
        factors[f"base_model.model.{projection.name}.lora_B.weight"] = delta.b.detach().cpu().contiguous()
    save_file(factors, folder / _WEIGHTS)


def check_unpacked(targets: Targets) -> None:
    """Refuse deltas beside packed weights, which no checkpoint holds.

    Raises:
        UpdateError: there is one.
    """
    packed = [projection.name for projection, _ in targets if projection.quantized]
    if packed:
        raise UpdateError(
            f"{', '.join(packed)}: deltas beside packed weights are no part of a checkpoint; use save or to_peft"
        )
