"""What is left of a stream of edits in a real model, and what it does to the rest: settings compared on dev facts.

Facts are those at the beginning of a file that the model knows, written one after the other; nothing is undone, and all
is asked after the last, of the model's next token: the rewrite, the rephrasing, each fact's own locality prompt (the
same token as before), and facts further on in the file that the model knows, 96 at most (SmolLM2 knows 26 there).
*Moved* is the root mean square of the change of the log-odds of the latter's answers, which tells settings apart before
an answer flips; *lead* is as in `other_wordings.py`. The perplexity is that of the beginning of a text file.

    python benchmarks/real_stream.py counterfact-edit-dev.json jobs.yaml --text wikitext-2-raw.test.txt --out DIR

jobs.yaml is a list of {label, method, settings}. Outcomes are added to DIR/streams.jsonl, and jobs that stand there are
left out; the table is DIR/table.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from other_wordings import DEV, OTHERS_FROM, _first, _known, _lines, _next, answer_odds

from easyedit_ice import FastMEMITHyperParams, load_model
from easyedit_ice.bench.methods import make_method
from easyedit_ice.data.easyedit_requests import RequestDict
from easyedit_ice.model.tokenizer import Tokenizer

OTHERS = 96
_WINDOW, _WINDOWS = 512, 8
COLUMNS = ("rewrite", "rephrase", "likelier", "lead", "locality", "kept", "moved", "perplexity", "seconds")


def main() -> None:
    """Run what was not run yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", help="CounterFact's, with a rephrasing each")
    parser.add_argument("jobs", type=Path)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--facts", type=int, default=40)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "streams.jsonl"
    model, tok = load_model(FastMEMITHyperParams(model_name=arguments.model, device="cpu"))
    facts = cast(list[RequestDict], _known(model, tok, arguments.records, 0, OTHERS_FROM, arguments.facts))
    others = cast(list[RequestDict], _known(model, tok, arguments.records, OTHERS_FROM, DEV, OTHERS))
    text = arguments.text.read_text()
    before = looked(model, tok, facts, others, text)
    for job in yaml.safe_load(arguments.jobs.read_text()):
        if job["label"] in {line["label"] for line in _lines(path)}:
            continue
        method = make_method(job["method"], model=(model, tok), preset="auto", settings=job.get("settings", {}))
        method.apply([facts[0]], 0)
        method.reset()
        started = time.process_time()
        for index, fact in enumerate(facts):
            edited = method.apply([fact], index)
        seconds = (time.process_time() - started) / len(facts)
        outcome = compared(before, looked(edited.model, tok, facts, others, text))
        outcome |= {"others": len(others), "seconds": seconds}
        method.reset()
        with path.open("a") as file:
            file.write(json.dumps({**job, "model": arguments.model, "facts": len(facts), **outcome}) + "\n")
        (arguments.out / "table.md").write_text(_table(_lines(path)))


def looked(
    model: Any, tok: Tokenizer, facts: Sequence[RequestDict], others: Sequence[RequestDict], text: str
) -> dict[str, Any]:
    """What a model says to everything that is asked."""
    stated, other = ([_next(model, tok, fact[key]) for fact in facts] for key in ("prompt", "rephrase_prompt"))
    new, old = ([_first(tok, str(fact[key])) for fact in facts] for key in ("target_new", "ground_truth"))
    own = [prompt for fact in facts for group in fact["locality"].values() for prompt in group["prompt"]]
    return {
        "rewrite": [bool(said.argmax() == token) for said, token in zip(stated, new, strict=True)],
        "rephrase": [bool(said.argmax() == token) for said, token in zip(other, new, strict=True)],
        "lead": [float(said[n] - said[o]) for said, n, o in zip(other, new, old, strict=True)],
        "own": [int(_next(model, tok, prompt).argmax()) for prompt in own],
        "others": [int(_next(model, tok, fact["prompt"]).argmax()) for fact in others],
        "odds": answer_odds(model, tok, others),
        "perplexity": _perplexity(model, tok, text),
    }


def compared(before: dict[str, Any], after: dict[str, Any]) -> dict[str, float]:
    """The figures of a stream."""
    same = {
        key: _mean([was == now for was, now in zip(before[key], after[key], strict=True)]) for key in ("own", "others")
    }
    return {
        "rewrite": _mean(after["rewrite"]),
        "rephrase": _mean(after["rephrase"]),
        "likelier": _mean([lead > 0 for lead in after["lead"]]),
        "lead": _mean(after["lead"]),
        "locality": same["own"],
        "kept": same["others"],
        "moved": float((after["odds"] - before["odds"]).square().mean().sqrt()),
        "perplexity": after["perplexity"],
        "perplexity_before": before["perplexity"],
    }


@torch.no_grad()
def _perplexity(model: Any, tok: Tokenizer, text: str) -> float:
    ids = torch.tensor(tok(text[: 16 * _WINDOW * _WINDOWS], add_special_tokens=False)["input_ids"])
    windows = ids[: _WINDOW * _WINDOWS].view(_WINDOWS, _WINDOW)
    losses = [model(input_ids=window[None], labels=window[None]).loss for window in windows]
    return float(torch.stack(losses).mean().exp())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _table(lines: Sequence[dict[str, Any]]) -> str:
    rows = [
        "| | facts | rewrite | rephrase | new likelier than old | lead, nats | own-record locality | others kept "
        "| moved, nats | perplexity | CPU s a fact |",
        "|---|" + "---:|" * 10,
    ]
    for line in lines:
        cells = [f"{100 * line[column]:.0f}" for column in COLUMNS[:3]] + [f"{line['lead']:.2f}"]
        cells += [f"{100 * line[column]:.1f}" for column in ("locality", "kept")]
        cells += [f"{line['moved']:.2f}", f"{line['perplexity']:.1f} ({line['perplexity_before']:.1f})"]
        rows.append(f"| {line['label']} | {line['facts']} | {' | '.join(cells)} | {line['seconds']:.1f} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
