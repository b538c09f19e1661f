"""Edit facts on a page in the browser, on this machine: before and after, what else moved, undo, keep, compare."""

from __future__ import annotations

import argparse
import threading

from easyedit_ice.checkpoints.names import EMBEDDED
from easyedit_ice.cli.command_settings import MODEL_HELP, add_threads
from easyedit_ice.cli.console import whole_number, working
from easyedit_ice.cli.status import DONE


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--model", default=EMBEDDED, help=MODEL_HELP)
    parser.add_argument(
        "--book", default="edit-book", metavar="FOLDER", help="where edits are kept; a book that is there is opened"
    )
    parser.add_argument(
        "--port", type=whole_number(1, 65535), metavar="N", help="by default the first free one from 7860 on"
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    """Load the model, and serve the page until Ctrl-C."""
    from easyedit_ice.runtime.extras import require

    require("ui", "the page")
    from easyedit_ice.ui.desk import Desk
    from easyedit_ice.ui.serve import serve

    with working():
        desk = Desk.load(arguments.model, arguments.book, arguments.threads)
        served = serve(desk, arguments.book, port=arguments.port, browser=not arguments.no_browser)
    print(f"The page is at {served.address} (on this machine alone; Ctrl-C ends it).", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print("\nThe page has ended; what was not kept in a book is gone.")
    return DONE
