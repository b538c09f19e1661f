"""``list``, ``show``, ``diff`` and ``conflicts``: what is in a book."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyedit_ice.cli.console import table
from easyedit_ice.cli.edits.shared import Actions, action
from easyedit_ice.cli.json_output import add_json, print_json
from easyedit_ice.cli.status import DONE, FOUND

if TYPE_CHECKING:
    from easyedit_ice.book import Edit, EditBook


def configure(actions: Actions) -> None:
    """Declare the arguments."""
    listing = action(actions, "list", "the edits of a book", _list)
    listing.add_argument("book", type=Path)
    add_json(listing)
    show = action(actions, "show", "one edit: its facts, how it was made, what it does", _show)
    show.add_argument("book", type=Path)
    show.add_argument("name")
    add_json(show)
    diff = action(actions, "diff", "in what two edits differ", _diff)
    diff.add_argument("book", type=Path)
    diff.add_argument("a")
    diff.add_argument("b")
    add_json(diff)
    conflicts = action(
        actions, "conflicts", "what is wrong with having edits in one model; the status is then 1", _clash
    )
    conflicts.add_argument("book", type=Path)
    conflicts.add_argument("--only", nargs="+", metavar="NAME", help="among these; by default those that are on")
    add_json(conflicts)


def _list(arguments: argparse.Namespace) -> int:
    book = _opened(arguments)
    edits = book.edits(book.names)
    if arguments.json:
        print_json([_values(edit) for edit in edits])
        return DONE
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
    return DONE


def _show(arguments: argparse.Namespace) -> int:
    edit = _opened(arguments)[arguments.name]
    if arguments.json:
        print_json(_values(edit) | {"info": edit.info})
        return DONE
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
    return DONE


def _diff(arguments: argparse.Namespace) -> int:
    diff = _opened(arguments).diff(arguments.a, arguments.b)
    if arguments.json:
        sorted_facts = dict(zip(("only_a", "both", "only_b"), diff.facts, strict=True))
        weights = {name: {"norm_a": a, "norm_b": b, "cosine": cosine} for name, (a, b, cosine) in diff.modules.items()}
        a_on_b, b_on_a = diff.disturbances
        disturbances = {"a_on_what_b_reads": a_on_b, "b_on_what_a_reads": b_on_a}
        names = {"a": arguments.a, "b": arguments.b}
        print_json(names | {"facts": sorted_facts, "settings": diff.settings, "weights": weights, **disturbances})
        return DONE
    sides = (f"only {arguments.a}", "both", f"only {arguments.b}")
    facts = [(side, *fact) for side, group in zip(sides, diff.facts, strict=True) for fact in group]
    print(table(("in", "prompt", "target"), facts))
    if diff.settings:
        rows = [(name, *map(str, values)) for name, values in diff.settings.items()]
        print("\n" + table(("setting", arguments.a, arguments.b), rows))
    rows = [(name, f"{a:.3g}", f"{b:.3g}", f"{cosine:.2f}") for name, (a, b, cosine) in diff.modules.items()]
    print("\n" + table(("weight", f"norm of {arguments.a}", f"norm of {arguments.b}", "cosine"), rows))
    for (by, of), share in zip(
        ((arguments.a, arguments.b), (arguments.b, arguments.a)), diff.disturbances, strict=True
    ):
        print(f"On what {of} reads, {by} writes {share:.0%} as much as {of} does.")
    return DONE


def _clash(arguments: argparse.Namespace) -> int:
    conflicts = _opened(arguments).conflicts(arguments.only)
    status = FOUND if conflicts else DONE
    if arguments.json:
        print_json(conflicts)
        return status
    rows = [(conflict.kind, *conflict.edits, conflict.what) for conflict in conflicts]
    print(table(("kind", "edit", "and", "what"), rows) if rows else "there are no conflicts")
    return status


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
