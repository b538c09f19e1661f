"""A testbed for a file of records, made once and kept in the user's cache."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from easyedit_ice.data.load import load_records
from easyedit_ice.data.records import Records
from easyedit_ice.errors import DataError
from easyedit_ice.factworld.training.train_world import Recipe
from easyedit_ice.runtime.cache import cache_root
from easyedit_ice.testbed.gather import gather
from easyedit_ice.testbed.testbed_card import write_testbed_card
from easyedit_ice.testbed.testbed_recall import measure_testbed
from easyedit_ice.testbed.testbed_training import RECIPE, STEPS, fingerprint, train_testbed

logger = logging.getLogger(__name__)


def testbed(facts: str | Path | Records, *, steps: int = STEPS, seed: int = 0, recipe: Recipe = RECIPE) -> Path:
    """The folder of a model that knows the original answers of a file, built if there is none yet.

    It lies in ``testbeds`` of :func:`easyedit_ice.runtime.cache.cache_root`, under a name that holds ``gpt2``, by
    which EasyEdit knows how to load it. A build that was stopped goes on; a second process that asks for the same
    testbed waits for the first.

    Args:
        facts: a file, a benchmark's name, or records, as :func:`easyedit_ice.data.load_records` takes and gives them.
        steps: optimiser steps.
        seed: of the documents and the initial weights.
        recipe: size and course of the training.

    Raises:
        DataError: the file cannot be read, or tells no original answer.
    """
    records = facts if isinstance(facts, Records) else load_records(facts)
    told = (fingerprint(gather(records)), steps, seed, sorted(asdict(recipe).items()))
    name = f"gpt2-testbed-{hashlib.sha256(repr(told).encode()).hexdigest()[:8]}"
    root = cache_root() / "testbeds"
    finished = root / name
    with _alone(root / f"{name}.lock"):
        if not finished.exists():
            folder = build(records, root / "unfinished" / name, steps=steps, seed=seed, recipe=recipe)
            os.replace(folder, finished)
            shutil.rmtree(folder.with_name(f"{name}.checkpoint"), ignore_errors=True)
    return finished


def build(records: Records, output_dir: str | Path, **course: Any) -> Path:
    """Train a testbed, measure it, and write its card.

    Args:
        records: what it is to know.
        output_dir: folder for the model.
        course: as :func:`easyedit_ice.testbed.testbed_training.train_testbed` takes it.

    Raises:
        DataError: the folder's name lacks ``gpt2``; or what ``train_testbed`` raises.
    """
    output = Path(output_dir)
    if "gpt2" not in output.name:
        raise DataError(
            f"the folder's name is {output.name!r}; EasyEdit loads this model only if the name holds 'gpt2': "
            f"name it 'gpt2-{output.name}'",
            str(output),
        )
    train_testbed(records, output, **course)
    write_testbed_card(output, records, measure_testbed(output, records))
    return output


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the file's lock, after whoever holds it now; it ends with the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        logger.info("waiting for another process that builds %s", path.stem)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
