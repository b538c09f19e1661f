"""Plain tables on the terminal, and silence from the libraries underneath."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import warnings
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from itertools import zip_longest
from textwrap import wrap

from easyedit_ice.cli.watching import watching

GAP = "  "
NARROWEST = 12
_STYLES = (
    (re.compile(r"^NOT? |^NO$|: MOVED$|does not hold$|^missing$"), "red"),
    (re.compile(r"^written\b|: holds$|^ok$|^installed$"), "green"),
)
"""Cells that are shown in colour; the first pattern that is found."""


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their widest cell, wrapped where the terminal is narrower; numbers to the right.

    On a terminal with bold headings, and what is well or amiss in colour unless ``NO_COLOR`` is set; elsewhere plain.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    numeric = [all(_is_number(row[index]) for row in cells) for index in range(len(header))]
    return (_styled if _on_a_terminal() else _plain)(header, cells, numeric)


def _plain(header: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    widths = _fitted([max(map(len, column)) for column in zip(header, *cells, strict=True)])

    def line(row: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        return GAP.join(padded).rstrip()

    def lines(row: Sequence[str]) -> Iterator[str]:
        wrapped = [wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
        yield from map(line, zip_longest(*wrapped, fillvalue=""))

    body = [part for row in cells for part in lines(row)]
    return "\n".join([*lines(header), line(["-" * width for width in widths]), *body])


def _styled(header: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    """For a terminal; wide characters of Chinese, Japanese and Korean line up too."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name, right in zip(header, numeric, strict=True):
        shown.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in cells:
        shown.add_row(*(Text(cell, _style(cell)) for cell in row))
    written = StringIO()
    Console(file=written, force_terminal=True, width=shutil.get_terminal_size((120, 24)).columns).print(shown)
    return "\n".join(line.rstrip() for line in written.getvalue().strip("\n").splitlines())


def _on_a_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _style(cell: str) -> str:
    """The colour of what says that something is well or amiss."""
    return next((style for pattern, style in _STYLES if pattern.search(cell)), "")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep warnings, logs and prints of EasyEdit and transformers off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def working(shown: bool = True) -> Iterator[None]:
    """:func:`quiet`, but for how far the work has come.

    Args:
        shown: as of :func:`~easyedit_ice.cli.watching.watching`.
    """
    with watching(shown), quiet():
        yield


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """The type of an argument that counts something."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise ArgumentTypeError(f"{text!r} is not a number from {low} to {high}")
        return int(text)

    return parse


def _fitted(widths: list[int]) -> list[int]:
    """The widths, the widest of them narrowed until all fit on a line of the terminal."""
    room = shutil.get_terminal_size((120, 24)).columns - len(GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _is_number(text: str) -> bool:
    return text in ("", "-") or text.replace(".", "", 1).removesuffix("%").isdigit()
