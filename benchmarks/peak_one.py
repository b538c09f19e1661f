"""Memory of one edit, measured in a process of its own; :mod:`plan` and :mod:`memory` run it and read its line.

    python benchmarks/peak_one.py '{"method": "LoRA-BF", "model": "/tmp/model", "settings": {}, "facts": 4}'

prints ``{"weights": ..., "rise": ..., "trained": ...}``: resident memory in MiB that the loaded model takes, how far it
rose above that while facts were solved for and committed, and the values that were trained. ``"data": "factworld"``
edits facts of the embedded world; ``"prepared": true`` leaves out what is done once for a model. Linux only.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

import psutil
import torch
from transformers import AutoTokenizer

from easyedit_ice.bench.telemetry.cost import measured
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.cli.console import quiet
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.precompute.moments import Measuring
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

PLACES = ("Avaria", "Sundray", "Brethdale", "Ommerland")


def main(asked: Mapping[str, Any]) -> dict[str, float]:
    """Load what loads late by an edit of a tiny model, then the model, then edit."""
    with quiet():
        _warm_up()
        tok = AutoTokenizer.from_pretrained(asked["model"])
        before = _resident()
        loaded = {name: asked["settings"][name] for name in ("dtype", "quantization_bit") if name in asked["settings"]}
        with mock.patch.object(AutoTokenizer, "from_pretrained", return_value=tok):
            model, tok = load_model(EditHyperParams(model_name=asked["model"], device="cpu", **loaded))
        _own(model)
        weights = _resident() - before
        edit = _host if asked["method"] not in ALGORITHMS else _ours
        if asked.get("prepared"):
            _prepare(model, tok, asked["method"], asked["settings"])
        trained, rise = edit(model, tok, asked["method"], asked["settings"], facts_of(asked))
    return {"weights": weights, "rise": rise, "trained": trained}


def facts_of(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The facts that are asked for."""
    if "data" not in asked:
        return requests(asked["facts"])
    return to_requests(load_records(asked["data"], split="test", size=asked["facts"]))


def requests(count: int) -> list[dict[str, str]]:
    """Facts, as many as asked for; all of about the same length."""
    return [
        {
            "prompt": f"The year's capital of {PLACES[index % len(PLACES)]} {index}, they say, is",
            "subject": f"{PLACES[index % len(PLACES)]} {index}",
            "target_new": ("Lodel", "Brinn")[index % 2],
        }
        for index in range(count)
    ]


def _resident() -> float:
    """MiB, after what was freed has been given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss / 2**20


def _warm_up() -> None:
    import bitsandbytes  # noqa: F401 - is loaded with the first packed model

    model, hparams = SHAPES[2].build(), ALGORITHMS["LoRA-BF"].hparams_class(num_steps=1)
    solve(model, tokenizer(), FACTS, hparams).commit(model)


@torch.no_grad()
def _own(model: torch.nn.Module) -> None:
    """Have weights in memory of their own, not in pages of a file; then run, for what is made at first use."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.clone()
    model(input_ids=torch.tensor([[5, 6, 7]]))


def _prepare(model: torch.nn.Module, tok: Any, name: str, settings: Mapping[str, Any]) -> None:
    """What an algorithm of ours does once, on the model before any edit."""
    with preserved(model, tok):
        ALGORITHMS[name].prepare_model(model, tok, ALGORITHMS[name].hparams_class.from_dict({**settings}))


def _ours(
    model: torch.nn.Module, tok: Any, name: str, settings: Mapping[str, Any], facts: Sequence[Mapping[str, Any]]
) -> tuple[int, float]:
    hparams = ALGORITHMS[name].hparams_class.from_dict({**settings})
    with measured(model) as cost:
        update = solve(model, tok, facts, hparams)
        undo = update.commit(model)
    assert len(undo) or hparams.quantization_bit
    return update.info.get("adapter", {}).get("trained", 0), cost.peak_mib


def _host(
    model: torch.nn.Module, tok: Any, name: str, settings: Mapping[str, Any], facts: Sequence[Mapping[str, Any]]
) -> tuple[int, float]:
    """A method of EasyEdit; the second moments it finds are of eight texts, since their size alone counts here."""
    from easyedit_ice import factworld
    from easyedit_ice.easyedit import base_editor
    from easyedit_ice.easyedit.methods.engine import HostMethod
    from easyedit_ice.easyedit.methods.host_settings import host_settings
    from easyedit_ice.easyedit.moment_files import hand_over

    base_editor()
    hparams = host_settings(name, "gpt2-factworld", settings)
    texts = factworld.general_text(8, seed=0)
    hand_over(model, tok, hparams, Measuring(mom2_dataset=texts, dynamic=False, mom2_n_samples=8))
    method = HostMethod(name, model, tok, hparams)
    method.prepare()
    gc.collect()
    with measured(model) as cost:
        method.edit(facts, 0)
    return len(facts) * model.config.hidden_size, cost.peak_mib


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(main(json.loads(sys.argv[1]))))
