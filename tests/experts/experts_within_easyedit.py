"""A model that answers with its experts, scored by the EasyEdit that is loaded; run in a process of its own.

    python experts_within_easyedit.py OUT.json

writes EasyEdit's metrics of each fact with a mixture in the weights, and with the same mixture chosen in two passes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from made_experts import FP32, expert

from easyedit_ice.easyedit import import_easyeditor
from easyedit_ice.editors.algorithms.svf import SVFHyperParams
from easyedit_ice.experts import FixedAlphas, composed, mixed
from easyedit_ice.testing.tiny_models import FACTS, tokenizer


def metrics(evaluate: Any, model: Any, fact: dict[str, Any]) -> Any:
    """EasyEdit's, as plain values."""
    hparams = SVFHyperParams(max_length=64, device="cpu")
    found = evaluate(model, "gpt2", hparams, tokenizer(), fact, "cpu")
    return json.loads(json.dumps(found, default=lambda value: np.asarray(value).tolist()))


def main() -> None:
    """Score every fact in both ways, and without experts."""
    import_easyeditor()
    from easyeditor.evaluate import compute_edit_quality as evaluate

    found = []
    for shape in FP32:
        model = shape.build()
        experts = [expert(model, "one", 1), expert(model, "two", 2)]
        update = mixed(experts, [0.0, 1.0], model)
        for fact in FACTS:
            base = metrics(evaluate, model, fact)
            update.commit(model)
            committed = metrics(evaluate, model, fact)
            update.revert(model)
            with composed(model, tokenizer(), experts, FixedAlphas([0.0, 1.0])):
                chosen = metrics(evaluate, model, fact)
            found.append({"base": base, "committed": committed, "chosen": chosen})
            assert metrics(evaluate, model, fact) == base
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
