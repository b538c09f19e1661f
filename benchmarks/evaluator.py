"""Scores of real records, by EasyEdit's evaluator and by ours: differences, and CPU seconds side by side.

Both take turns, block of records by block, on the embedded model and on a small random one whose arithmetic costs next
to nothing. Ours is also called with one record at a time, as after single edits.

    OMP_NUM_THREADS=2 python benchmarks/evaluator.py --data-dir ../shared/data
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from tqdm import tqdm

from easyedit_ice import factworld
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.easyedit import host_info, import_easyeditor
from easyedit_ice.easyedit.scoring import easyedit_qualities
from easyedit_ice.evaluation.teacher_forced.forced_answers import ask
from easyedit_ice.evaluation.teacher_forced.host_rows import lay_out
from easyedit_ice.evaluation.teacher_forced.host_scores import edit_qualities, probe_groups

HERE = Path(__file__).resolve().parent
FILES = ("wiki_counterfact/test_cf_dev.json", "ZsRE/ZsRE-test-dev.json")
BLOCK = 50
MAX_LENGTH = 512
ROW = (
    "| {model} | {probes} | {different} | {settled} of {groups} | {theirs:.1f} | {ours:.1f} ({batched:.1f} x) "
    "| {singly:.1f} ({single:.1f} x) |"
)
HEAD = """\
EasyEdit {host}, torch {torch}, {threads} threads, padding on the left; {records} records each of
{files}. Seconds of CPU time, all threads together.

| model | probes | records that differ | groups run EasyEdit's way | EasyEdit, s | ours, s | a record a call, s |
|---|---:|---:|---:|---:|---:|---:|"""


def main() -> None:
    """Compare on every model; write a table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--records", type=int, default=200, help="of each file")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args()

    import_easyeditor()
    torch.set_grad_enabled(False)
    files = [to_requests(load_records(arguments.data_dir / file, size=arguments.records)) for file in FILES]
    requests = [request for own in files for request in own]
    info = host_info()
    about = {
        "host": f"{info.kind} {info.version}",
        "torch": version("torch"),
        "threads": torch.get_num_threads(),
        "records": arguments.records,
        "files": " and ".join(FILES),
    }
    rows = [{"model": name} | _compare(model, tok, requests) for name, model, tok in _models()]
    out = arguments.out / f"evaluator_{info.kind}"
    out.with_suffix(".json").write_text(json.dumps(about | {"measurements": rows}, indent=1) + "\n")
    out.with_suffix(".md").write_text("\n".join([HEAD.format(**about), *(ROW.format(**row) for row in rows)]) + "\n")
    print(out.with_suffix(".md").read_text())


def _models() -> Iterator[tuple[str, Any, Any]]:
    from transformers import AutoModelForCausalLM, GPT2Config

    model, tok = factworld.load()
    tok.pad_token, tok.padding_side = tok.eos_token, "left"
    config = GPT2Config(vocab_size=len(tok), n_embd=32, n_layer=12, n_head=4, n_positions=512)
    torch.manual_seed(0)
    yield "12 layers of width 32, random, fp32", AutoModelForCausalLM.from_config(config).eval(), tok
    yield "embedded, fp32", model, tok


def _compare(model: Any, tok: Any, requests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    hparams = SimpleNamespace(alg_name="FT", max_length=MAX_LENGTH)

    def theirs(block: Sequence[dict[str, Any]]) -> list[Any]:
        return easyedit_qualities(model, tok, block, hparams)

    def ours(block: Sequence[dict[str, Any]]) -> list[Any]:
        return edit_qualities(model, tok, block, max_length=MAX_LENGTH, host=host_info().kind)

    def singly(block: Sequence[dict[str, Any]]) -> list[Any]:
        return [score for request in block for score in ours([request])]

    ways: dict[str, Callable[..., list[Any]]] = {"theirs": theirs, "ours": ours, "singly": singly}
    for way in ways.values():
        way(requests[:3])
    seconds = dict.fromkeys(ways, 0.0)
    different = 0
    for block in tqdm(
        [requests[start : start + BLOCK] for start in range(0, len(requests), BLOCK)], unit="block", disable=None
    ):
        found = {name: _timed(way, block, name, seconds) for name, way in ways.items()}
        different += sum(not a == b == c for a, b, c in zip(*found.values(), strict=True))
    groups = [pairs for request in requests for *_, pairs in probe_groups(request)]
    rows = lay_out(tok, groups, max_length=MAX_LENGTH, host=host_info().kind, pad=tok.pad_token_id)
    return seconds | {
        "records": len(requests),
        "probes": sum(map(len, groups)),
        "groups": len(groups),
        "settled": len(ask(model, rows).settled),
        "different": different,
        "batched": seconds["theirs"] / seconds["ours"],
        "single": seconds["theirs"] / seconds["singly"],
    }


def _timed(way: Callable[..., list[Any]], block: Sequence[Any], name: str, seconds: dict[str, float]) -> list[Any]:
    started = time.process_time()
    found = way(block)
    seconds[name] += time.process_time() - started
    return found


if __name__ == "__main__":
    main()
