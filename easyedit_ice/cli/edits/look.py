"""``list``, ``show``, ``diff`` and ``conflicts``: what is in a book."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyedit_ice.cli.console import table
from easyedit_ice.cli.edits.shared import Actions, action

if TYPE_CHECKING:
    from easyedit_ice.book import Edit, EditBook


def configure(actions: Actions) -> None:
    """Declare the arguments."""
    listing = action(actions, "list", "the edits of a book", _list)
    listing.add_argument("book", type=Path)
    listing.add_argument("--json", action="store_true", help="print them as JSON")
    show = action(actions, "show", "one edit: its facts, how it was made, what it does", _show)
    show.add_argument("book", type=Path)
    show.add_argument("name")
    show.add_argument("--json", action="store_true", help="print all of it as JSON")
    diff = action(actions, "diff", "in what two edits differ", _diff)
    diff.add_argument("book", type=Path)
    diff.add_argument("a")
    diff.add_argument("b")
    conflicts = action(
        actions, "conflicts", "what is wrong with having edits in one model; the status is then 1", _clash
    )
    conflicts.add_argument("book", type=Path)
    conflicts.add_argument("--only", nargs="+", metavar="NAME", help="among these; by default those that are on")


def _list(arguments: argparse.Namespace) -> int:
    book = _opened(arguments)
    edits = book.edits(book.names)
    if arguments.json:
        print(json.dumps([_values(edit) for edit in edits], indent=1, ensure_ascii=False))
        return 0
    stale = book.stale
    rows = [
        (
            edit.name,
            "on" if edit.on else "off",
            edit.algorithm,
            len(edit.facts),
            _took(edit),
            len(edit.solved_with),
            f"{edit.size / 1024:.0f}",
        )
        for edit in edits
    ]
    header = ("edit", "state", "algorithm", "facts", "took", "solved with", "KiB")
    print(table(header, rows) if rows else "there are no edits")
    print(f"\nbase: {book.base}")
    if stale:
        print(f"solved with edits that are gone: {', '.join(stale)}; `remove --replay` solves them anew")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    edit = _opened(arguments)[arguments.name]
    if arguments.json:
        print(json.dumps(_values(edit) | {"info": edit.info}, indent=1, ensure_ascii=False))
        return 0
    about = {
        "state": "on" if edit.on else "off",
        "algorithm": edit.algorithm,
        "added": edit.entry.added,
        "base": str(edit.base or "not stated"),
        "solved with": ", ".join(edit.solved_with) or "nothing else",
        "weights": ", ".join(f"{name} ({norm:.3g})" for name, norm in edit.update.norms().items()),
        "took": _took(edit),
    }
    about |= dict(edit.verdict["figures"]) if edit.verdict else {}
    print(table(("of the edit", ""), list(about.items())))
    for warning in (edit.verdict or {}).get("warnings", ()):
        print(f"warning: {warning}")
    facts = [(fact.prompt, fact.target_new.strip(), fact.subject or "") for fact in edit.facts]
    print("\n" + table(("prompt", "target", "subject"), facts))
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    found = _opened(arguments).diff(arguments.a, arguments.b)
    sides = (f"only {arguments.a}", "both", f"only {arguments.b}")
    facts = [(side, *fact) for side, own in zip(sides, found.facts, strict=True) for fact in own]
    print(table(("in", "prompt", "target"), facts))
    if found.settings:
        rows = [(name, *map(str, values)) for name, values in found.settings.items()]
        print("\n" + table(("setting", arguments.a, arguments.b), rows))
    rows = [(name, f"{a:.3g}", f"{b:.3g}", f"{cosine:.2f}") for name, (a, b, cosine) in found.modules.items()]
    print("\n" + table(("weight", f"norm of {arguments.a}", f"norm of {arguments.b}", "cosine"), rows))
    for (by, of), share in zip(
        ((arguments.a, arguments.b), (arguments.b, arguments.a)), found.disturbances, strict=True
    ):
        print(f"On what {of} reads, {by} writes {share:.0%} as much as {of} does.")
    return 0


def _clash(arguments: argparse.Namespace) -> int:
    found = _opened(arguments).conflicts(arguments.only)
    rows = [(conflict.kind, *conflict.edits, conflict.what) for conflict in found]
    print(table(("kind", "edit", "and", "what"), rows) if rows else "there are no conflicts")
    return 1 if found else 0


def _opened(arguments: argparse.Namespace) -> EditBook:
    from easyedit_ice.book import EditBook

    return EditBook.open(arguments.book)


def _took(edit: Edit) -> str:
    return "-" if edit.verdict is None else "yes" if edit.verdict["took"] else "NO"


def _values(edit: Edit) -> dict[str, Any]:
    return {
        "name": edit.name,
        "on": edit.on,
        "algorithm": edit.algorithm,
        "added": edit.entry.added,
        "base": None if edit.base is None else vars(edit.base),
        "solved_with": list(edit.solved_with),
        "facts": [fact.to_dict() for fact in edit.facts],
        "verdict": edit.verdict,
    }
