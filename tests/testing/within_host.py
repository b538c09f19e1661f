"""The promises within EasyEdit, of the shipped algorithms and of toys. Run in a process of its own, for one EasyEdit.

    python within_host.py RESULTS.json

writes ``{"algorithms": {name: failures}, "toys": {toy: {promise: failure}}}``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from test_conformance import (
    SETTINGS,
    careless,
    counts_its_calls,
    gradient_step,
    spec_of,
    swallows_everything,
    takes_one_fact_only,
    tidies_up_only_at_the_end,
    writes_weights,
)

from easyedit_ice.registry import ALGORITHMS
from easyedit_ice.testing import failures
from easyedit_ice.testing.host import HOST_PROMISES
from easyedit_ice.testing.models import SHAPES

SOUND = spec_of(gradient_step)
TOYS = {
    "leaves every weight alone": (SOUND, {}),
    "is untidy about all but weights": (spec_of(careless), {}),
    "pads on the right": (replace(SOUND, padding_side="right"), {}),
    "takes single facts only and says so": (spec_of(takes_one_fact_only, batchable=False), {}),
    "takes single facts only": (spec_of(takes_one_fact_only), {}),
    "writes weights while it solves": (spec_of(writes_weights), {}),
    "solves differently each time": (spec_of(counts_its_calls), {}),
    "tidies up only at the end": (spec_of(tidies_up_only_at_the_end), {}),
    "swallows errors": (spec_of(swallows_everything), {}),
    "has settings EasyEdit cannot evaluate with": (SOUND, {"max_length": 1}),
    "has the name of one of EasyEdit's own": (replace(SOUND, name="FT"), {"alg_name": "FT"}),
    "has settings that name another algorithm": (replace(SOUND, name="Toy-2"), {}),
}


def main(results: Path) -> None:
    """Check everything and write what is broken."""
    algorithms = {
        name: [str(failure) for failure in failures(spec, SETTINGS.get(name), promises=HOST_PROMISES)]
        for name, spec in ALGORITHMS.items()
    }
    toys = {
        toy: {
            failure.promise: str(failure)
            for failure in failures(spec, settings, shapes=SHAPES[:1], promises=HOST_PROMISES)
        }
        for toy, (spec, settings) in TOYS.items()
    }
    results.write_text(json.dumps({"algorithms": algorithms, "toys": toys, "table": list(ALGORITHMS)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
