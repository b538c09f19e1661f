"""Many facts in one batch: FastMEMIT beside EasyEdit's MEMIT, on the same facts, in one run, with what each part takes.

Both edit the embedded model in the same layer, with the same number of gradient steps and the same context templates.
FastMEMIT's second moments are those of its preset; EasyEdit's are of as many texts as `--texts` says: with 200,000 (2.4
million tokens) its scores have converged.

    OMP_NUM_THREADS=2 python benchmarks/mass_editing.py --facts 1000 --texts 200000 --set v_lr=null
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import torch
import yaml

from easyedit_ice import factworld
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.easyedit import base_editor, host_info
from easyedit_ice.easyedit.locate import PACKAGE
from easyedit_ice.easyedit.methods.host_settings import host_settings
from easyedit_ice.easyedit.moment_files import provide_statistics
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams, prepare
from easyedit_ice.editors.closed_form import layer_writes as write
from easyedit_ice.editors.closed_form.subject_rows import fact_rows
from easyedit_ice.evaluation import Question, observe

RESULTS = Path(__file__).parent / "results"


class Clock:
    """Seconds spent in parts of the work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of the block under a name."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def timing(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted under a name."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        return timed


def main() -> None:
    """Edit with both, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=1000)
    parser.add_argument("--texts", type=int, default=2000, help="texts of the world for EasyEdit's second moments")
    parser.add_argument("--algorithm", choices=("FastMEMIT", "FastEMMET"), default="FastMEMIT")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting of the preset of ours"
    )
    arguments = parser.parse_args()
    settings = {name: yaml.safe_load(value) for name, _, value in (part.partition("=") for part in arguments.set)}
    base_editor()
    facts = to_requests(load_records("factworld", split="test", size=arguments.facts).records)
    with TemporaryDirectory() as cache, mock.patch.dict("os.environ", {"XDG_CACHE_HOME": cache}):
        rows = [ours(arguments.algorithm, facts, settings), easyedits("MEMIT", facts, arguments.texts)]
    info = host_info()
    found = {
        "facts": len(facts),
        "texts": arguments.texts,
        "threads": torch.get_num_threads(),
        "settings": settings,
        "host": f"{info.kind} {info.version}",
        "rows": rows,
    }
    out = RESULTS / f"mass_editing_{len(facts)}_{info.kind}"
    out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    out.with_suffix(".md").write_text(markdown(found))
    print(out.with_suffix(".md").read_text())


def ours(name: str, facts: list[dict[str, Any]], settings: dict[str, Any]) -> dict[str, Any]:
    """Edit with an algorithm of this package."""
    clock = Clock()
    model, tok = factworld.load()
    hparams = ALGORITHMS[name].hparams_class.from_hparams(f"{name}/gpt2-factworld", **settings)
    assert isinstance(hparams, FastMEMITHyperParams)
    with clock.part("statistics and contexts"):
        prepare(model, tok, hparams)
    with (
        mock.patch.object(write, "find_values", clock.timing("values", write.find_values)),
        mock.patch.object(write, "keys", clock.timing("keys", write.keys)),
        mock.patch.object(write, "solve_update", clock.timing("solve", write.solve_update)),
        clock.part("edit"),
    ):
        update = solve(model, tok, facts, hparams)
        update.commit(model)
    work = work_of(tok, facts, prepare(model, tok, hparams)[0], update.info["course"]["steps"])
    return {"method": name, "seconds": clock.seconds, "scores": scores(model, tok, facts), "work": work}


def work_of(tok: Any, facts: list[dict[str, Any]], prefixes: Sequence[str], steps: Sequence[int]) -> dict[str, float]:
    """What the search for values takes: steps of a fact, and tokens that are run for all of them.

    ``tokens`` are those from the subject on, ``whole`` those of the whole texts, without padding.
    """
    rows = [fact_rows(tok, request, prefixes).all for request in EditRequest.prepare(facts)]
    taken = list(zip(steps, rows, strict=True))
    return {
        "steps": sum(steps) / len(steps),
        "tokens": sum(count * len(row.read) for count, own in taken for row in own),
        "predicted": sum(count * len(row.places) for count, own in taken for row in own),
        "whole": sum(count * len(row.ids) for count, own in taken for row in own),
    }


def easyedits(name: str, facts: list[dict[str, Any]], texts: int) -> dict[str, Any]:
    """Edit with a method of EasyEdit."""
    clock = Clock()
    model, tok = factworld.load()
    tok.padding_side = "right"
    hparams = host_settings(name, "gpt2-factworld", {"mom2_n_samples": texts})
    main = import_module(f"{PACKAGE}.models.{name.lower()}.{name.lower()}_main")
    with redirect_stdout(io.StringIO()):
        with clock.part("statistics and contexts"):
            provide_statistics(model, tok, hparams)
            main.get_context_templates(model, tok)
        with (
            mock.patch.object(main, "compute_z", clock.timing("values", main.compute_z)),
            mock.patch.object(main, "compute_ks", clock.timing("keys", main.compute_ks)),
            clock.part("edit"),
        ):
            getattr(main, f"apply_{name.lower()}_to_model")(model, tok, facts, hparams)
    return {"method": f"EasyEdit's {name}", "seconds": clock.seconds, "scores": scores(model, tok, facts)}


def scores(model: Any, tok: Any, facts: list[dict[str, Any]]) -> dict[str, float]:
    """Per cent of facts that the model writes by itself, in the prompt's wording and in another."""
    asked = [
        [Question("rewrite", fact["prompt"], fact["target_new"], ()) for fact in facts],
        [Question("rephrase", fact["rephrase_prompt"], fact["target_new"], ()) for fact in facts],
    ]
    found = observe(model, tok, asked, max_new_tokens=12)
    return {
        questions[0].measure: 100
        * sum(seen.generated == fact["target_new"] for seen, fact in zip(own, facts, strict=True))
        / len(facts)
        for questions, own in zip(asked, found, strict=True)
    }


def markdown(found: dict[str, Any]) -> str:
    """The table."""
    head = ["method", "statistics", "edit", "values", "keys", "solve", "rewrite", "rephrase"]
    changed = ", ".join(f"{name}={value}" for name, value in found["settings"].items())
    lines = [
        f"{found['facts']} facts in one batch, {found['threads']} threads, EasyEdit's {found['host']} with second "
        f"moments of {found['texts']:,} texts; seconds of each part, and per cent of facts written by greedy decoding."
        + (f" Set for ours: {changed}." if changed else ""),
        "",
        "| " + " | ".join(head) + " |",
        "| --- |" + " ---: |" * (len(head) - 1),
    ]
    for row in found["rows"]:
        seconds, scores = row["seconds"], row["scores"]
        parts = [seconds.get(part) for part in ("statistics and contexts", "edit", "values", "keys", "solve")]
        cells = [row["method"], *("–" if part is None else f"{part:.2f}" for part in parts)]
        lines.append("| " + " | ".join([*cells, *(f"{value:.1f}" for value in scores.values())]) + " |")
    mine, theirs = (row["seconds"] for row in found["rows"])
    whole = [sum(own[part] for part in ("statistics and contexts", "edit")) for own in (theirs, mine)]
    ratios = {"with statistics": whole[0] / whole[1]}
    ratios |= {part: theirs[part] / mine[part] for part in ("edit", "values", "keys")}
    lines += ["", "Times as fast: " + ", ".join(f"{part} {ratio:.1f}" for part, ratio in ratios.items()) + "."]
    work = found["rows"][0]["work"]
    lines += [
        "",
        f"Values of {found['rows'][0]['method']}: {work['steps']:.1f} steps a fact, in all {work['tokens']:,} tokens "
        f"from the subjects on, {work['predicted']:,} of them predicted from; whole texts would be {work['whole']:,}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
