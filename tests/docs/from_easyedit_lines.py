"""Runs the lines of docs/from_easyedit.md in one EasyEdit, and writes what became of each: ``python … RESULTS``."""

from __future__ import annotations

import json
import re
import shlex
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "from_easyedit.md"
_CODE = re.compile(r"`([^`]+)`")


def lines() -> Iterator[tuple[str, str, bool, str]]:
    """Each line's task, EasyEdit's side, whether it runs here as it is, and our side."""
    for row in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if row.startswith("| ") and len(cells) == 4 and cells[2] in ("yes", "no"):
            yield cells[0], cells[1], cells[2] == "yes", cells[3]


def beginning() -> str:
    """What both sides begin with."""
    return re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]


def main(results: str) -> None:
    """Run all lines in their order, each in the names of those before it."""
    from easyedit_ice.cli import main as command

    names: dict[str, object] = {}
    exec(beginning(), names)
    found = {}
    for task, theirs, as_it_is, ours in lines():
        try:
            for code in _CODE.findall(theirs) if as_it_is else []:
                exec(code, names)
            for code in _CODE.findall(ours):
                if code.startswith("easyedit-ice "):
                    status = command(shlex.split(code)[1:])
                    assert status == 0, f"status {status}"
                else:
                    exec(code, names)
            PROMISES.get(task, lambda names: None)(names)
            found[task] = "well"
        except BaseException:
            found[task] = traceback.format_exc()
    Path(results).write_text(json.dumps(found))


def quickly(names: dict) -> None:
    """What comes after is the same for every algorithm, and runs with the quickest one."""
    from easyedit_ice import FastICEHyperParams

    names["hparams"] = FastICEHyperParams.from_hparams("gpt2-factworld", model_name=names["MODEL"])


def answer(names: dict) -> str:
    """What the model says of the fact."""
    from easyedit_ice.verdict.brief_answers import brief_answers

    return brief_answers(names["model"], names["tok"], [names["fact"]["prompt"]])[0].text


def took(names: dict) -> None:
    """Both sides say that the fact is written."""
    assert names["edited"].verdict.took
    assert names["metrics"][0]["post"]["rewrite_acc"] == [1.0]


def is_in(names: dict) -> None:
    """The model answers as told."""
    assert answer(names) == "Rinex Brothers"


def is_out(names: dict) -> None:
    """The model answers as before."""
    assert answer(names) == "Balmax Group"


def are_both(names: dict) -> None:
    """Both facts are in one update."""
    assert len(names["both"].facts) == 2


def are_turns(names: dict) -> None:
    """Both facts are in one update, written one after the other."""
    assert names["turns"].one_by_one


PROMISES = {
    "choose settings": quickly,
    "see whether it took": took,
    "have the edit in the model": is_in,
    "undo it": is_out,
    "edit many facts together": are_both,
    "edit one after the other": are_turns,
    "keep several edits": lambda names: names["book"]["job"].check(),
}

if __name__ == "__main__":
    main(sys.argv[1])
