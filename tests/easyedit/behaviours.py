"""What users rely on in a real EasyEdit. Run as a script in a process of its own: one process loads one EasyEdit.

    python behaviours.py RESULTS.json plugin-first
    python behaviours.py RESULTS.json easyedit-first

writes ``{behaviour: "" or what went wrong or "skipped: why"}``. ``test_hosts.py`` runs it and reports each behaviour
as a test.
"""

from __future__ import annotations

import builtins
import json
import logging
import os
import random
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import behaviours_edit
import behaviours_import
from stage import BEHAVIOURS, EASYEDIT_FIRST, Skipped, World

__all__ = ["BEHAVIOURS", "EASYEDIT_FIRST", "behaviours_edit", "behaviours_import"]


def observe() -> SimpleNamespace:
    """The state of the process that an import must not change."""
    import numpy
    import torch

    return SimpleNamespace(
        logging=(list(logging.root.handlers), logging.root.level),
        random=(random.getstate(), str(numpy.random.get_state()), torch.get_rng_state().tolist()),
        files=sorted(os.listdir()),
    )


def import_easyedit_without_us() -> None:
    """Load EasyEdit with the ordinary import system, as in an environment where all its packages are installed."""
    from easyedit_ice.easyedit.loading import import_hook as hook
    from easyedit_ice.easyedit.loading import placeholders as standins

    ordinary = builtins.__import__
    standins.builtins = SimpleNamespace(__import__=ordinary)

    def with_all_packages(name: str, globals: Any = None, *rest: Any, **options: Any) -> Any:
        of_easyedit = str((globals or {}).get("__name__")).startswith("easyeditor")
        return (standins.host_import if of_easyedit else ordinary)(name, globals, *rest, **options)

    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, hook._HostFinder)]
    if home := os.environ.get("EASYEDIT_HOME"):
        sys.path.insert(0, home)
    builtins.__import__ = with_all_packages
    try:
        import_module("easyeditor")
    finally:
        builtins.__import__ = ordinary
        standins.builtins = builtins
    import_module("easyedit_ice.easyedit").install_hook()


def main(results: Path, order: str) -> None:
    """Run every behaviour of an order of imports and write what came of it."""
    os.chdir(tempfile.mkdtemp())
    before = observe()
    if order == EASYEDIT_FIRST:
        import_easyedit_without_us()
    else:
        import_module("easyedit_ice")
        import_module("easyeditor")
    world = World(before, observe())
    outcomes = {}
    for name, function in BEHAVIOURS[order].items():
        try:
            function(world)
            outcomes[name] = ""
        except Skipped as reason:
            outcomes[name] = f"skipped: {reason}"
        except BaseException:
            outcomes[name] = traceback.format_exc()
    results.write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
