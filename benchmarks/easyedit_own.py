"""Settings of EasyEdit's own methods, whatever the loaded EasyEdit calls for."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

import yaml

from easyedit_ice.host import import_easyeditor

SETTINGS = Path(__file__).parent.parent / "examples" / "hparams"


def own_hparams(method: str, **changes: Any) -> Any:
    """EasyEdit's settings of a method for the embedded model, without those that this EasyEdit does not know.

    Args:
        method: name of one of EasyEdit's methods.
        **changes: settings that take precedence over the file's, or that make up a method without a file.
    """
    path = SETTINGS / method / "gpt2-factworld.yaml"
    settings = (yaml.safe_load(path.read_text()) if path.is_file() else {}) | changes
    kind = getattr(import_easyeditor(), f"{method}HyperParams")
    return kind(**{name: settings[name] for name in signature(kind).parameters if name in settings})
