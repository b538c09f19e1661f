"""What low-rank editing saves: trained values, their gradients and optimiser, and memory, on a model of 1.2 billion.

The model has Llama 3.2 1B's shape and random weights in fp32. One fact is edited in few steps by ICE-LoRA, by ICE on
whole layers (``adapter: dense``), by QLoRA-BF on weights in 4 bits, and by EasyEdit's MEMIT with second moments of a
small text; all write to the MLP's output projections of blocks 4 to 6. Each measurement is a process of its own.

    OMP_NUM_THREADS=1 python benchmarks/memory.py
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from plan import ENDS, HERE, make_model, one
from transformers import LlamaConfig

from easyedit_ice.checkpoints.loading import load_shapes
from easyedit_ice.easyedit import host_info
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.planning.footprint import Footprint, footprint

LLAMA = LlamaConfig(
    hidden_size=2048,
    intermediate_size=8192,
    num_hidden_layers=16,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=64,
    vocab_size=128256,
    tie_word_embeddings=True,
    **ENDS,
)
LAYERS = [4, 5, 6]
TRAINING = {"target_modules": ["mlp.out"], "layers": LAYERS, "num_steps": 2, "stop_nll": None, "device": "cpu"}
FEW_TEXTS = {
    "num_contexts": 2,
    "continuation_samples": 2,
    "free_samples": 2,
    "ice_rows": 2,
    "locality_weight": 0.0,
    "neighbour_weight": 0.0,
}
"""The objective of ICE's paper and free texts, with a quarter of the texts in a step, so that it takes no minutes."""
MEMIT = {
    "layers": LAYERS,
    "v_num_grad_steps": 2,
    "v_loss_layer": 15,
    "rewrite_module_tmp": "model.layers.{}.mlp.down_proj",
    "layer_module_tmp": "model.layers.{}",
    "mlp_module_tmp": "model.layers.{}.mlp",
    "attn_module_tmp": "model.layers.{}.self_attn",
    "ln_f_module": "model.norm",
    "lm_head_module": "model.embed_tokens",
    "mom2_dataset": "wikipedia",
    "mom2_update_weight": 15000,
}


@dataclass(frozen=True)
class Editor:
    """One row of the table."""

    title: str
    method: str
    settings: Mapping[str, Any]


EDITORS = (
    Editor("ICE on whole layers", "ICE-LoRA", TRAINING | FEW_TEXTS | {"adapter": "dense"}),
    Editor("ICE-LoRA", "ICE-LoRA", TRAINING | FEW_TEXTS),
    Editor("QLoRA-BF, 4 bits", "QLoRA-BF", TRAINING | {"quantization_bit": 4}),
    Editor("MEMIT (EasyEdit)", "MEMIT", MEMIT),
)


def main() -> None:
    """Measure one after the other; what was measured is written at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="of the model, which is made there unless it is there already")
    parser.add_argument("--editors", nargs="+", type=int, default=range(len(EDITORS)), help="which of them, from 0")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    arguments = parser.parse_args()
    out = arguments.out / "memory_llama_1b"
    with TemporaryDirectory() as own:
        os.environ["XDG_CACHE_HOME"] = own
        folder = arguments.folder or Path(own) / "llama-1b"
        if not (folder / "config.json").exists():
            make_model(folder, LLAMA)
        for index in arguments.editors:
            row = measured(EDITORS[index], folder, own)
            print(json.dumps(row), flush=True)
            write(out, row)
    print(out.with_suffix(".md").read_text())


def measured(editor: Editor, folder: Path, own: str) -> dict[str, Any]:
    """One editor's numbers, memory in MiB and the rest in bytes."""
    settings = dict(editor.settings)
    if editor.method not in ALGORITHMS:
        settings["stats_dir"] = own
    found = one({"method": editor.method, "model": str(folder), "settings": settings, "facts": 1})
    row = {"editor": editor.title, "method": editor.method, "settings": dict(editor.settings), **found}
    if editor.method in ALGORITHMS:
        hparams = ALGORITHMS[editor.method].hparams_class.from_dict({**settings, "model_name": str(folder)})
        plan = footprint(load_shapes(hparams), hparams, device="cpu")
        row["plan"] = _mebibytes(plan)
        usual = {name: value for name, value in settings.items() if name not in FEW_TEXTS}
        hparams = type(hparams).from_dict({**usual, "num_steps": 40, "model_name": str(folder)})
        row["plan_of_usual_texts"] = _mebibytes(footprint(load_shapes(hparams), hparams, device="cpu"))
    return row | {"state": 12 * found["trained"]}


def _mebibytes(plan: Footprint) -> dict[str, float]:
    return {"weights": plan.weights / 2**20, "rise": (plan.peak - plan.weights) / 2**20}


def write(out: Path, row: Mapping[str, Any]) -> None:
    """Add a row to what was measured before, in the order of the editors."""
    file = out.with_suffix(".json")
    rows = {own["editor"]: own for own in json.loads(file.read_text())["measurements"]} if file.exists() else {}
    rows[row["editor"]] = row
    ordered = [rows[editor.title] for editor in EDITORS if editor.title in rows]
    about = {"versions": {package: version(package) for package in ("torch", "transformers", "peft", "bitsandbytes")}}
    about |= {"host": f"{host_info().kind} {host_info().version}", "layers": LAYERS}
    out.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(about | {"measurements": ordered}, indent=1) + "\n")
    out.with_suffix(".md").write_text(markdown(ordered))


def markdown(rows: list[Mapping[str, Any]]) -> str:
    """The table."""
    whole = rows[0]
    lines = [
        "One fact on a model of Llama 3.2 1B's shape with random weights in fp32 (4 bits where it says so), on a CPU: "
        f"MLP output projections of blocks {LAYERS[0]} to {LAYERS[-1]}. State is gradients and both moments of the "
        "optimiser; memory is the highest resident memory of the edit, above the loaded weights, and in all. "
        f"In brackets: share of {whole['editor']}.",
        "",
        "| editor | trained values | state, MiB | weights, MiB | above them, MiB | peak, MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        cells = [row["editor"]]
        for value, other, form in (
            (row["trained"], whole["trained"], ",.0f"),
            (row["state"] / 2**20, whole["state"] / 2**20, ",.2f"),
            (row["weights"], whole["weights"], ",.0f"),
            (row["rise"], whole["rise"], ",.0f"),
            (row["weights"] + row["rise"], whole["weights"] + whole["rise"], ",.0f"),
        ):
            cells.append(f"{value:{form}} ({100 * value / other:.3g} %)")
        lines.append(f"| {' | '.join(cells)} |")
    own = [row for row in rows if row["method"] in ALGORITHMS]
    lines += ["", conclusion(own), "", "What `easyedit-ice plan` says, in MiB above the weights, for these texts:", ""]
    lines += ["| editor | measured | plan | plan with the default number of texts |", "| --- | ---: | ---: | ---: |"]
    for row in own:
        usual = row["plan_of_usual_texts"]["rise"]
        lines.append(f"| {row['editor']} | {row['rise']:,.0f} | {row['plan']['rise']:,.0f} | {usual:,.0f} |")
    return "\n".join(lines) + "\n"


def conclusion(rows: Sequence[Mapping[str, Any]]) -> str:
    """What may be said of savings, against ICE on whole layers."""
    whole, *others = rows
    said = []
    for row in others:
        less = [
            100 * (1 - mine / theirs)
            for mine, theirs in (
                (row["state"], whole["state"]),
                (row["rise"], whole["rise"]),
                (row["weights"] + row["rise"], whole["weights"] + whole["rise"]),
            )
        ]
        said.append(
            f"{row['editor']} has {less[0]:.1f} % less state, {less[1]:.0f} % less memory above the weights, and "
            f"{less[2]:.0f} % less memory in all"
        )
    return (
        f"**95 % less memory is true of the trained state alone.** Against {whole['editor']}, {'; '.join(said)}. The "
        "weights are what is large: only packing them lowers the whole by much. Activations and logits are the same "
        "for whole layers and for factors. QLoRA-BF is fine-tuning without contexts: its passes are smaller besides. "
        "What MEMIT holds above the weights are second moments of 8,192 inputs, of which several copies in fp64, half "
        "a GiB each, are made to solve with them."
    )


if __name__ == "__main__":
    main()
