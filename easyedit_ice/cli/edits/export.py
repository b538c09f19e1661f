"""``export``: the model or an adapter with some edits, for other software."""

from __future__ import annotations

import argparse
from pathlib import Path

from easyedit_ice.checkpoints.gguf_files import GGUF_TYPES
from easyedit_ice.cli.console import working
from easyedit_ice.cli.edits.shared import (
    Actions,
    action,
    add_model,
    add_overwrite,
    add_subset,
    checks,
    counted,
    load_base,
    say_kept,
    subset,
)
from easyedit_ice.errors import BookError


def configure(actions: Actions) -> None:
    """Declare the arguments."""
    export = action(actions, "export", "write the model or an adapter with edits, and a model card", run)
    export.add_argument("book", type=Path)
    export.add_argument("--hf", metavar="FOLDER", help="the model as a transformers checkpoint")
    export.add_argument("--peft", metavar="FOLDER", help="a LoRA adapter; low-rank edits only")
    export.add_argument("--gguf", metavar="FILE|FOLDER", help="the model as GGUF; the base must be GGUF itself")
    export.add_argument("--gguf-type", choices=GGUF_TYPES, default="F16", type=str.upper, help="of changed matrices")
    export.add_argument("--gguf-whole", action="store_true", help="write all of them so, not only those that changed")
    add_subset(export)
    add_model(export)
    add_overwrite(export, "an earlier export")


def run(arguments: argparse.Namespace) -> int:
    """Write what is asked for."""
    from easyedit_ice.book import EditBook
    from easyedit_ice.book.book_export import export_gguf, export_hf, export_peft

    if not (arguments.hf or arguments.peft or arguments.gguf):
        raise BookError("where to export is not said; give --hf FOLDER, --peft FOLDER or --gguf FILE, or several")
    book = EditBook.open(arguments.book)
    names = subset(book, arguments)
    options = checks(arguments) | {"overwrite": arguments.overwrite}
    model, tok = load_base(book, arguments)
    if arguments.hf:
        with working():
            export_hf(book, model, tok, arguments.hf, names, **options)
        print(f"The model with {counted(len(names), 'edit')} is in {arguments.hf}")
    if arguments.peft:
        with working():
            export_peft(book, model, arguments.peft, names, **options)
        print(f"An adapter of {counted(len(names), 'edit')} is in {arguments.peft}")
    if arguments.gguf:
        how = {"dtype": arguments.gguf_type, "whole": arguments.gguf_whole, "base": arguments.model}
        with working():
            export_gguf(book, model, arguments.gguf, names, **how, **options)
        print(f"The model with {counted(len(names), 'edit')} is in {arguments.gguf}")
    say_kept(book, names)
    return 0
