"""Second moments of three layers: EasyEdit's own measurement beside ours, and ours beside bare forward passes.

The model has GPT-2 medium's size and random weights. EasyEdit's ``layer_stats`` reads a local text in place of
Wikipedia. Its default is 100,000 documents, of which it reads every token; here both read the same texts, in turns.

    OMP_NUM_THREADS=2 python benchmarks/precompute.py --multiplier 2
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest import mock

import datasets
import torch
from transformers import AutoModelForCausalLM, GPT2Config

from easyedit_ice import factworld
from easyedit_ice.easyedit import base_editor, host_info
from easyedit_ice.easyedit.locate import PACKAGE
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.precompute.second_moments import second_moments

RESULTS = Path(__file__).parent / "results"
LAYERS = (5, 6, 7)
SAMPLES, TOKENS_PER_DOCUMENT = 100_000, 440
"""EasyEdit's default, and the mean length of a document of its Wikipedia in GPT-2's tokens (44 million in all)."""
LENGTH = 440


def main() -> None:
    """Measure in turns, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--multiplier", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    base_editor()
    model, tok = random_model(), factworld.load()[1]
    anatomy = ModelAnatomy(model)
    names = [projection.name for projection in anatomy.select("mlp", "out", LAYERS)]
    width = anatomy.projection(names[0]).in_features
    tokens = arguments.multiplier * width
    texts = documents(tok, -(-tokens // LENGTH))
    ways: dict[str, Callable[[], Any]] = {
        "bare forward passes": lambda: forward(model, tok, texts, tokens),
        "bare forward passes, to the last of the layers": lambda: forward(model, tok, texts, tokens, LAYERS[-1]),
        "ours": lambda: second_moments(model, tok, names, texts, tokens),
        "EasyEdit's": lambda: easyedits(model, tok, names, texts),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for way in [*ways] * arguments.repeats:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            started = time.perf_counter()
            ways[way]()
            seconds[way].append(time.perf_counter() - started)
    info = host_info()
    found = {
        "layers": LAYERS,
        "inputs": width,
        "tokens": tokens,
        "default_tokens": {
            str(multiplier): SAMPLES * TOKENS_PER_DOCUMENT / (multiplier * width) for multiplier in (2, 10)
        },
        "threads": torch.get_num_threads(),
        "host": f"{info.kind} {info.version}",
        "seconds": seconds,
    }
    out = RESULTS / f"precompute_{info.kind}"
    out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    out.with_suffix(".md").write_text(markdown(found))
    print(out.with_suffix(".md").read_text())


def random_model() -> torch.nn.Module:
    """GPT-2 medium with random weights, and few words, since no head is run."""
    torch.manual_seed(0)
    config = GPT2Config(n_embd=1024, n_layer=24, n_head=16, vocab_size=5000, bos_token_id=0, eos_token_id=0)
    model = AutoModelForCausalLM.from_config(config).eval()
    model.config._name_or_path = "random-gpt2-medium"
    return model


def documents(tok: Any, count: int) -> list[str]:
    """Texts of the world, joined to the length of a Wikipedia article."""
    texts, lines = [], factworld.general_text(1_000_000, seed=2)
    for _ in range(count):
        text = ""
        while len(tok(text)["input_ids"]) < LENGTH:
            text += " ".join(islice(lines, 8)) + " "
        texts.append(text)
    return texts


@torch.no_grad()
def forward(model: torch.nn.Module, tok: Any, texts: list[str], tokens: int, last: int | None = None) -> None:
    """The model without its head, or up to a layer's last projection, sixteen texts side by side."""

    class Reached(Exception):
        pass

    def stop(*args: Any) -> None:
        raise Reached

    end = model.get_output_embeddings() if last is None else ModelAnatomy(model).select("mlp", "out", [last])[0].module
    handle = end.register_forward_pre_hook(stop)
    every = torch.tensor([token for text in texts for token in tok(text)["input_ids"]][:tokens])
    rows = every.split(LENGTH)
    try:
        for start in range(0, len(rows), 16):
            ids = torch.nn.utils.rnn.pad_sequence(rows[start : start + 16], batch_first=True)
            try:
                model(input_ids=ids, use_cache=False)
            except Reached:
                continue
    finally:
        handle.remove()


def easyedits(model: torch.nn.Module, tok: Any, names: list[str], texts: list[str]) -> None:
    """EasyEdit's own measurement, one layer after the other, with the texts in place of Wikipedia."""
    module = import_module(f"{PACKAGE}.models.rome.layer_stats")
    local = datasets.DatasetDict({"train": datasets.Dataset.from_dict({"text": texts})})

    def load(*args: Any, split: str | None = None, **kwargs: Any) -> Any:
        return local if split is None else local[split]

    hparams = SimpleNamespace(device="cpu", alg_name="MEMIT", model_name="random-gpt2-medium")
    with TemporaryDirectory() as folder, mock.patch.object(module, "load_dataset", load):
        for name in names:
            module.layer_stats(
                model,
                tok,
                name,
                folder,
                "wikipedia",
                to_collect=["mom2"],
                sample_size=len(texts),
                precision="float32",
                hparams=hparams,
            )


def markdown(found: dict[str, Any]) -> str:
    """The table."""
    medians = {way: statistics.median(own) for way, own in found["seconds"].items()}
    bare = medians["bare forward passes"]
    fewer = ", ".join(f"{ratio:,.0f} times fewer at multiplier {m}" for m, ratio in found["default_tokens"].items())
    lines = [
        f"Second moments of layers {', '.join(map(str, found['layers']))} of a random model of GPT-2 medium's size "
        f"({found['inputs']} inputs) on {found['tokens']:,} tokens, {found['threads']} threads, EasyEdit's "
        f"{found['host']}. EasyEdit's default is {SAMPLES:,} documents of {TOKENS_PER_DOCUMENT} tokens for each layer: "
        f"{fewer}.",
        "",
        "| | seconds | times bare passes |",
        "| --- | ---: | ---: |",
        *(f"| {way} | {own:.1f} | {own / bare:.2f} |" for way, own in medians.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
