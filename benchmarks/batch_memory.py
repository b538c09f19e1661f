"""Many facts in one batch: how far memory rises, and the setting that bounds it.

Facts of the embedded world are written together into its model, by each algorithm at two values of the setting that
bounds what a pass holds. Each measurement is a process of its own; what is done once for a model, second moments
above all, is done before. Steps are few, since each holds what the one before it held.

    OMP_NUM_THREADS=1 python benchmarks/batch_memory.py [--facts 500]
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from plan import HERE, one

from easyedit_ice import factworld
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient.objectives import fact_row
from easyedit_ice.planning.footprint import footprint


@dataclass(frozen=True)
class Bounded:
    """An algorithm, and what bounds its passes."""

    method: str
    settings: Mapping[str, Any]
    setting: str
    values: tuple[int, ...]


EDITORS = (
    Bounded("LoRA-BF", {"num_steps": 2, "mini_batch_size": 64}, "micro_batch_size", (64, 4)),
    Bounded("FastICE", {}, "tokens_together", (2048, 256)),
    Bounded("FastMEMIT", {"v_num_grad_steps": 2}, "tokens_together", (2048, 256)),
)


def main() -> None:
    """Measure one after the other; what was measured is written at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=500)
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    arguments = parser.parse_args()
    found: list[dict[str, Any]] = []
    with TemporaryDirectory() as own:
        os.environ["XDG_CACHE_HOME"] = own
        for editor in EDITORS:
            for value in editor.values:
                found.append(measured(editor, value, arguments.facts))
                print(json.dumps(found[-1]), flush=True)
                write(arguments.out / "memory_batch", arguments.facts, found)


def measured(editor: Bounded, value: int, facts: int) -> dict[str, Any]:
    """Measured and planned, in MiB."""
    folder, settings = str(factworld.model_path()), {**editor.settings, editor.setting: value}
    asked = {"method": editor.method, "model": folder, "settings": settings, "facts": facts}
    rise = one({**asked, "data": "factworld", "prepared": True})["rise"]
    model, tok = factworld.load()
    requests = EditRequest.prepare(to_requests(load_records("factworld", split="test", size=facts)))
    tokens = round(sum(len(fact_row(tok, request, True).ids) for request in requests) / facts)
    hparams = ALGORITHMS[editor.method].hparams_class.from_dict(settings)
    plan = footprint(model, hparams, facts=facts, tokens=tokens, device="cpu", tok=tok)
    above = plan.peak - plan.weights
    return {
        "method": editor.method,
        "settings": settings,
        "setting": editor.setting,
        "rise": rise,
        "plan": above / 2**20,
    }


def write(out: Path, facts: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """What was measured so far, and a table of it."""
    versions = {package: version(package) for package in ("torch", "transformers")}
    about = {"facts": facts, "versions": versions, "measurements": rows}
    out.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")
    lines = [
        f"{facts} facts of the embedded world in one batch, on its model of 3 million parameters (12 MiB), on one "
        "thread: how far resident memory rises above the loaded model until the update is committed, in MiB, with "
        "second moments at hand; and what `easyedit-ice plan` says, which for FastMEMIT and FastICE counts measuring "
        "these as well (120 MiB).",
        "",
        "| algorithm | setting | measured | plan |",
        "| --- | --- | ---: | ---: |",
    ]
    for row in rows:
        bound = f"`{row['setting']}: {row['settings'][row['setting']]}`"
        lines.append(f"| {row['method']} | {bound} | {row['rise']:.0f} | {row['plan']:.0f} |")
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
