"""What opens the gates of FastGate's edits besides their own facts: prompts of other records, token by token.

Facts of a file are edited together, and the prompts of the records after them are read. Values do not matter to gates,
so none is sought for longer than a step.

    python benchmarks/gates.py counterfact-edit-dev.json --start 1400 --facts 100 --others 600 --out DIR

DIR/gates.md has a line for each token at which a gate opens, wholly (1) or in part.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import cast

import torch

from easyedit_ice import FastGateHyperParams, load_model, solve
from easyedit_ice.edit.gated_delta import GatedDelta, read_of
from easyedit_ice.text.reading import at_places
from easyedit_ice.text.tokens import tokens


def main() -> None:
    """Edit, read, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path, help="CounterFact's")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--start", type=int, default=0, help="the first record that is edited")
    parser.add_argument("--facts", type=int, default=100)
    parser.add_argument("--others", type=int, default=600, help="records after these, whose prompts are read")
    parser.add_argument("--layer", type=int, help="the block; a quarter of the depth if left out")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # that facts are not written, which is not asked here
    records = json.loads(arguments.records.read_text())[arguments.start :]
    facts = [
        {name: record[name] for name in ("prompt", "subject", "target_new")} for record in records[: arguments.facts]
    ]
    others = [record["prompt"] for record in records[arguments.facts : arguments.facts + arguments.others]]
    layers = None if arguments.layer is None else [arguments.layer]
    hparams = FastGateHyperParams(model_name=arguments.model, device="cpu", v_num_grad_steps=1, layers=layers)
    model, tok = load_model(hparams)
    ((name, delta),) = solve(model, tok, facts, hparams).deltas.items()
    gates = cast(GatedDelta, delta)
    rows = [tokens(tok, text) for text in others]
    states = at_places(model, rows, [range(len(row)) for row in rows], name, "in")
    lines, touched, whole = [], 0, 0
    for text, row, own in zip(others, rows, states.split([len(row) for row in rows]), strict=True):
        read = read_of(own, gates.readers, gates.lengths)
        opened = ((read - gates.closed) / (gates.open - gates.closed)).clamp(0, 1)
        touched += bool((opened > 0).any())
        whole += bool((opened == 1).any())
        for place, fact in torch.nonzero(opened).tolist():
            at = tok.decode(row[place]).strip()
            lines.append(f"| {text} | {at} | {facts[fact]['subject']} | {opened[place, fact]:.2f} |")
    told = f"{touched} of {len(others)} prompts open a gate of {len(facts)}, {whole} of them one wholly."
    table = ["| prompt | at | gate of | open |", "| --- | --- | --- | ---: |", *lines]
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "gates.md").write_text("\n".join([told, "", *table]) + "\n")
    print(told)


if __name__ == "__main__":
    main()
