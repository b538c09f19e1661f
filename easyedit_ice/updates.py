"""What an algorithm returns: a change of named weights that can be put in, taken out, added and saved.

Committing keeps a copy of every tensor it writes to, and reverting copies it back, so the model returns to the
same bits in any dtype. A weight that bitsandbytes has packed is never rewritten: its delta is attached beside
it and detached again.
"""

from __future__ import annotations

import json
from collections.abc import ItemsView, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from easyedit_ice.anatomy import ModelAnatomy, Projection
from easyedit_ice.deltas import Delta, LowRankDelta
from easyedit_ice.errors import UpdateError
from easyedit_ice.memory import Keys, forget, remember
from easyedit_ice.side_branch import SideBranch

FORMAT = 1
_WEIGHTS, _MANIFEST = "update.safetensors", "update.json"
_KEYS = "keys"


class OriginalWeights(dict[str, Tensor]):
    """Copies of the tensors an update wrote to, by parameter name: EasyEdit's ``weights_copy``.

    EasyEdit restores by iterating over :meth:`items` and copying each tensor back. Deltas attached to packed
    weights have no tensor to copy back; they are detached when that iteration starts, and the edit is forgotten.
    """

    def __init__(self) -> None:
        super().__init__()
        self.attached: list[SideBranch] = []
        self._remembered: list[tuple[ref[nn.Module], Keys]] = []

    def items(self) -> ItemsView[str, Tensor]:
        """Names and tensors to copy back; detaches what was attached, and forgets the edit."""
        self.detach()
        while self._remembered:
            model, keys = self._remembered.pop()
            if (alive := model()) is not None:
                forget(alive, keys)
        return super().items()

    def remember(self, model: nn.Module, keys: Keys) -> None:
        """Have the model's later edits know of this one, for as long as it is in the model."""
        remember(model, keys)
        self._remembered.append((ref(model), keys))

    def detach(self) -> None:
        """Remove deltas from packed weights."""
        while self.attached:
            self.attached.pop().remove()

    def restore(self, model: nn.Module) -> None:
        """Bring the model back to the bits it had."""
        with torch.no_grad():
            for name, original in self.items():
                model.get_parameter(name).copy_(original)


@dataclass
class _Commit:
    originals: OriginalWeights
    checksums: dict[str, tuple[int, int]]


@dataclass(eq=False)
class WeightUpdate:
    """Deltas by module name, and where they come from.

    Attributes:
        deltas: module path -> (out, in) delta.
        info: facts, algorithm, settings and the course of training, as plain values; saved with the update.
        keys: module path -> (n, in), what its facts are looked up by, for later edits to leave alone; may be empty.
    """

    deltas: Mapping[str, Delta]
    info: dict[str, Any] = field(default_factory=dict)
    keys: Keys = field(default_factory=dict)
    _commits: WeakKeyDictionary[nn.Module, _Commit] = field(default_factory=WeakKeyDictionary, init=False, repr=False)

    def commit(self, model: nn.Module) -> OriginalWeights:
        """Add the deltas to the model's weights, computed in fp32 and rounded once.

        Returns:
            copies of the tensors written to (on the CPU), as EasyEdit's ``weights_copy``.

        Raises:
            UpdateError: it is committed to this model already, or a module is missing or of another shape;
                the model is unchanged.
        """
        if model in self._commits:
            raise UpdateError("this update is committed to this model already; revert it before committing again")
        targets = self._targets(model)
        originals = OriginalWeights()
        try:
            for projection, delta in targets:
                _add(projection, delta, originals)
        except BaseException:
            originals.restore(model)
            raise
        originals.remember(model, self.keys)
        checksums = {name: checksum(model.get_parameter(name)) for name in originals}
        self._commits[model] = _Commit(originals, checksums)
        return originals

    def revert(self, model: nn.Module) -> None:
        """Take the deltas out again: every tensor returns to the bits it had before :meth:`commit`.

        Raises:
            UpdateError: it is not committed to this model, or the weights were changed since, so that restoring
                would undo somebody else's change as well.
        """
        if model not in self._commits:
            raise UpdateError("this update is not committed to this model; commit it first")
        commit = self._commits[model]
        changed = [name for name, sum_ in commit.checksums.items() if checksum(model.get_parameter(name)) != sum_]
        if changed:
            raise UpdateError(
                f"{', '.join(changed)} changed after this update was committed; "
                "revert later updates first, in the opposite order"
            )
        self._commits.pop(model).originals.restore(model)

    def norms(self) -> dict[str, float]:
        """Frobenius norm of each delta, by module name."""
        return {name: delta.norm() for name, delta in self.deltas.items()}

    def scaled(self, factor: float) -> WeightUpdate:
        """The update with every delta multiplied by ``factor``."""
        deltas = {name: delta.scaled(factor) for name, delta in self.deltas.items()}
        return WeightUpdate(deltas, dict(self.info), self.keys)

    def __add__(self, other: WeightUpdate) -> WeightUpdate:
        """Both updates as one; low-rank deltas of one module stay low-rank."""
        deltas = dict(self.deltas)
        for name, delta in other.deltas.items():
            deltas[name] = deltas[name].plus(delta) if name in deltas else delta
        keys = dict(self.keys)
        for name, own in other.keys.items():
            keys[name] = torch.cat([keys[name], own.to(keys[name].device)]) if name in keys else own
        return WeightUpdate(deltas, {"parts": [self.info, other.info]}, keys)

    @staticmethod
    def total(updates: Iterable[WeightUpdate]) -> WeightUpdate:
        """The sum of several updates."""
        return reduce(WeightUpdate.__add__, updates)

    def save(self, folder: str | Path) -> None:
        """Write the update as safetensors and JSON.

        Args:
            folder: made if need be; an update saved there before is replaced.
        """
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            f"{name}:{part}": tensor.detach().cpu().contiguous()
            for name, delta in self.deltas.items()
            for part, tensor in delta.tensors().items()
        } | {f"{name}:{_KEYS}": keys.detach().cpu().contiguous() for name, keys in self.keys.items()}
        save_file(tensors, folder / _WEIGHTS)
        manifest = {
            "format": FORMAT,
            "kinds": {name: delta.kind for name, delta in self.deltas.items()},
            "info": self.info,
        }
        (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> WeightUpdate:
        """Read what :meth:`save` wrote.

        Raises:
            UpdateError: the folder holds no update, or one that cannot be read.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = Path(folder)
        try:
            manifest = dict(json.loads((folder / _MANIFEST).read_text(encoding="utf-8")))
            tensors = load_file(folder / _WEIGHTS)
        except (OSError, TypeError, ValueError, SafetensorError) as error:
            raise UpdateError(
                f"{folder} holds no readable update ({error}); expected {_WEIGHTS} and {_MANIFEST}"
            ) from error
        if manifest.get("format") != FORMAT:
            raise UpdateError(f"{folder} has format {manifest.get('format')!r}; this version reads format {FORMAT}")
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            name, _, part = key.rpartition(":")
            parts.setdefault(name, {})[part] = tensor
        keys = {name: own.pop(_KEYS) for name, own in parts.items() if _KEYS in own}
        try:
            deltas = {name: Delta.load(kind, parts[name]) for name, kind in manifest["kinds"].items()}
            return cls(deltas, manifest["info"], keys)
        except KeyError as error:
            raise UpdateError(f"{folder}: {error} is missing from {_WEIGHTS} or {_MANIFEST}; save it again") from error

    def to_peft(self, model: nn.Module, folder: str | Path) -> None:
        """Write a LoRA adapter that ``peft.PeftModel.from_pretrained(model, folder)`` loads without this package.

        Args:
            model: the model the update belongs to; its structure is read, nothing is written to it.
            folder: made if need be.

        Raises:
            UpdateError: a delta is not low-rank, or does not fit the model.
        """
        from peft import LoraConfig
        from safetensors.torch import save_file

        dense = [name for name, delta in self.deltas.items() if not isinstance(delta, LowRankDelta)]
        if dense:
            raise UpdateError(f"{', '.join(dense)}: only low-rank deltas make a LoRA adapter; use to_hf instead")
        targets = self._targets(model)
        ranks = {name: delta.rank for name, delta in self.deltas.items()}
        LoraConfig(
            r=max(ranks.values()),
            lora_alpha=max(ranks.values()),
            rank_pattern=ranks,
            alpha_pattern=ranks,
            target_modules=list(ranks),
            fan_in_fan_out=any(projection.transposed for projection, _ in targets),
            base_model_name_or_path=getattr(model.config, "_name_or_path", None),
            task_type="CAUSAL_LM",
        ).save_pretrained(folder)
        factors = {}
        for name, delta in self.deltas.items():
            factors[f"base_model.model.{name}.lora_A.weight"] = delta.a.detach().cpu().contiguous()
            factors[f"base_model.model.{name}.lora_B.weight"] = delta.b.detach().cpu().contiguous()
        save_file(factors, Path(folder) / "adapter_model.safetensors")

    def to_hf(self, model: nn.Module, tok: Any, folder: str | Path) -> None:
        """Write the edited model and its tokenizer as any transformers checkpoint.

        The model is edited only while it is written, unless the update is committed to it already.

        Raises:
            UpdateError: a delta stands beside a packed weight, which such a checkpoint cannot hold.
        """
        packed = [projection.name for projection, _ in self._targets(model) if projection.quantized]
        if packed:
            raise UpdateError(
                f"{', '.join(packed)}: deltas beside packed weights are no part of a checkpoint; use save or to_peft"
            )
        committed = model in self._commits
        if not committed:
            self.commit(model)
        try:
            model.save_pretrained(folder)
            tok.save_pretrained(folder)
        finally:
            if not committed:
                self.revert(model)

    def _targets(self, model: nn.Module) -> list[tuple[Projection, Delta]]:
        projections = {projection.name: projection for projection in ModelAnatomy(model).projections}
        missing = [name for name in self.deltas if name not in projections]
        if missing:
            raise UpdateError(f"the model has no {', '.join(missing)}; this update belongs to another architecture")
        targets = [(projections[name], delta) for name, delta in self.deltas.items()]
        for projection, delta in targets:
            if delta.shape != (projection.out_features, projection.in_features):
                raise UpdateError(
                    f"{projection.name} maps {projection.in_features} to {projection.out_features} features, but the "
                    f"delta is {delta.shape[1]} to {delta.shape[0]}; this update belongs to a model of another size"
                )
        return targets


def checksum(tensor: Tensor) -> tuple[int, int]:
    """Sums over the bits of a tensor, weighted by row and by column: they change when an element does or moves."""
    words = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    bits = tensor.detach().contiguous().view(words).view(-1, tensor.shape[-1])
    rows, columns = (bits.sum(dim, dtype=torch.int64) for dim in (1, 0))
    return tuple(int((sums * torch.arange(1, len(sums) + 1, device=sums.device)).sum()) for sums in (rows, columns))


def _add(projection: Projection, delta: Delta, originals: OriginalWeights) -> None:
    if projection.quantized:
        originals.attached.append(SideBranch(projection.module, delta.apply))
        return
    weight = projection.module.weight
    originals[projection.weight_name] = weight.detach().to("cpu", copy=True)
    change = projection.as_stored(delta.matrix().to(weight.device, torch.float32))
    with torch.no_grad():
        weight.copy_((weight.float() + change).to(weight.dtype))
