"""FastGate's edits as a plain checkpoint: whether it answers as the model with gates beside it does.

Facts of a file are edited together in fp32; then the model is saved with them, loaded by transformers alone, and asked
the same: each fact, and the prompts of the records after them. In bfloat16 model and checkpoint are rounded.

    python benchmarks/gates_as_units.py counterfact-edit-dev.json --start 1400 --facts 100 --others 200 --out DIR
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from easyedit_ice import FastGateHyperParams, WeightUpdate, load_model, solve
from easyedit_ice.text.rows import encode
from easyedit_ice.text.tokens import tokens

COLUMNS = (
    "type",
    "facts written",
    "by the checkpoint",
    "others' likeliest token the same",
    "largest difference of a log-odds",
    "time",
)


def main() -> None:
    """Edit, save, load and compare, in both types."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path, help="CounterFact's")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--start", type=int, default=0, help="the first record that is edited")
    parser.add_argument("--facts", type=int, default=100)
    parser.add_argument("--others", type=int, default=200, help="records after these, whose prompts are asked")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    records = json.loads(arguments.records.read_text())[arguments.start :]
    facts = [{name: one[name] for name in ("prompt", "subject", "target_new")} for one in records[: arguments.facts]]
    others = [one["prompt"] for one in records[arguments.facts : arguments.facts + arguments.others]]
    hparams = FastGateHyperParams(model_name=arguments.model, device="cpu", dtype="float32")
    update = solve(*load_model(hparams), facts, hparams)
    lines = [row(hparams.replace(dtype=dtype), update, facts, others) for dtype in ("float32", "bfloat16")]
    arguments.out.mkdir(parents=True, exist_ok=True)
    table = [f"| {' | '.join(COLUMNS)} |", "| --- | ---: | ---: | ---: | ---: | ---: |", *lines]
    (arguments.out / "units.md").write_text("\n".join(table) + "\n")
    print("\n".join(table))


def row(
    hparams: FastGateHyperParams, update: WeightUpdate, facts: Sequence[dict[str, str]], others: Sequence[str]
) -> str:
    """The line of a type."""
    model, tok = load_model(hparams)
    firsts = [encode(tok, fact["prompt"], f" {fact['target_new'].strip()}").predicted[0] for fact in facts]
    texts = [*(fact["prompt"] for fact in facts), *others]
    with TemporaryDirectory() as folder:
        update.to_hf(model, tok, folder)
        plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    update.commit(model)
    (gated, first), (wide, second) = (said(one, tok, texts) for one in (model, plain))
    count = len(facts)
    written, there = ((one[:count].argmax(1) == torch.tensor(firsts)).float().mean() for one in (gated, wide))
    likeliest = gated.argmax(1, keepdim=True)
    apart = (logit(gated.gather(1, likeliest)) - logit(wide.gather(1, likeliest))).abs().max()
    same = (gated[count:].argmax(1) == wide[count:].argmax(1)).float().mean()
    return (
        f"| {hparams.dtype} | {100 * written:.0f} | {100 * there:.0f} | {100 * same:.1f} | {apart:.2g} nats | "
        f"{second / first:.2f} |"
    )


@torch.no_grad()
def said(model: Any, tok: Any, texts: Sequence[str]) -> tuple[Tensor, float]:
    """Log-probabilities of what follows each text, (n, v) in fp32; and the seconds it took."""
    started = time.process_time()
    rows = [model(torch.tensor([tokens(tok, text)])).logits[0, -1].float().log_softmax(-1) for text in texts]
    return torch.stack(rows), time.process_time() - started


def logit(log_probs: Tensor) -> Tensor:
    """Log-odds of log-probabilities."""
    return log_probs - torch.log1p(-log_probs.exp().clamp(max=1 - 1e-6))


if __name__ == "__main__":
    main()
