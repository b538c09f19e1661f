"""The device that a setting names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyedit_ice.errors import LoadingError

if TYPE_CHECKING:
    import torch


def resolve_device(device: int | str | None) -> torch.device:
    """The device meant by EasyEdit's ``device`` setting.

    Args:
        device: ``"cpu"``, ``"cuda:0"``, a GPU's number, or ``None`` for a GPU if there is one.

    Raises:
        LoadingError: a GPU is asked for by name and there is none, or the name is no device.
    """
    import torch

    if device is None or isinstance(device, int) or str(device).isdigit():
        if not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", int(device or 0))
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise LoadingError(f"device is {device!r}; expected 'cpu', 'cuda:0', or a GPU's number") from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise LoadingError(f"device is {device!r}, but torch {torch.__version__} sees no GPU; set device: cpu")
    return resolved
