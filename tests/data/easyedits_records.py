"""What EasyEdit's dataset classes read. Run in a process of its own: one process loads one EasyEdit.

python easyedits_records.py RESULTS.json '[["KnowEditDataset", "path/to/file.json"], ...]'
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from easyedit_ice.easyedit import import_easyeditor


def main(out: str, wanted: str) -> None:
    """Write ``{path: items}``."""
    easyeditor = import_easyeditor()
    read = {path: list(getattr(easyeditor, name)(path)) for name, path in json.loads(wanted)}
    Path(out).write_text(json.dumps(read), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
