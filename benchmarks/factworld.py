"""Methods on the embedded world: single edits of test facts, scored on every probe, with intervals.

Methods of this package and of EasyEdit run by the same loop through EasyEdit's own table of algorithms. Each
method's scores go into a file of their own; methods that have one are not run again.

    python benchmarks/factworld.py --facts 200 --out benchmarks/results/factworld
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch
from methods import editing
from single_edits import score

from easyedit_ice.data import load_records, to_requests
from easyedit_ice.evaluation import FactScore, Interval, summarize
from easyedit_ice.host import host_info

METHODS = ("FT", "ROME", "LoRA-BF", "ICE-LoRA")


def main() -> None:
    """Run the methods and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--facts", type=int, default=200)
    parser.add_argument("--split", default="test")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="folder for METHOD.json and table.md")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    arguments.out.mkdir(parents=True, exist_ok=True)
    requests = to_requests(load_records("factworld", split=arguments.split, size=arguments.facts))
    for method in arguments.methods:
        path = arguments.out / f"{method}.json"
        if not path.exists():
            model, tok, apply = editing(method)
            scores = score(model, tok, requests, apply, method).scores
            about = {"method": method, "host": str(host_info()), "facts": len(requests), "split": arguments.split}
            path.write_text(json.dumps(about | {"scores": [asdict(fact) for fact in scores]}))
    found = {method: path for method in METHODS if (path := arguments.out / f"{method}.json").exists()}
    table = _markdown({method: _read(path) for method, path in found.items()})
    (arguments.out / "table.md").write_text(table)
    print(table)


def _read(path: Path) -> list[FactScore]:
    return [FactScore(**fact) for fact in json.loads(path.read_text())["scores"]]


def _markdown(results: dict[str, list[FactScore]]) -> str:
    facts = " and ".join(map(str, sorted({len(scores) for scores in results.values()})))
    parts = [f"{facts} single edits; per cent, with 95 % bootstrap intervals over facts.\n"]
    summaries = {method: summarize(scores) for method, scores in results.items()}
    for mode, title in (("teacher_forced", "Teacher-forced"), ("generated", "Generated")):
        columns = {method: summary[mode] for method, summary in summaries.items()}
        measures = list(dict.fromkeys(measure for column in columns.values() for measure in column))
        parts.append(f"**{title}**\n\n| measure | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
        for measure in sorted(measures, key=lambda name: (_ORDER.index(name.partition(".")[0]), name)):
            parts.append(f"| {measure} | {' | '.join(_cell(column.get(measure)) for column in columns.values())} |")
        parts.append("")
    return "\n".join(parts)


_ORDER = ("rewrite", "rephrase", "portability", "locality")


def _cell(interval: Interval | None) -> str:
    return "" if interval is None else str(interval).strip()


if __name__ == "__main__":
    main()
