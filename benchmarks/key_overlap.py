"""How much of what is written for one subject is read for another, block by block: where edits disturb each other.

Keys are what the MLP's output projections read at the last token of subjects in their prompts. A rank-one edit that
writes a value v for a key e, priced by A = C / c + σ I as in FastMEMIT, writes (k A⁻¹ e) / (e A⁻¹ e) of v for any other
key k. *Overlap* is the root mean square of that share over pairs of different subjects; *names* is the same where the
keys of 160 further subjects are in A, together weighing a tenth of general text; *cosine* that of plain keys. *Median*
is the median eigenvalue of C / c: 1 where general text reads all directions alike.

    python benchmarks/key_overlap.py --model smollm2-135m --records counterfact-edit-dev.json --step 2 --out DIR
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice import FastMEMITHyperParams, load_model
from easyedit_ice.data import load_records
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.subject_position import subject_in
from easyedit_ice.editors.closed_form.solver_settings import measuring_of
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.moments import moments
from easyedit_ice.text.reading import at_last_token
from easyedit_ice.text.rows import prefix_ids

EMBEDDED = "gpt2-factworld"
NAMES, EDITED, OTHERS = 160, 40, 40
"""Subjects whose keys are in A, are written, and are looked at."""
NAMES_WEIGHT = 0.1


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=EMBEDDED)
    parser.add_argument("--records", help="a file of records; dev facts of the embedded world by default")
    parser.add_argument("--step", type=int, default=1, help="look at each so-manieth block")
    parser.add_argument("--tokens", type=int, help="of general text for each input; by default as editors have it")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    hparams = FastMEMITHyperParams(model_name=arguments.model, device="cpu")
    if arguments.tokens:
        hparams = hparams.replace(dynamic_multiplier=arguments.tokens)
    model, tok = load_model(hparams)
    anatomy = ModelAnatomy(model)
    names = [p.name for p in anatomy.select("mlp", "out", list(range(0, anatomy.num_layers, arguments.step)))]
    read = keys(model, tok, names, arguments.records)
    rows = ["| block | cosine | overlap | names | median |", "|" + " ---: |" * 5]
    for name, (moment, _) in moments(model, tok, names, measuring_of(hparams)).items():
        cells = overlaps(read[name].double(), moment.double(), hparams.mom2_shrinkage)
        rows.append(" | ".join([f"| {anatomy.projection(name).layer}", *(f"{cell:.3f}" for cell in cells)]) + " |")
    arguments.out.mkdir(parents=True, exist_ok=True)
    told = f"{hparams.dynamic_multiplier} tokens of general text for each input, σ {hparams.mom2_shrinkage}"
    (arguments.out / f"{arguments.model}-{hparams.dynamic_multiplier}.md").write_text("\n".join([told, "", *rows, ""]))


def keys(model: nn.Module, tok: Tokenizer, names: Sequence[str], source: str | None) -> dict[str, Tensor]:
    """What projections read at the last token of each subject: (n, in) by path."""
    split: dict[str, Any] = {} if source else {"split": "dev"}
    records = load_records(source or "factworld", size=NAMES + EDITED + OTHERS, **split).records
    requests = EditRequest.prepare(records)
    rows = [prefix_ids(tok, request.prompt)[: subject_in(tok, request) + 1] for request in requests]
    return {name: at_last_token(model, rows, name, "in") for name in names}


def overlaps(read: Tensor, moment: Tensor, shrinkage: float) -> tuple[float, ...]:
    """Cosine, overlap, overlap with names, and median."""
    unit = moment.diagonal().mean()
    names, edited, others = (read / unit.sqrt()).split([NAMES, EDITED, OTHERS])
    metric = moment / unit
    median = torch.linalg.eigvalsh(metric).median().item()
    metric.diagonal().add_(shrinkage)
    with_names = metric + NAMES_WEIGHT * names.T @ names / len(names)
    plain = nn.functional.normalize(edited, dim=1) @ nn.functional.normalize(others, dim=1).T
    shares = [_shares(each, edited, others) for each in (metric, with_names)]
    return _rms(plain), *map(_rms, shares), median


def _shares(metric: Tensor, edited: Tensor, others: Tensor) -> Tensor:
    """What is written for each edited key at each other one, (edited, others)."""
    readers: Tensor = torch.linalg.solve(metric, edited.T).T
    return (readers @ others.T) / (readers * edited).sum(1, keepdim=True)


def _rms(values: Tensor) -> float:
    return values.square().mean().sqrt().item()


if __name__ == "__main__":
    main()
