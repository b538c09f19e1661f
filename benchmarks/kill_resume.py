"""Runs killed at random moments and resumed, until they end; their ledgers against those of runs that were not killed.

Each attempt is a process of its own that gets SIGKILL after a random time. Lines must be the same, in the same order,
but for what an edit cost.

    python benchmarks/kill_resume.py --kills 200 --out benchmarks/results/kills.json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra import compose, initialize
from omegaconf import DictConfig

from easyedit_ice.bench.config import CONFIG, store_configs
from easyedit_ice.bench.methods import METHODS
from easyedit_ice.bench.running.one_run import run
from easyedit_ice.bench.storage.ledger import LEDGER
from easyedit_ice.bench.storage.run_manifest import origin_of
from easyedit_ice.bench.storage.sealed_lines import read_sealed
from easyedit_ice.easyedit import base_editor, host_info

COMMON = ("verbosity=quiet", "evaluation.drift_texts=4")
RUNS = {
    "single LoRA-BF": ("algorithm=LoRA-BF", "algorithm.hparams.num_steps=5", "data.size=6", "mode=single"),
    "sequential LoRA-BF": (
        "algorithm=LoRA-BF",
        "algorithm.hparams.num_steps=5",
        "data.size=6",
        "data.untouched=2",
        "mode=sequential",
        "mode.retain_every=2",
        "mode.checkpoint_every=2",
    ),
    "single ROME": ("algorithm=ROME", "algorithm.hparams.v_num_grad_steps=2", "data.size=4", "mode=single"),
    "sequential FT": (
        "algorithm=FT",
        "algorithm.hparams.num_steps=3",
        "data.size=6",
        "data.untouched=2",
        "mode=sequential",
        "mode.retain_every=3",
        "mode.checkpoint_every=1",
    ),
}


def main() -> None:
    """Kill and resume until there were as many kills as asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    base_editor()  # loaded once, for all attempts
    found = [_kill(name, overrides, arguments.kills // len(RUNS), rng) for name, overrides in RUNS.items()]
    report = {
        "host": str(host_info()),
        "versions": {package: version(package) for package in ("torch", "transformers", "peft")},
        "kills": sum(run["kills"] for run in found),
        "runs": found,
    }
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    if not all(run["same"] == run["finished"] for run in found):
        raise SystemExit("a resumed run ended with other lines")


def _kill(name: str, overrides: Sequence[str], kills: int, rng: random.Random) -> dict[str, Any]:
    config = _config([*COMMON, *overrides])
    killed = finished = same = 0
    with TemporaryDirectory() as root:
        started = time.perf_counter()
        assert _attempt(config, Path(root) / "whole", None)
        whole_seconds = time.perf_counter() - started
        expected = _lines(Path(root) / "whole")
        while killed < kills:
            folder = Path(root) / f"killed{finished}"
            while not _attempt(config, folder, rng.uniform(0, whole_seconds)):
                killed += 1
            finished += 1
            same += _lines(folder) == expected
    return {
        "run": name,
        "lines": len(expected),
        "seconds of a whole run": round(whole_seconds, 1),
        "kills": killed,
        "finished": finished,
        "same": same,
    }


def _attempt(config: DictConfig, folder: Path, seconds: float | None) -> bool:
    """Whether a process ended the run by itself before it was killed."""
    child = os.fork()
    if not child:
        run(config, folder)
        os._exit(0)
    deadline = time.monotonic() + (seconds if seconds is not None else 3600.0)
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            if status:
                raise SystemExit(f"a run in {folder} failed with status {status}")
            return True
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _lines(folder: Path) -> list[dict[str, Any]]:
    lines = read_sealed(folder / LEDGER, origin_of(folder)).lines
    return [{key: value for key, value in line.items() if key != "cost"} for line in lines]


def _config(overrides: list[str]) -> DictConfig:
    store_configs(METHODS)
    with initialize(version_base="1.3", config_path=None):
        return compose(CONFIG, overrides=overrides)


if __name__ == "__main__":
    main()
