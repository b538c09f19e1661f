"""The promises within EasyEdit, of the shipped algorithms and of toys. Run in a process of its own, for one EasyEdit.

    python within_host.py RESULTS.json [--device DEVICE] [--all]

writes ``{"algorithms": {name: failures}, "toys": {toy: {promise: failure}}}``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from quick import QUICK_EDITS
from test_conformance import (
    careless,
    counts_its_calls,
    gradient_step,
    swallows_everything,
    takes_one_fact_only,
    tidies_up_only_at_the_end,
    writes_weights,
)
from toy_algorithms import toy_spec

from easyedit_ice.edit.registry import ALGORITHMS, AlgorithmSpec
from easyedit_ice.testing import failures
from easyedit_ice.testing.host import HOST_PROMISES
from easyedit_ice.testing.tiny_models import SHAPES, Shape

SOUND = toy_spec(gradient_step)
TOYS = {
    "leaves every weight alone": (SOUND, {}),
    "is untidy about all but weights": (toy_spec(careless), {}),
    "pads on the right": (replace(SOUND, padding_side="right"), {}),
    "takes single facts only and says so": (toy_spec(takes_one_fact_only, batchable=False), {}),
    "takes single facts only": (toy_spec(takes_one_fact_only), {}),
    "writes weights while it solves": (toy_spec(writes_weights), {}),
    "solves differently each time": (toy_spec(counts_its_calls), {}),
    "tidies up only at the end": (toy_spec(tidies_up_only_at_the_end), {}),
    "swallows errors": (toy_spec(swallows_everything), {}),
    "has the name of one of EasyEdit's own": (
        replace(SOUND, name="FT", hparams="easyedit_ice.edit.hparams:EditHyperParams"),
        {"alg_name": "FT"},
    ),
    "has settings that name another algorithm": (replace(SOUND, name="Toy-2"), {}),
}


FEW = (SHAPES[3],)
"""Llama in bf16."""
MORE = SHAPES[:4]
"""Both in both; what tied embeddings change does not depend on EasyEdit."""
EVALUATED_OTHERWISE = "is evaluated in a way of its own"


def main(results: Path, device: str, shapes: Sequence[Shape]) -> None:
    """Check everything and write what is broken."""
    algorithms = {name: within(spec, QUICK_EDITS.get(name), device, shapes) for name, spec in ALGORITHMS.items()}
    toys = {toy: broken(spec, settings) for toy, (spec, settings) in TOYS.items()}
    with scoring(SOUND.name, "rewrite_F1"):
        toys[EVALUATED_OTHERWISE] = broken(SOUND, {})
    results.write_text(json.dumps({"algorithms": algorithms, "toys": toys, "table": list(ALGORITHMS)}))


def within(spec: AlgorithmSpec, settings: dict[str, Any] | None, device: str, shapes: Sequence[Shape]) -> list[str]:
    """The promises that an algorithm breaks."""
    return list(map(str, failures(spec, settings, shapes=shapes, promises=HOST_PROMISES, device=device)))


def broken(spec: AlgorithmSpec, settings: dict[str, Any]) -> dict[str, str]:
    """The promises that a toy breaks."""
    found = failures(spec, settings, shapes=SHAPES[:1], promises=HOST_PROMISES)
    return {failure.promise: str(failure) for failure in found}


@contextmanager
def scoring(algorithm: str, key: str) -> Iterator[None]:
    """EasyEdit gives one algorithm's edits a score of their own, as head does with GRACE's."""
    editor = import_module("easyeditor.editors.editor")
    evaluate = editor.compute_edit_quality

    def evaluate_with_score(model: Any, name: str, hparams: Any, *rest: Any, **options: Any) -> dict[str, Any]:
        scores = evaluate(model, name, hparams, *rest, **options)
        return scores | ({key: 1.0} if hparams.alg_name == algorithm else {})

    editor.compute_edit_quality = evaluate_with_score
    try:
        yield
    finally:
        editor.compute_edit_quality = evaluate


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--all", action="store_true")
    asked = parser.parse_args()
    main(asked.results.resolve(), asked.device, MORE if asked.all else FEW)
