"""KnowEdit with the flags of EasyEdit's own runner, for our algorithms and for EasyEdit's, on either EasyEdit.

    python examples/run_knowedit.py --editing_method ICE-LoRA --hparams_dir ICE-LoRA/gpt2-factworld \
        --data_dir factworld --ds_size 20
    python examples/run_knowedit.py --editing_method ROME --hparams_dir ROME/gpt2-factworld \
        --data_dir KnowEdit/benchmark/wiki_counterfact/test_cf.json --datatype counterfact

Every edit is undone after it is scored. Methods that need more than facts (IKE, MEND, SERAC) are not for this script.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from easyedit_ice import ALGORITHMS, BaseEditor, factworld
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.easyedit.methods.catalogue import HOST_METHODS
from easyedit_ice.easyedit.methods.host_settings import host_settings
from easyedit_ice.errors import EasyEditIceError, UnknownAlgorithmError, did_you_mean


def main() -> None:
    """Edit every record and write EasyEdit's metrics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--editing_method", required=True, help=f"{', '.join(ALGORITHMS)}, ROME, FT, LoRA, MEMIT, ...")
    parser.add_argument("--hparams_dir", required=True, help="YAML file, or the name of a preset")
    parser.add_argument("--data_dir", required=True, help="JSON file, or a name such as factworld or wiki_counterfact")
    parser.add_argument("--ds_size", type=int, help="how many records to read; all by default")
    parser.add_argument("--datatype", help="name of the data in the results file; by default that of the file")
    parser.add_argument("--metrics_save_dir", type=Path, default=Path("output"))
    arguments = parser.parse_args()

    hparams = load_hparams(arguments.editing_method, arguments.hparams_dir)
    records = load_records(arguments.data_dir, size=arguments.ds_size)
    for problem in records.problems:
        print(problem, file=sys.stderr)
    editor = BaseEditor.from_hparams(hparams)
    metrics, _, _ = editor.edit_requests(to_requests(records), keep_original_weight=True, verbose=False)

    datatype, model = arguments.datatype or Path(arguments.data_dir).stem, Path(hparams.model_name).name
    results = arguments.metrics_save_dir / f"{arguments.editing_method}_{datatype}_{model}_results.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(metrics, indent=4, ensure_ascii=False), encoding="utf-8")
    for measure, value in means(metrics).items():
        print(f"{measure}: {100 * value:.1f}")
    print(results)


def load_hparams(method: str, name_or_path: str) -> Any:
    """Hyperparameters of our algorithms or of EasyEdit's; ``gpt2-factworld`` means the embedded model."""
    if method in ALGORITHMS:
        hparams = ALGORITHMS[method].hparams_class.from_hparams(name_or_path)
    elif method in HOST_METHODS:
        hparams = host_settings(method, name_or_path, {})
    else:
        known = [*ALGORITHMS, *HOST_METHODS]
        raise UnknownAlgorithmError(
            f"there is no {method!r}.{did_you_mean(method, known)} There are: {', '.join(known)}"
        )
    if hasattr(hparams, "batch_size"):
        hparams.batch_size = 1  # head refuses single edits with any other
    if hparams.model_name == factworld.model_path().name:
        hparams.model_name = str(factworld.model_path())
    return hparams


def means(metrics: list[dict[str, Any]]) -> dict[str, float]:
    """EasyEdit's accuracies after the edit: means over a record's questions, then kinds, then over records."""
    found: dict[str, list[float]] = defaultdict(list)
    for post in (record["post"] for record in metrics):
        for measure in ("rewrite_acc", "rephrase_acc"):
            if measure in post:
                found[measure].append(np.mean(post[measure]))
        for section in ("portability", "locality"):
            kinds = [np.mean(values) for kind, values in post.get(section, {}).items() if kind.endswith("_acc")]
            if kinds:
                found[section].append(np.mean(kinds))
    return {measure: float(np.mean(values)) for measure, values in found.items()}


if __name__ == "__main__":
    try:
        main()
    except EasyEditIceError as error:
        sys.exit(f"{type(error).__name__}: {error}")
