"""How far a batch of edits moves what it is not about: the noise that adds up in a stream.

Facts are dev facts of the embedded world, written as one batch. A text holds where each token of its answer, and the
end of the text after it, is the likeliest. What shall stay is asked in two ways: locality probes of the facts, but for
those whose answer another edit changes, and facts that nobody edits. Of both, *moved* is the root mean square of the
change of the log-odds of what the model said before: it tells edits apart long before an answer flips, and grows with
the root of how many there are.

    python benchmarks/disturbance.py FastGrad --set facts_together=100 --set output_score=odds --label odds
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from stream import _is_rewritten

from easyedit_ice import factworld
from easyedit_ice.bench.storage.run_manifest import git_revision
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.evaluation import questions
from easyedit_ice.model.pulls import odds
from easyedit_ice.text.rows import Row, encode, predict

RESULTS = Path(__file__).parent / "results" / "disturbance"
UNTOUCHED = 300
"""Facts that are never edited."""
_BOUND = 30.0
"""Nats that one text's change counts as at most."""


@dataclass(frozen=True)
class Seen:
    """What a model makes of some texts.

    Attributes:
        holds: whether each answer is the likeliest, token by token.
        odds: log-odds of each answer.
        likeliest: the likeliest token at each place of each answer.
    """

    holds: list[bool]
    odds: torch.Tensor
    likeliest: Sequence[torch.Tensor]


def main() -> None:
    """Edit, look, and put the result beside the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=sorted(ALGORITHMS), metavar="method", help="one of ours")
    parser.add_argument("--facts", type=int, default=200)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting of the preset"
    )
    parser.add_argument("--label", help="name of the result")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    settings = {name: yaml.safe_load(value) for name, _, value in (pair.partition("=") for pair in arguments.set)}
    found = measured(arguments.method, arguments.facts, settings)
    label = arguments.label or arguments.method
    found = {"label": label, "command": shlex.join(["python", *sys.argv]), "git": git_revision()} | found
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{label}.json").write_text(json.dumps(found, indent=1) + "\n")
    results = [json.loads(path.read_text()) for path in sorted(arguments.out.glob("*.json"))]
    (arguments.out / "disturbance.md").write_text(markdown(results))
    print(markdown([found]))


def measured(name: str, count: int, settings: dict[str, Any]) -> dict[str, Any]:
    """The scores of one batch."""
    model, tok = factworld.load()
    records = load_records("factworld", split="dev", size=count + UNTOUCHED).records
    requests, others = to_requests(records[:count]), to_requests(records[count:])

    def row(prompt: str, answer: str) -> Row:
        stated = encode(tok, prompt, f" {answer.strip()}")
        return Row((*stated.ids, tok.eos_token_id), stated.span + 1)

    probes = [
        row(question.prompt, question.answer)
        for request in EditRequest.prepare(requests)
        for question in questions(request)
        if question.keeps and not _is_rewritten(question, requests)
    ][:: max(1, count // 100)]
    untouched = [row(fact["prompt"], fact["ground_truth"]) for fact in others]
    before = [look(model, rows) for rows in (probes, untouched)]
    hparams = ALGORITHMS[name].hparams_class.from_hparams(f"{name}/gpt2-factworld").replace(**settings)
    started = time.process_time()
    update = solve(model, tok, requests, hparams)
    seconds = time.process_time() - started
    update.commit(model)
    after = [look(model, rows) for rows in (probes, untouched)]
    written, rephrased = (
        look(model, [row(fact[key], fact["target_new"]) for fact in requests]) for key in ("prompt", "rephrase_prompt")
    )
    same = [now for was, now in zip(before[1].holds, after[1].holds, strict=True) if was]
    agreement = [(now == was).float().mean() for was, now in zip(before[0].likeliest, after[0].likeliest, strict=True)]
    return {
        "method": name,
        "settings": settings,
        "facts": count,
        "rewrite": _percent(written.holds),
        "rephrase": _percent(rephrased.holds),
        "locality": 100 * float(torch.stack(agreement).mean()),
        "locality_moved": moved(before[0], after[0]),
        "untouched": _percent(same),
        "untouched_moved": moved(before[1], after[1]),
        "cpu_seconds": seconds / count,
    }


@torch.no_grad()
def look(model: Any, rows: Sequence[Row]) -> Seen:
    """One pass over some texts."""
    found = predict(model, rows)
    likeliest = found.log_probs.argmax(-1)
    right = (likeliest == found.tokens).split(found.spans)
    return Seen(
        [bool(own.all()) for own in right],
        odds(found.nll() * torch.tensor(found.spans)),
        likeliest.split(found.spans),
    )


def moved(before: Seen, after: Seen) -> float:
    """Root mean square of the change of log-odds, in nats."""
    return (after.odds - before.odds).clamp(-_BOUND, _BOUND).square().mean().sqrt().item()


def _percent(found: Sequence[bool]) -> float:
    return 100 * sum(found) / len(found)


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """A table."""
    columns = ["facts", "rewrite", "rephrase", "locality", "locality_moved", "untouched", "untouched_moved"]
    lines = [
        "| | facts | rewrite | rephrase | locality | moved, nats | facts nobody edited | moved, nats | CPU s a fact |",
        "| --- |" + " ---: |" * (len(columns) + 1),
    ]
    for found in results:
        cells = [f"{found[name]:.2f}" if "moved" in name else f"{found[name]:.4g}" for name in columns]
        lines.append("| " + " | ".join([found["label"], *cells, f"{found['cpu_seconds']:.2f}"]) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
