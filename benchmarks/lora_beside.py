"""EasyEdit's LoRA and QLoRA beside ours, on the same facts of the embedded world, each fact alone.

EasyEdit's run through their own ``apply_…_to_model`` with the presets of ``hparams/``. QLoRA is head's alone.

    OMP_NUM_THREADS=1 python benchmarks/lora_beside.py                        # EasyEdit's release
    EASYEDIT_HOME=… OMP_NUM_THREADS=1 python benchmarks/lora_beside.py        # a checkout of head
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import nn

from easyedit_ice.bench.methods.ours import PackageEngine
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.easyedit import host_info
from easyedit_ice.easyedit.locate import HOME
from easyedit_ice.easyedit.methods.engine import HostMethod
from easyedit_ice.easyedit.methods.host_settings import host_settings
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.text.rows import Row, encode, predict

RESULTS = Path(__file__).parent / "results"
MODEL = "gpt2-factworld"
OURS = ("LoRA-BF", "AdaLoRA", "QLoRA-BF")


def main() -> None:
    """Edit each fact with each method, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=20)
    arguments = parser.parse_args()
    head = bool(os.environ.get(HOME))
    facts = to_requests(load_records("factworld", split="dev", size=arguments.facts))
    rows = [measured(name, facts) for name in ("LoRA", *(["QLoRA"] if head else []), *OURS)]
    text = (
        f"{host_info()}; {len(facts)} dev facts of the embedded world, each alone, with the presets of hparams/.\n"
        "Losses are means in nats per token. The returned model is asked as it is returned; *moves* is how far two of\n"
        "its answers to the same text differ, which dropout causes.\n\n"
    )
    (RESULTS / f"lora_beside_{'head' if head else 'release'}.md").write_text(text + table(rows))


def measured(name: str, facts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What a method does, as a row of the table."""
    found = [edited(name, fact) for fact in facts]
    return {"method": name} | {
        key: f"{mean(row[key] for row in found):.3g}" if isinstance(value, float) else str(value)
        for key, value in found[0].items()
    }


def edited(name: str, fact: Mapping[str, Any]) -> dict[str, Any]:
    """One fact, written into a model loaded for it."""
    own = ALGORITHMS[name].hparams_class.from_hparams(MODEL) if name in OURS else host_settings(name, MODEL, {})
    bits = getattr(own, "quantization_bit", None)
    model, tok = load_model(EditHyperParams(model_name=MODEL, device="cpu", dtype="float32", quantization_bit=bits))
    if name in OURS:
        engine: Any = PackageEngine(model, tok, own)
    else:
        own.model_name, own.device = MODEL, "cpu"
        engine = HostMethod(name, model, tok, own, ())
    request = EditRequest.from_dict(fact)
    target = encode(tok, request.prompt, request.completion)
    end = Row((*target.ids, tok.eos_token_id), 1)
    before = losses(model, target, end)
    started = time.perf_counter()
    with redirect_stdout(io.StringIO()):
        held = engine.edit([fact], 0)
    seconds = time.perf_counter() - started
    after, again = losses(held, target, end), losses(held, target, end)
    return {
        "seconds": seconds,
        "target before": before[0],
        "target after": after[0],
        "end of text before": before[1],
        "end of text after": after[1],
        "moves": abs(after[0] - again[0]),
        "returned": type(held).__name__,
        "values of adapters in it": sum(p.numel() for key, p in held.named_parameters() if "lora_" in key),
        "dropout left on": any(isinstance(module, nn.Dropout) and module.training for module in held.modules()),
        "checkpointing left on": bool(getattr(model, "is_gradient_checkpointing", False)),
    }


@torch.no_grad()
def losses(model: Any, target: Row, end: Row) -> tuple[float, float]:
    """Of the target after the prompt, and of the end of text after the target."""
    first, second = predict(model, [target, end]).nll().tolist()
    return first, second


def table(rows: list[dict[str, str]]) -> str:
    """Rows as Markdown."""
    lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0]), *(" | ".join(row.values()) for row in rows)]
    return "".join(f"| {line} |\n" for line in lines)


if __name__ == "__main__":
    main()
