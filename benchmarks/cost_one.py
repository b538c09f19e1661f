"""What one edit of a batch of facts costs, measured in a process of its own; :mod:`cost` runs it and reads its line.

    python benchmarks/cost_one.py ICE-LoRA 10

prints ``{"seconds": ..., "peak_mib": ...}``: time of the algorithm alone, without loading or evaluation, and how far
the process's resident memory rose above what it was before. Linux only.
"""

from __future__ import annotations

import ctypes
import gc
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import torch
from easyedit_own import own_hparams

from easyedit_ice import ALGORITHMS, BaseEditor, world
from easyedit_ice.cli.console import quiet
from easyedit_ice.data import load_records, to_requests

# EasyEdit's own settings for GPT-2 XL, of which none depends on the model's size.
EASYEDITS_LORA = {
    "alg_name": "LoRA",
    "lora_type": "adalora",
    "layers": [],
    "num_steps": 30,
    "lr": 5e-3,
    "weight_decay": 0,
    "kl_factor": 0,
    "norm_constraint": False,
    "target_modules": ["c_attn"],
    "rank": 8,
    "lora_alpha": 32,
    "lora_dropout": 0.1,
}
PROCESS = Path("/proc/self")


def main(method: str, batch: int) -> dict[str, float]:
    """Edit once to load what loads late, then once for the measurement."""
    with quiet():
        _apply(method, to_requests(load_records("factworld", split="dev", size=1)), num_steps=1)
        requests = to_requests(load_records("factworld", split="test", size=batch))
        return _apply(method, requests)


def _apply(method: str, requests: list[dict[str, Any]], **changes: Any) -> dict[str, float]:
    editor = BaseEditor.from_hparams(_hparams(method, len(requests), changes))
    before = _resident_mib()
    started = time.perf_counter()
    editor.apply_algo(
        editor.model,
        editor.tok,
        requests,
        editor.hparams,
        copy=False,
        return_orig_weights=True,
        keep_original_weight=True,
    )
    return {"seconds": time.perf_counter() - started, "peak_mib": _memory_mib("VmHWM") - before}


def _hparams(method: str, batch: int, changes: dict[str, Any]) -> Any:
    settings = {"model_name": str(world.model_path()), "device": "cpu", "batch_size": batch} | changes
    if method in ALGORITHMS:
        return ALGORITHMS[method].hparams_class.from_hparams(f"{method}/gpt2-factworld", **settings)
    return own_hparams(method, **(EASYEDITS_LORA | settings if method == "LoRA" else settings))


def _resident_mib() -> float:
    """Resident memory; what was freed before is given back first, and the high-water mark starts anew."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    (PROCESS / "clear_refs").write_text("5")
    return _memory_mib("VmRSS")


def _memory_mib(line: str) -> float:
    return int(re.search(rf"{line}:\s+(\d+) kB", (PROCESS / "status").read_text())[1]) / 1024


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
