"""What takes an update out of a model: copies of the tensors it wrote to, and deltas beside modules.

Nothing in it belongs to one model object: what was committed to a model is taken out of a copy of it as well.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from easyedit_ice.edit.beside import put_beside, take_away
from easyedit_ice.edit.delta import Delta
from easyedit_ice.edit.history import forget
from easyedit_ice.errors import UpdateError
from easyedit_ice.model.anatomy import Mlp, Projection, Site
from easyedit_ice.model.edit_state import Keys, state_of
from easyedit_ice.runtime.bits import checksum
from easyedit_ice.runtime.interrupts import finish

_INFINITE = (
    "{}: the change has elements that are infinite or not numbers, and is not written; make the edit anew, with a "
    "lower learning rate or in float32"
)


class OriginalWeights(dict[str, Tensor]):
    """Copies of the tensors an update wrote to, on the CPU, by parameter name; and what else takes the update out.

    Attributes:
        attached: deltas beside modules, by path.
        edit: the update's keys, which later edits leave alone while it is in the model.
        checksums: of the tensors as the update left them, by parameter name.
    """

    def __init__(self, keys: Keys | None = None) -> None:
        super().__init__()
        self.attached: dict[str, Delta] = {}
        self.edit: Keys = dict(keys or {})
        self.checksums: dict[str, tuple[int, int]] = {}

    @torch.no_grad()
    def write(self, site: Site, delta: Delta) -> None:
        """Add a delta to a weight, in fp32 and rounded once, and keep what was there; or put it beside a module.

        Raises:
            UpdateError: the weight would become infinite or not a number; it is unchanged.
        """
        if isinstance(site, Mlp) or site.quantized or delta.beside:
            refuse_infinite(site, delta)
            self.attached[site.name] = delta
            put_beside(site.module, delta)
            return
        weight, changed = site.weight, changed_weight(site, delta)
        self[site.weight_name] = weight.detach().to("cpu", copy=True)
        weight.copy_(changed)

    def restore(self, model: nn.Module) -> None:
        """Bring the model, or a copy of it, back to the bits it had; its later edits do not know of this one."""
        finish(lambda: self._restore(model))

    def changed(self, model: nn.Module) -> list[str]:
        """Names of the tensors that are neither as the update left them nor as they were before."""
        return [
            name
            for name, left in self.checksums.items()
            if checksum(model.get_parameter(name)) not in (left, checksum(self[name]))
        ]

    @torch.no_grad()
    def _restore(self, model: nn.Module) -> None:
        for name in reversed(self):
            model.get_parameter(name).copy_(self[name])
        self.release(model)

    def release(self, model: nn.Module) -> None:
        """All of restoring but the copying: take away what is beside modules, and have later edits not know."""
        for path, delta in self.attached.items():
            take_away(model.get_submodule(path), delta)
        forget(model, self.edit)
        commits = state_of(model).commits
        for update in [update for update, originals in commits.items() if originals is self]:
            commits.pop(update, None)


@torch.no_grad()
def changed_weight(projection: Projection, delta: Delta) -> Tensor:
    """A weight with a delta added in fp32 and rounded once, as it is stored.

    Raises:
        UpdateError: it would be infinite or not a number.
    """
    weight = projection.weight
    change = projection.as_stored(delta.matrix().to(weight.device, torch.float32))
    rounded = (weight.float() + change).to(weight.dtype)
    if not _finite(rounded):
        raise UpdateError(_not_finite(projection, delta))
    return rounded


def refuse_infinite(site: Site, delta: Delta) -> None:
    """Refuse a delta that is to stand beside a module and is not finite.

    Raises:
        UpdateError: it is infinite or not a number.
    """
    if not delta.finite():
        raise UpdateError(_INFINITE.format(site.name))


def _finite(weight: Tensor) -> bool:
    """Whether all elements are, since the least and the largest are; types of 8 bits cannot tell by themselves."""
    ends = torch.stack((weight.float() if weight.element_size() == 1 else weight).aminmax())
    return bool(ends.isfinite().all())


@torch.no_grad()
def _not_finite(projection: Projection, delta: Delta) -> str:
    """What keeps a delta from being added."""
    name, weight, matrix = projection.weight_name, projection.weight, delta.matrix()
    if not matrix.isfinite().all():
        return _INFINITE.format(name)
    if not _finite(weight):
        return f"{name} has elements that are infinite or not numbers before the edit; load a model of finite weights"
    largest = (weight.float() + projection.as_stored(matrix.to(weight.device))).abs().max().item()
    dtype = str(weight.dtype).removeprefix("torch.")
    return (
        f"{name} would overflow: its largest element would be {largest:.6g}, and {dtype} holds at most "
        f"{torch.finfo(weight.dtype).max:.6g}; load the model in bfloat16 or float32, or make a smaller edit"
    )
