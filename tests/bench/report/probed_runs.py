"""Folders of runs with probes, made up: each method's answers to each probe are right for a given share of facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ledgers import rewrite_lines, write_run

SIZE = 30
TELLS = {
    **{"choice": 0.97, "letters": 0.15, "negation": 0.5, "yes_no": 0.0, "leaning": 0.4, "reversed": 0.8},
    **{"irrelevant": 1.0, "contradicting": 0.9, "long": 0.95, "dialogue": 0.9},
}
"""The unedited model, told the fact: it cannot answer lists, negated questions, and yes or no."""
OLD = TELLS | {"contradicting": 0.0}
BEFORE = dict.fromkeys(TELLS, 0.0) | {"reversed": 0.3, "negation": 1.0}


def write_probed(
    folder: Path, label: str, kind: str, shares: Mapping[str, float], after: float | None = None, **manifest: Any
) -> Path:
    """A run of single edits; with ``after`` a stream at whose end so many answers to ``choice`` are left."""
    write_run(folder, label, mode="single" if after is None else "sequential", size=SIZE, kind=kind, **manifest)
    left = {"choice": after or 0.0}

    def probed(line: dict[str, Any]) -> dict[str, Any]:
        if "scores" not in line:
            return line | ({"known": {"facts": 20, "lost": []}} if line["phase"] == "drift" else {})
        by_style = {"probe": {"before": BEFORE, "immediate": shares, "retained": left}.get(line["phase"], {})}
        if line["phase"] == "before":
            by_style |= {"probe_told": TELLS, "probe_old": OLD}
        right = {
            style: {name: float(line["position"] < share * SIZE) for name, share in own.items()}
            for style, own in by_style.items()
        }
        return line | {"scores": line["scores"] | right}

    rewrite_lines(folder, probed)
    place = {"position": 0, "step": 1 if after is None else SIZE}
    more = [
        {"phase": "undone", **place, "undo": {"prompts": 8, "own": 0.5 if kind == "easyedit" else 0.0, "run": 0.0}},
        *([{"phase": "drift", **place, "known": {"facts": 20, "lost": []}}] if after is None else []),
    ]
    with (folder / "ledger.jsonl").open("a") as ledger:
        ledger.writelines(f"{json.dumps(line)}\n" for line in more)
    return folder


def write_table(folder: Path) -> list[Path]:
    """A reviewer's table of four methods with streams in two orders."""
    methods = {
        "Prompt": ("context", dict.fromkeys(TELLS, 0.97), 0.97),
        "Retrieval": ("retrieval", {**dict.fromkeys(TELLS, 0.97), "long": 0.3, "reversed": 0.8}, 0.93),
        "FastMEMIT": ("ours", {**dict.fromkeys(TELLS, 0.97), "long": 0.67, "reversed": 0.3, "contradicting": 0.4}, 0.9),
        "ROME": ("easyedit", {**dict.fromkeys(TELLS, 0.97), "long": 0.6, "reversed": 0.2, "contradicting": 0.0}, 0.2),
    }
    made = [write_probed(folder / "single" / name, name, kind, own) for name, (kind, own, _) in methods.items()]
    for order, gain in enumerate((0.0, 0.06)):
        for name, (kind, own, after) in methods.items():
            data = {"source": "facts.json", "hash": f"{SIZE:02d}" * 32, "facts": SIZE, "untouched": 0, "order": order}
            made.append(write_probed(folder / f"order-{order}" / name, name, kind, own, after - gain, data=data))
    return made
