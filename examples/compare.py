"""ICE-LoRA beside EasyEdit's ROME and FT: the same facts, the same editor, EasyEdit's own scores.

    python examples/compare.py --facts 10

``easyedit-ice run`` asks more facts, lets the model write freely, and gives intervals.
"""

import argparse

from run_knowedit import load_hparams, means

from easyedit_ice import BaseEditor
from easyedit_ice.data import load_records, to_requests

METHODS = ("ICE-LoRA", "ROME", "FT")


def main() -> None:
    """Edit each fact alone with each method and print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=10)
    records = load_records("factworld", size=parser.parse_args().facts)
    scores = {}
    for method in METHODS:
        editor = BaseEditor.from_hparams(load_hparams(method, f"{method}/gpt2-factworld"))
        metrics, _, _ = editor.edit_requests(to_requests(records), keep_original_weight=True, verbose=False)
        scores[method] = means(metrics)
    for method, found in scores.items():
        print(f"{method:9}", *(f"{measure} {100 * value:5.1f}" for measure, value in found.items()), sep="  ")


if __name__ == "__main__":
    main()
