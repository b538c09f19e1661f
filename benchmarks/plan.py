"""Is the estimate of ``easyedit-ice plan`` right? Peak resident memory of edits beside it, on random-weight models.

Each measurement is a process of its own, which loads the model, solves for some facts and commits the update. Both the
whole (weights and all) and what comes on top of the weights are compared.

    OMP_NUM_THREADS=1 python benchmarks/plan.py
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from peak_one import requests
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, LlamaConfig, PretrainedConfig

from easyedit_ice.checkpoints.loading import load_shapes
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient.objectives import fact_row
from easyedit_ice.planning.footprint import Footprint, footprint
from easyedit_ice.testing.tiny_models import tokenizer

HERE = Path(__file__).resolve().parent
ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
MODELS: dict[str, PretrainedConfig] = {
    "GPT-2 small": GPT2Config(**ENDS),
    "Llama, 52M": LlamaConfig(
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=12,
        num_attention_heads=8,
        num_key_value_heads=4,
        vocab_size=32000,
        tie_word_embeddings=True,
        **ENDS,
    ),
    "Llama, 289M": LlamaConfig(
        hidden_size=1280,
        intermediate_size=3456,
        num_hidden_layers=12,
        num_attention_heads=20,
        num_key_value_heads=4,
        vocab_size=32000,
        **ENDS,
    ),
}
"""Shapes of models, with random weights in fp32."""
ALGORITHMS_MEASURED = ("LoRA-BF", "AdaLoRA", "DoRA", "LocFT-BF", "ICE-LoRA", "QLoRA-BF", "SVF")
SETTINGS = {"num_steps": 3, "stop_nll": None, "mini_batch_size": 8, "micro_batch_size": 8, "device": "cpu"}
TEXTS = {"continuation_samples": 8, "free_samples": 8, "neighbour_names": 8, "locality_samples": 8, "num_steps": 2}
"""For ICE-LoRA: as many texts as a step looks at, so that it takes no minutes."""
FACTS, FACTS_IN_CONTEXT = 8, 2
ONE_NAME_IN = 16
"""Words of the tokenizer for each that looks like a name."""


def main() -> None:
    """Measure everything, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", nargs="+", default=ALGORITHMS_MEASURED)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    arguments = parser.parse_args()
    found = []
    with TemporaryDirectory() as root, tqdm(total=len(arguments.models) * len(arguments.algorithms)) as bar:
        for name in arguments.models:
            folder = make_model(Path(root) / "model", MODELS[name])
            for algorithm in arguments.algorithms:
                found.append({"model": name, "algorithm": algorithm, **compared(folder, algorithm)})
                bar.write(f"{name} {algorithm}: {found[-1]['peak']:.2f} {found[-1]['above']:.2f}")
                bar.update()
    about = {"versions": {package: version(package) for package in ("torch", "transformers", "peft", "bitsandbytes")}}
    about |= {"facts": FACTS, "settings": SETTINGS}
    arguments.out.mkdir(parents=True, exist_ok=True)
    out = arguments.out / "plan"
    out.with_suffix(".json").write_text(json.dumps(about | {"measurements": found}, indent=1) + "\n")
    out.with_suffix(".md").write_text(markdown(found))
    print(out.with_suffix(".md").read_text())


def make_model(folder: Path, config: PretrainedConfig, dtype: torch.dtype = torch.float32) -> Path:
    """A checkpoint of random weights, with a tokenizer that has a word for each row of the embedding."""
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=dtype).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    tok = AutoTokenizer.from_pretrained(folder)
    words = ((" Name" if index % ONE_NAME_IN == 0 else " word") + str(index) for index in range(len(tok), 10**6))
    tok.add_tokens([next(words) for _ in range(config.vocab_size - len(tok))])
    tok.save_pretrained(folder)
    return folder


def compared(folder: Path, algorithm: str) -> dict[str, Any]:
    """What was measured, what was estimated, and their ratios, in MiB."""
    in_context = algorithm == "ICE-LoRA"
    settings, facts = SETTINGS | (TEXTS if in_context else {}), FACTS_IN_CONTEXT if in_context else FACTS
    hparams = ALGORITHMS[algorithm].hparams_class.from_dict({**settings, "model_name": str(folder)})
    tok = AutoTokenizer.from_pretrained(folder)
    lengths = [len(fact_row(tok, fact, True).ids) for fact in EditRequest.prepare(requests(facts))]
    tokens = round(sum(lengths) / facts)
    plan = footprint(load_shapes(hparams), hparams, facts=facts, tokens=tokens, device="cpu", tok=tok)
    settings = settings | {"quantization_bit": hparams.quantization_bit}
    measured = one({"method": algorithm, "model": str(folder), "settings": settings, "facts": facts})
    assert measured["trained"] == plan.trained
    whole, rise = plan.peak / 2**20, (plan.peak - plan.weights) / 2**20
    return {
        "measured": measured,
        "estimated": asdict(plan),
        "peak": whole / (measured["weights"] + measured["rise"]),
        "above": rise / measured["rise"],
    }


def one(asked: Mapping[str, Any]) -> dict[str, float]:
    """A measurement in a process of its own.

    The C library gives large blocks back when they are freed, as it does at first; left to itself it learns to keep
    them, and resident memory then counts what is no longer used.
    """
    command = [sys.executable, str(HERE / "peak_one.py"), json.dumps(asked)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(2**17)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{asked['method']} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def markdown(found: Sequence[Mapping[str, Any]]) -> str:
    """The table."""
    lines = [
        f"Peak resident memory in MiB of solving for {FACTS} facts together ({FACTS_IN_CONTEXT} with ICE-LoRA) and "
        "committing the update, on one thread; and `easyedit-ice plan`'s estimate for a CPU. Models of random weights "
        "in fp32, QLoRA-BF in 4 bits.",
        "",
        "| model | algorithm | trained | weights | above them | peak | estimated | ratio | above them | ratio |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in found:
        measured, plan = row["measured"], Footprint(**row["estimated"])
        cells = [
            row["model"],
            row["algorithm"],
            f"{plan.trained:,}",
            f"{measured['weights']:,.0f}",
            f"{measured['rise']:,.0f}",
            f"{measured['weights'] + measured['rise']:,.0f}",
            f"{plan.peak / 2**20:,.0f}",
            f"{row['peak']:.2f}",
            f"{(plan.peak - plan.weights) / 2**20:,.0f}",
            f"{row['above']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
