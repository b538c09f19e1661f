"""Runs for tests: small, quick, and of the embedded model."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

from hydra import compose, initialize
from omegaconf import DictConfig

from easyedit_ice.bench.config import CONFIG, store_configs
from easyedit_ice.bench.methods import METHODS
from easyedit_ice.bench.running.one_run import run
from easyedit_ice.bench.storage import ledger
from easyedit_ice.bench.storage.ledger import LEDGER
from easyedit_ice.bench.storage.run_manifest import origin_of
from easyedit_ice.bench.storage.sealed_lines import read_sealed

APART = multiprocessing.get_context("forkserver")
"""Processes that start with everything imported and nothing done."""
APART.set_forkserver_preload(["easyedit_ice.bench.running.one_run", "transformers", "peft"])

QUICK = (
    *("algorithm=LoRA-BF", "algorithm.hparams.num_steps=4", "verbosity=quiet", "data.size=4"),
    *("evaluation.known_facts=0", "evaluation.undo=false"),
)
STREAM = (*QUICK, "mode=sequential", "data.untouched=2", "mode.retain_every=2", "mode.checkpoint_every=2")


def configured(*overrides: str) -> DictConfig:
    """The configuration that these overrides give."""
    store_configs(METHODS)
    with initialize(version_base="1.3", config_path=None):
        return compose(CONFIG, overrides=list(overrides))


def lines_of(folder: Path) -> list[dict]:
    """A run's lines, without what an edit cost."""
    lines = read_sealed(folder / LEDGER, origin_of(folder)).lines
    return [{key: value for key, value in line.items() if key != "cost"} for line in lines]


def shape_of(folder: Path) -> list[tuple[str, int, int]]:
    """Phase, position and step of a run's lines."""
    return [(line["phase"], line["position"], line["step"]) for line in lines_of(folder)]


def run_until_killed(config: DictConfig, folder: Path, after: int) -> None:
    """Run, and be killed after so many lines, in the middle of the next one."""
    left = after

    def write(file: int, data: bytes) -> None:
        nonlocal left
        whole = data.splitlines(keepends=True)
        if left >= len(whole):
            left -= len(whole)
            os.write(file, data)
        else:
            os.write(file, b"".join(whole[:left]) + whole[left][: len(whole[left]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    ledger._write_whole = write
    run(config, folder)
