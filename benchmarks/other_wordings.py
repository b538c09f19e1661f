"""How far methods carry facts into another wording, and what that costs other facts: settings compared on dev facts.

Facts are those at the beginning of a file that the model knows (the likeliest next token is the first of the old
answer), edited one at a time, each undone before the next. Of the model's next token after the prompt and after the
rephrasing: whether the new answer's first token is the likeliest, whether it is likelier than the old one's, and by how
many nats. The last tells settings apart on a few facts, where answers that flip do not. *Kept*: of facts further on in
the file that the model knows, 48 at most (SmolLM2 knows 26 there), the share whose next token stays right. *Change*:
the greatest ‖ΔW‖ / ‖W‖. *Moved*: the root mean square of the change of the log-odds of those facts' answers, over all
edits and facts; half of it may come from one edit or two.

    python benchmarks/other_wordings.py counterfact-edit-dev.json jobs.yaml --model smollm2-135m --out DIR

jobs.yaml is a list of {label, method, settings}. Outcomes are added to DIR/facts.jsonl, so that the same command goes
on where it was; the table of all that is there stands in DIR/table.md. With --at facts are the records at these
places of the file, known or not.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import yaml

from easyedit_ice import FastMEMITHyperParams, load_model
from easyedit_ice.bench.methods import make_method
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.model.tokenizer import Tokenizer

OTHERS_FROM = 700
"""Record from which other facts are taken; dev facts come before it."""
DEV = 1400
"""First record that settings are not chosen on."""
OTHERS = 48
COLUMNS = ("rewrite", "rephrase", "likelier", "lead", "kept", "change", "moved")


def main() -> None:
    """Try what was not tried yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", help="CounterFact's, with a rephrasing each")
    parser.add_argument("jobs", type=Path)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--facts", type=int, default=24)
    parser.add_argument("--at", help="places of records, such as 73,703, in place of known facts from the beginning")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "facts.jsonl"
    model, tok = load_model(FastMEMITHyperParams(model_name=arguments.model, device="cpu"))
    if arguments.at is None:
        facts = _known(model, tok, arguments.records, 0, OTHERS_FROM, arguments.facts)
    else:
        facts = [_record(arguments.records, int(place)) for place in arguments.at.split(",")]
    others = _known(model, tok, arguments.records, OTHERS_FROM, DEV, OTHERS)
    before = answer_odds(model, tok, others)
    for job in yaml.safe_load(arguments.jobs.read_text()):
        method = make_method(job["method"], model=(model, tok), preset="auto", settings=job.get("settings", {}))
        done = {line["fact"] for line in _lines(path) if line["label"] == job["label"]}
        for index in [index for index in range(len(facts)) if index not in done]:
            outcome = _outcome(method, facts[index], others, before)
            with path.open("a") as file:
                file.write(json.dumps({**job, "fact": index, "prompt": facts[index]["prompt"], **outcome}) + "\n")
        (arguments.out / "table.md").write_text(_table(_lines(path)))


def _known(model: Any, tok: Tokenizer, source: str, start: int, end: int, count: int) -> list[dict[str, Any]]:
    """The first facts of a part of a file that the model knows."""
    found: list[dict[str, Any]] = []
    for request in to_requests(load_records(source, start=start, size=end - start).records):
        if len(found) < count and _next(model, tok, request["prompt"]).argmax() == _first(
            tok, str(request["ground_truth"])
        ):
            found.append(dict(request))
    return found


def _record(source: str, place: int) -> dict[str, Any]:
    return dict(to_requests(load_records(source, start=place, size=1).records)[0])


def answer_odds(model: Any, tok: Tokenizer, facts: Sequence[Mapping[str, Any]]) -> torch.Tensor:
    """Log-odds of the first token of each fact's old answer, (n,)."""
    answers = [_next(model, tok, fact["prompt"])[_first(tok, str(fact["ground_truth"]))] for fact in facts]
    likely = torch.stack(answers)
    return likely - torch.log1p(-likely.exp())


def _outcome(
    method: Any, request: dict[str, Any], others: Sequence[dict[str, Any]], before: torch.Tensor
) -> dict[str, float]:
    new, old = (_first(method.tok, request[key]) for key in ("target_new", "ground_truth"))
    edited = method.apply([request], 0)
    now = dict(method.model.named_parameters())
    changes = [((now[name] - weight).norm() / weight.norm()).item() for name, weight in edited.originals.items()]
    stated, other = (_next(edited.model, method.tok, request[key]) for key in ("prompt", "rephrase_prompt"))
    kept = [
        _next(edited.model, method.tok, o["prompt"]).argmax() == _first(method.tok, o["ground_truth"]) for o in others
    ]
    moved = (answer_odds(edited.model, method.tok, others) - before).square().mean().sqrt().item()
    method.undo(edited)
    values = (stated.argmax() == new, other.argmax() == new, other[new] > other[old], other[new] - other[old])
    told = [*map(float, values), mean(map(float, kept)), max(changes, default=0.0), moved]
    return dict(zip(COLUMNS, told, strict=True))


@torch.no_grad()
def _next(model: Any, tok: Tokenizer, prompt: str) -> torch.Tensor:
    """Log-probabilities of the next token, (v,)."""
    logits: torch.Tensor = model(**tok(prompt, return_tensors="pt")).logits[0, -1]
    return logits.float().log_softmax(-1)


def _first(tok: Tokenizer, answer: str) -> int:
    return int(tok(" " + answer.strip(), add_special_tokens=False)["input_ids"][0])


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def _table(lines: Sequence[dict[str, Any]]) -> str:
    """Means of each label."""
    rows = [
        "| | n | rewrite | rephrase | new likelier than old | lead, nats | others kept | change | moved, nats |",
        "|---|" + "---:|" * 8,
    ]
    for label in dict.fromkeys(line["label"] for line in lines):
        own = [line for line in lines if line["label"] == label]
        means = {column: mean(line[column] for line in own) for column in COLUMNS[:-1]}
        moved = mean(line["moved"] ** 2 for line in own) ** 0.5 if all("moved" in line for line in own) else None
        cells = [f"{100 * means[column]:.0f}" for column in COLUMNS[:3]]
        cells += [f"{means['lead']:.2f}", f"{100 * means['kept']:.1f}", f"{means['change']:.3f}"]
        cells.append("–" if moved is None else f"{moved:.2f}")
        rows.append(f"| {label} | {len(own)} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
