"""Write the files that `test_compat.py` reads: what the present build makes, for later ones to be held to.

    python tests/compat/make_fixtures.py

Run it only where the bits of edits are meant to change, and say so in the commit.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "bench")]

import torch  # noqa: E402
import yaml  # noqa: E402
from compat_cases import HELD, SHAPES_HELD, digest, machine, sketch, solved  # noqa: E402
from runs import STREAM, configured  # noqa: E402

from easyedit_ice.bench.running.one_run import run  # noqa: E402
from easyedit_ice.bench.storage.run_manifest import git_revision, versions  # noqa: E402
from easyedit_ice.edit.registry import ALGORITHMS  # noqa: E402
from easyedit_ice.editors.algorithms.svf import SVFHyperParams  # noqa: E402
from easyedit_ice.experts import Library, train_experts  # noqa: E402
from easyedit_ice.testing.tiny_models import FACTS, tokenizer  # noqa: E402

FIXTURES = HERE / "fixtures"
RUN = (*STREAM, "algorithm.hparams.layers=[5]", "algorithm.hparams.rank=2", "evaluation=fast", "data.untouched=1")
PRESETS = ("LoRA-BF/gpt2-factworld", "GoRA/gpt2-factworld")


def main() -> None:
    """Write them all anew."""
    shutil.rmtree(FIXTURES, ignore_errors=True)
    FIXTURES.mkdir()
    with TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        _updates()
        _experts()
        _presets()
        _run()


def _updates() -> None:
    found = {}
    for case, shape in HELD:
        update = solved(case, shape)
        in_double = sketch(solved(case, shape, torch.float64))
        found[f"{case}, {shape}"] = {"bits": digest(update), "sketch": sketch(update), "double": in_double}
        if case in ALGORITHMS and shape == "gpt2":
            update.save(FIXTURES / "updates" / case)
    text = {"git": git_revision(), "versions": versions(), "machine": machine(), "updates": found}
    (FIXTURES / "bits.json").write_text(json.dumps(text, indent=1) + "\n")


def _experts() -> None:
    hparams = SVFHyperParams(num_steps=3, lr=0.5, layers=[0, 1])
    model = SHAPES_HELD["gpt2"].build()
    Library(FIXTURES / "experts").save(train_experts(model, tokenizer(), list(FACTS[:2]), hparams, "fact"))


def _presets() -> None:
    for preset in PRESETS:
        hparams = ALGORITHMS[preset.partition("/")[0]].hparams_class.from_hparams(preset)
        path = FIXTURES / "presets" / f"{preset.partition('/')[0]}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(hparams.to_dict(), sort_keys=False))


def _run() -> None:
    folder = run(configured(*RUN), FIXTURES / "run")
    for left in folder.iterdir():
        if left.name not in ("manifest.json", "ledger.jsonl", "stream.safetensors"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


if __name__ == "__main__":
    main()
