"""The weights an edit is made on, and the fingerprint by which they are told from others.

A fingerprint is of values: a checkpoint in bfloat16 has the same one when it is loaded in float32, on any device.
Weights that were rounded or packed on loading are other weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import xxhash
from torch import Tensor, nn

from easyedit_ice.errors import OtherBaseError, UpdateError
from easyedit_ice.model.edit_state import state_of

_SAMPLED = 64
"""Elements of a tensor that are compared before its hash is taken from memory."""


@dataclass(frozen=True)
class Base:
    """A model as it was when an edit was made on it.

    Attributes:
        name: by which it was loaded.
        fingerprint: of its weights.
        architecture: its class in transformers.
        parameters: how many numbers it has.
        revision: of the Hub's repository, if it came from there.
    """

    name: str
    fingerprint: str
    architecture: str
    parameters: int
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint})"


def base_of(model: nn.Module, name: str | None = None) -> Base:
    """What an edit says of the model it is made on.

    Args:
        model: as it is now, with the edits that are in it.
        name: by which it was loaded; by default what its configuration says.

    Raises:
        UpdateError: some of its weights are not in memory.
    """
    config = getattr(model, "config", None)
    return Base(
        name=name or getattr(config, "_name_or_path", "") or "a model without a name",
        fingerprint=fingerprint_of(model),
        architecture=type(model).__name__,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        revision=getattr(config, "_commit_hash", None),
    )


def base_in(info: Mapping[str, Any]) -> Base | None:
    """The base that an update's ``info`` names, of a sum that of its first part; ``None`` if it names none."""
    if info.get("base") is not None:
        return Base(**info["base"])
    parts = parts_of(info)
    return base_in(parts[0]) if parts else None


def parts_of(info: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The ``info`` of each update that one is the sum of, in their order."""
    return info.get("parts") or info.get("edits") or ()


def require_base(info: Mapping[str, Any], base: Base, what: str, remedy: str, *, stated: bool = True) -> None:
    """Refuse an update that was made on other weights.

    Args:
        info: of the update.
        base: the weights it shall go into.
        what: the update, as the error shall name it.
        remedy: what lets it in all the same, for the error.
        stated: refuse one that does not say on which weights it was made, too.

    Raises:
        OtherBaseError: naming both models.
    """
    recorded = base_in(info)
    if recorded is None and stated:
        raise OtherBaseError(
            f"{what} does not say which weights it was made on, and may not belong to {base}; {remedy}"
        )
    if recorded is not None and recorded.fingerprint != base.fingerprint:
        raise OtherBaseError(f"{what} was made on {recorded}, and not on the weights of {base}; {remedy}")


def as_info(base: Base) -> dict[str, Any]:
    """The base as plain values, for an update's ``info``."""
    return asdict(base)


def fingerprint_of(model: nn.Module) -> str:
    """Hash of the names, shapes and values of all weights; about 0.1 s for 135 million in float32.

    A tensor that was hashed before is hashed again only if it was written to since.

    Raises:
        UpdateError: some of them are not in memory.
    """
    whole, digests = xxhash.xxh3_128(), state_of(model).derived.setdefault("digests", {})
    for name, parameter in sorted(model.named_parameters(), key=lambda pair: pair[0]):
        if parameter.is_meta:
            raise UpdateError(f"{name} is not in memory (torch's meta device); load the model as a whole")
        mark, (earlier, digest) = _mark(parameter), digests.get(name, (None, b""))
        if mark is None or mark != earlier:
            digest = xxhash.xxh3_128(_bytes(_values(parameter))).digest()
            digests[name] = mark, digest
        whole.update(f"{name} {tuple(parameter.shape)} ".encode() + digest)
    return f"xxh3:{whole.hexdigest()}"


def _mark(parameter: Tensor) -> tuple[Any, ...] | None:
    """Changes when the tensor is written to: autograd counts that, but for writes to ``.data``, which the sample shows.

    None for tensors that are not counted.
    """
    if parameter.is_inference():
        return None
    flat = parameter.detach().reshape(-1)
    sample = _bytes(flat[:: max(1, len(flat) // _SAMPLED)]).tobytes()
    return parameter.data_ptr(), parameter._version, parameter.dtype, tuple(parameter.shape), sample


def _values(parameter: Tensor) -> Tensor:
    narrow = parameter.is_floating_point() and parameter.element_size() <= 4
    return parameter.detach().float() if narrow else parameter.detach()


def _bytes(tensor: Tensor) -> Any:
    return tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
