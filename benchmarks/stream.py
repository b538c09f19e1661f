"""A long stream of edits, one after another: what each says at once, and what is left of all of them later.

Facts are test facts of the embedded world, by default. After every edit its own two wordings are asked; after every so
many edits, those of all facts written so far, locality probes of a fixed sample of the facts, and facts that are never
edited. Probes whose own answer another edit of the stream changes are left out. Answers are written greedily and must
be the new target word by word; locality is the share of the answers' tokens that are the likeliest as before, as
EasyEdit counts it.

    python benchmarks/stream.py GoRA LoRA-BF FT --facts 1000 --every 50
    python benchmarks/stream.py LocFT-BF FT --facts 1000 --batch 1000 --every 1000 --out benchmarks/results/batch
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

import yaml

from easyedit_ice import factworld
from easyedit_ice.bench.methods import make_method
from easyedit_ice.bench.storage.run_manifest import git_revision, versions
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.evaluation import Observation, Question, observe, questions

RESULTS = Path(__file__).parent / "results" / "streams"
PROBED = 100
"""Facts of the stream whose locality probes are asked."""
UNTOUCHED = 100
"""Facts that are never edited."""
LONGEST = 12
"""Most tokens of an answer."""
LABELS_IN_A_ROW = 3
"""Of the plot's legend."""


def main() -> None:
    """Run the streams that have no result yet, then draw all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", help="ours or EasyEdit's, with their presets of the embedded model")
    parser.add_argument("--facts", type=int, default=1000)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--batch", type=int, default=1, help="facts written together by each edit")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change one setting of all")
    parser.add_argument("--split", default="test", choices=("dev", "test"), help="settings are chosen on dev")
    parser.add_argument("--seed", type=int, help="take facts of the split at random, in a random order")
    parser.add_argument("--label", help="name of the result, for methods with changed settings")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = {name: yaml.safe_load(value) for name, _, value in (pair.partition("=") for pair in arguments.set)}
    for name in arguments.methods:
        found = stream(name, settings, arguments) | {"method": arguments.label or name}
        (arguments.out / f"{arguments.label or name}.json").write_text(json.dumps(found, indent=1) + "\n")
    all_found = [json.loads(path.read_text()) for path in sorted(arguments.out.glob("*.json"))]
    (arguments.out / "streams.md").write_text(markdown(all_found))
    draw(all_found, arguments.out / "streams.png")
    print((arguments.out / "streams.md").read_text())


def stream(name: str, settings: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Write facts one by one, or some at a time, and ask."""
    count, every, batch = arguments.facts, arguments.every, arguments.batch
    requests = to_requests(records(arguments.split, count + UNTOUCHED, arguments.seed))
    facts, untouched = requests[:count], requests[count:]
    method = make_method(name, model=factworld.load(), settings=settings, examples=[])
    asked = _Asked(method.tok, facts, untouched)
    asked.remember(method.model)
    immediate: list[tuple[bool, bool]] = []
    seconds: list[float] = []
    points: list[dict[str, Any]] = []
    model = method.model
    for start in range(0, count, batch):
        own = facts[start : start + batch]
        position = start + len(own)
        started = time.perf_counter()
        model = method.apply(own, 0).model
        seconds.append((time.perf_counter() - started) / len(own))
        immediate += asked.written(model, own)
        if position % every == 0 or position == count:
            recent = immediate[len(immediate) - min(every, position) :]
            points.append(
                {
                    "edits": position,
                    "immediate": _percent(recent),
                    "retained": _percent(asked.written(model, facts[:position])),
                    **asked.kept(model),
                    "seconds": median(seconds[-max(1, every // batch) :]),
                }
            )
            print(name, json.dumps(points[-1]), flush=True)
    return {
        "kind": method.kind,
        "split": arguments.split,
        "seed": arguments.seed,
        "batch": batch,
        "settings": method.settings() | {"model_name": "gpt2-factworld"},
        "manifest": {"command": shlex.join(["python", *sys.argv]), "git": git_revision(), "versions": versions()},
        "points": points,
    }


def records(split: str, count: int, seed: int | None) -> Sequence[dict[str, Any]]:
    """So many facts of the embedded world: the first ones of a split, or any, by a seed."""
    if seed is None:
        found = load_records("factworld", split=split, size=count).records
        if len(found) < count:
            raise SystemExit(f"{split} has {len(found)} facts, and {count} are asked for; lower --facts")
        return found
    return random.Random(seed).sample(load_records("factworld", split=split).records, count)


class _Asked:
    """Questions whose answers shall stay, with what they were."""

    def __init__(self, tok: Any, facts: Sequence[dict[str, Any]], untouched: Sequence[dict[str, Any]]) -> None:
        probed = facts[:: max(1, len(facts) // PROBED)][:PROBED]
        self._tok = tok
        self._local = [
            [question for question in questions(request) if question.keeps and not _is_rewritten(question, facts)]
            for request in EditRequest.prepare(probed)
        ]
        self._beside = [[Question("own", fact["prompt"], fact["target_new"], ())] for fact in untouched]

    def remember(self, model: Any) -> None:
        """What the model says before any edit."""
        self._local_before = observe(model, self._tok, self._local, max_new_tokens=0)
        self._beside_before = observe(model, self._tok, self._beside, max_new_tokens=LONGEST)

    def kept(self, model: Any) -> dict[str, float]:
        """Per cent of what is as it was."""
        local = observe(model, self._tok, self._local, max_new_tokens=0)
        beside = observe(model, self._tok, self._beside, max_new_tokens=LONGEST)
        agreement = [
            mean(map(Observation.agrees_with, *pair)) for pair in zip(local, self._local_before, strict=True) if pair[0]
        ]
        same = [now.generated == was.generated for (now,), (was,) in zip(beside, self._beside_before, strict=True)]
        return {"locality": 100 * mean(agreement), "untouched": 100 * mean(same)}

    def written(self, model: Any, facts: Sequence[dict[str, Any]]) -> list[tuple[bool, bool]]:
        """Whether the model writes each fact's target, in the prompt's wording and in another."""
        asked = [
            [Question(key, fact[key], fact["target_new"], ()) for key in ("prompt", "rephrase_prompt")]
            for fact in facts
        ]
        found = observe(model, self._tok, asked, max_new_tokens=LONGEST)
        return [
            tuple(answer.generated == fact["target_new"] for answer in own)
            for own, fact in zip(found, facts, strict=True)
        ]


def _is_rewritten(question: Question, facts: Sequence[dict[str, Any]]) -> bool:
    """Whether an edit of the stream changes the answer of this question, which then need not stay."""
    return any(fact["subject"] in question.prompt and fact["ground_truth"] == question.answer for fact in facts)


def _percent(found: Sequence[tuple[bool, bool]]) -> dict[str, float]:
    rewrite, rephrase = zip(*found, strict=True)
    return {"rewrite": 100 * mean(rewrite), "rephrase": 100 * mean(rephrase)}


def markdown(streams: Sequence[dict[str, Any]]) -> str:
    """A table of every stream's middle and end."""
    head = [
        "method",
        "edits",
        "rewrite at once",
        "retained",
        "rephrase at once",
        "retained",
        "locality",
        "untouched",
        "s",
    ]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for found in streams:
        points = found["points"]
        for point in dict.fromkeys((len(points) // 10, len(points) // 2, len(points) - 1)):
            seen = points[point]
            values = [
                value
                for wording in ("rewrite", "rephrase")
                for value in (seen["immediate"][wording], seen["retained"][wording])
            ]
            cells = [f"{value:.1f}" for value in (*values, seen["locality"], seen["untouched"])]
            lines.append(
                "| " + " | ".join([found["method"], str(seen["edits"]), *cells, f"{seen['seconds']:.2f}"]) + " |"
            )
    lines += [
        "",
        "Per cent. *At once*: right after the edit, over the last edits before this point. *Retained*: of all facts "
        "written so far. *Untouched*: facts never edited whose answer is still the same, word by word. *s*: median "
        "seconds of an edit, for each of its facts.",
    ]
    return "\n".join(lines) + "\n"


def draw(streams: Sequence[dict[str, Any]], path: Path) -> None:
    """Curves over the number of edits."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    measures = {
        "retained rewrite": lambda point: point["retained"]["rewrite"],
        "retained rephrase": lambda point: point["retained"]["rephrase"],
        "locality": lambda point: point["locality"],
        "untouched facts": lambda point: point["untouched"],
    }
    figure, axes = pyplot.subplots(1, len(measures), figsize=(3.4 * len(measures), 3.2), sharey=True)
    styles = ["-", "--", "-.", ":"]
    for axis, (title, value) in zip(axes, measures.items(), strict=True):
        for index, found in enumerate(streams):
            edits = [point["edits"] for point in found["points"]]
            axis.plot(edits, [value(point) for point in found["points"]], styles[index % 4], label=found["method"])
        axis.set(title=title, xlabel="edits", ylim=(-2, 102))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("per cent")
    handles, labels = axes[0].get_legend_handles_labels()
    rows = math.ceil(len(labels) / LABELS_IN_A_ROW)
    figure.legend(handles, labels, loc="lower center", ncols=LABELS_IN_A_ROW, frameon=False)
    figure.tight_layout(rect=(0, 0.02 + 0.08 * rows, 1, 1))
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
