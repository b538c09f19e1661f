"""Edit every kind of model that transformers has with every algorithm, and write down what became of it.

    python benchmarks/matrix.py [--kinds llama gemma3_text] [--algorithms LoRA-BF] [--dtypes float32] [--fresh]

It can be stopped at any time; the same command goes on where it was, and tries again what failed. Exit status 1 if
anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
FAILED = {"verdict": "failed"}
SHORT = {"ok": "✓", "no better": "=", "not made": "", "failed": "**FAILED**"}


def main() -> int:
    """Try what was not tried yet, and write the table."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="matrix-")
    from easyedit_ice.edit.registry import ALGORITHMS
    from easyedit_ice.testing.matrix import DTYPES, Cell, judged
    from easyedit_ice.testing.shrinking import decoders

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=decoders(), help="of models; all of transformers' by default")
    parser.add_argument("--algorithms", nargs="+", default=tuple(ALGORITHMS), help="all by default")
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    parser.add_argument("--seconds", type=float, default=60, help="most for a cell")
    parser.add_argument("--fresh", action="store_true", help="try again what was tried before")
    parser.add_argument("--out", type=Path, default=RESULTS / "matrix.jsonl", help="outcomes; the table stands beside")
    arguments = parser.parse_args()
    found = _read(arguments.out)
    cells = [
        Cell(kind, dtype, algorithm)
        for dtype in arguments.dtypes
        for kind in arguments.kinds
        for algorithm in arguments.algorithms
        if arguments.fresh or found.get((kind, dtype, algorithm), FAILED)["verdict"] == "failed"
    ]
    with arguments.out.open("a", encoding="utf-8") as file:
        for cell, outcome in judged(cells, arguments.seconds):
            key = (cell.kind, cell.dtype, cell.algorithm)
            found[key] = outcome.as_dict()
            file.write(json.dumps([*key, outcome.as_dict()], ensure_ascii=False) + "\n")
            file.flush()
            print(*key, outcome.verdict, outcome.name, outcome.told[:120], flush=True)
    _write(arguments.out, found)
    arguments.out.with_suffix(".md").write_text(_table(found, tuple(ALGORITHMS)), encoding="utf-8")
    return int(any(outcome["verdict"] == "failed" for outcome in found.values()))


def _read(path: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    """Outcomes of earlier calls; the last of each cell counts."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {tuple(key): outcome for *key, outcome in map(json.loads, lines)}


def _write(path: Path, found: dict[tuple[str, str, str], dict[str, str]]) -> None:
    lines = (json.dumps([*key, outcome], ensure_ascii=False) for key, outcome in sorted(found.items()))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _table(found: dict[tuple[str, str, str], dict[str, str]], algorithms: tuple[str, ...]) -> str:
    """Architectures × algorithms, for each type of weights."""
    import transformers

    lines = [
        "# Every kind of model × every algorithm",
        "",
        f"Tiny random models of all kinds that transformers {transformers.__version__} has a causal language model of,",
        "made by `easyedit_ice.testing.shrinking`; written by `make matrix`. ✓: the fact is likelier after the edit,",
        "which was taken out to the bit. =: taken out to the bit, and the fact is no likelier. A letter: refused",
        "by name, as listed below.",
    ]
    for dtype in sorted({dtype for _, dtype, _ in found}, reverse=True):
        own = {(kind, algorithm): outcome for (kind, of, algorithm), outcome in found.items() if of == dtype}
        lines += ["", f"## {dtype}", "", *_counted(own), ""]
        lines += [f"| | {' | '.join(algorithms)} |", "|---|" + ":-:|" * len(algorithms)]
        letters: dict[str, str] = {}
        absent: dict[str, str] = {}
        for kind in sorted({kind for kind, _ in own}):
            row = [own.get((kind, algorithm)) for algorithm in algorithms]
            if any(outcome and outcome["verdict"] == "not made" for outcome in row):
                absent[kind] = next(outcome["told"] for outcome in row if outcome)
                continue
            lines.append(f"| {kind} | {' | '.join(_short(outcome, letters) for outcome in row)} |")
        lines += ["", *(f"- {letter}: {why}" for why, letter in letters.items())]
        lines += ["", f"Not made small ({len(absent)}): {', '.join(sorted(absent))}.", *_failures(own)]
    return "\n".join(lines) + "\n"


def _counted(own: dict[tuple[str, str], dict[str, str]]) -> list[str]:
    made = {kind for (kind, _), outcome in own.items() if outcome["verdict"] != "not made"}
    verdicts = Counter(outcome["verdict"] for outcome in own.values())
    names = Counter(outcome["name"] for outcome in own.values() if outcome["verdict"] == "refused")
    told = ", ".join(f"{name} {count}" for name, count in names.most_common())
    return [
        f"{len(made)} kinds of models, {sum(verdicts.values()) - verdicts['not made']} edits: {verdicts['ok']} ✓, "
        f"{verdicts['no better']} =, {verdicts['refused']} refused ({told}), {verdicts['failed']} failed."
    ]


def _short(outcome: dict[str, str] | None, letters: dict[str, str]) -> str:
    """A cell of the table; reasons get letters as they come."""
    if outcome is None:
        return "·"
    if outcome["verdict"] != "refused":
        return SHORT[outcome["verdict"]]
    return letters.setdefault(
        _reason(outcome), chr(ord("a") + len(letters)) if len(letters) < 26 else f"a{len(letters)}"
    )


def _reason(outcome: dict[str, str]) -> str:
    """A refusal's kind: its name, and what all of its kind say."""
    kinds = {
        "mixture of experts": "the MLP is a mixture of experts, to which the algorithm does not write",
        "no projection matches": "the blocks have no projection of that name (such as an MLP)",
        "no list of decoder blocks": "no list of decoder blocks",
        "an encoder and a decoder": "an encoder and a decoder",
        "that follow it": "not causal",
        "not called": "the weight is used without its module",
        "peft has no": "peft has no layer for such a module",
        "writes nothing": "the random model ends its texts at once, and there is none to measure on",
        "hidden states of shape": "several tokens are predicted at each place",
        "distinct": "too few different tokens in the text of a random model",
        "inverted": "second moments of a random model's text that cannot be inverted",
    }
    told = next((words for part, words in kinds.items() if part in outcome["told"]), outcome["told"][:160])
    return f"{outcome['name']}: {told}"


def _failures(own: dict[tuple[str, str], dict[str, str]]) -> list[str]:
    failed = defaultdict(list)
    for (kind, algorithm), outcome in own.items():
        if outcome["verdict"] == "failed":
            failed[f"{outcome['name']}: {outcome['told']}"].append(f"{kind} × {algorithm}")
    return [f"- **{', '.join(where)}**: {why}" for why, where in failed.items()]


if __name__ == "__main__":
    sys.exit(main())
