"""EasyEdit: where it is, how it is loaded, and how it comes to know our algorithms.

Nothing outside this package knows EasyEdit.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from easyedit_ice.host.hook import import_easyeditor, install_hook
from easyedit_ice.host.locate import HostInfo, host_info

# Name -> module that has it; these modules need torch.
_LAZY = {
    "base_editor": "easyedit_ice.host.registration",
    "doctor": "easyedit_ice.host.info",
    "register": "easyedit_ice.host.registration",
}
__all__ = ["BaseEditor", "HostInfo", "host_info", "import_easyeditor", "install_hook", *_LAZY]


def __getattr__(name: str) -> Any:
    if name == "BaseEditor":
        return __getattr__("base_editor")()
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
