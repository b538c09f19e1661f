"""Solves the same batch with several settings, alone or as one of several processes.

    python solving_together.py FOLDER

saves the updates in ``FOLDER/<process>/<name>``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from easyedit_ice.edit.apply import solve
from easyedit_ice.editors.algorithms.adalora import AdaLoraHyperParams
from easyedit_ice.editors.algorithms.lora import LoraHyperParams
from easyedit_ice.runtime.distributed import current_state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

QUICK = {"num_steps": 6, "rank": 2, "lr": 1e-2, "mini_batch_size": 2, "micro_batch_size": 1, "stop_nll": None}
LOCAL = {"locality_weight": 0.5, "locality_samples": 4, "locality_length": 6}
CASES = {
    "LoRA-BF": LoraHyperParams(**QUICK, **LOCAL),
    "LoRA-BF with rests": LoraHyperParams(**QUICK | {"stop_nll": 5.2}, random_prefixes=2),
    "AdaLoRA": AdaLoraHyperParams(**QUICK, **LOCAL, orth_reg_weight=0.01),
}
"""Three facts in mini-batches of two: in every other one a process has nothing to do."""


def main(folder: Path) -> None:
    """Solve all cases and save what was found."""
    own = folder / str(current_state().process_index)
    for name, hparams in CASES.items():
        model = SHAPES[2].build()
        solve(model, tokenizer(), FACTS, hparams.replace(data_parallel=True)).save(own / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
