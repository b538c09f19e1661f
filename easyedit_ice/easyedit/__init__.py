"""EasyEdit: where it is, how it is loaded, and how it comes to know our algorithms.

No other package imports EasyEdit; ``evaluation/`` computes its numbers, and is told whose.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from easyedit_ice.easyedit.loading.import_hook import import_easyeditor, install_finder
from easyedit_ice.easyedit.locate import HostInfo, host_info

# Name -> module that has it; these modules need torch.
_LAZY = {
    "base_editor": "easyedit_ice.easyedit.plugin.registration",
    "doctor": "easyedit_ice.easyedit.host_report",
    "hand_over": "easyedit_ice.easyedit.moment_files",
    "register": "easyedit_ice.easyedit.plugin.registration",
    "retained": "easyedit_ice.easyedit.retention",
}
__all__ = ["BaseEditor", "HostInfo", "host_info", "import_easyeditor", "install_hook", *_LAZY]

logger = logging.getLogger(__name__)


def install_hook() -> None:
    """Have our algorithms registered as soon as EasyEdit is loaded, by whomever. Idempotent."""
    install_finder(_register_or_tell)


def _register_or_tell() -> None:
    """An ``import easyeditor`` of somebody who wants nothing from us must not fail because of us."""
    from easyedit_ice.easyedit.plugin.registration import register

    try:
        register()
    except Exception as error:  # also of a package that adds an algorithm
        logger.warning("EasyEdit is left as it is: %s: %s", type(error).__name__, error)


def __getattr__(name: str) -> Any:
    if name == "BaseEditor":
        return __getattr__("base_editor")()
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
