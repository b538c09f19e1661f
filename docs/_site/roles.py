"""Roles of docstrings, such as ``:func:`easyedit_ice.edit.apply.solve` ``, as Markdown shows them."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":\w+:`(~?)([\w.]+\.)?(\w+)`")


class Roles(griffe.Extension):
    """Leaves the name of each role, without its path where a tilde stands before it."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(_plain, obj.docstring.value)


def _plain(role: re.Match[str]) -> str:
    return f"`{role[3]}`" if role[1] else f"`{role[2] or ''}{role[3]}`"
