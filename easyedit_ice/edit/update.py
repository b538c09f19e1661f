"""What an algorithm returns: a change of named weights that can be put in, taken out, added and saved.

Committing keeps a copy of every tensor it writes to, and reverting copies it back, so the model returns to the
same bits in any dtype. A weight that bitsandbytes has packed is never rewritten: its delta is attached beside
it and detached again.

What takes an update out is kept with the model (:mod:`easyedit_ice.model.edit_state`), so that a copy of the model has
it too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.edit.delta import Delta
from easyedit_ice.edit.destinations import placed, refuse_base, refuse_others
from easyedit_ice.edit.edited_checkpoint import save_edited
from easyedit_ice.edit.history import remember
from easyedit_ice.edit.originals import OriginalWeights
from easyedit_ice.edit.peft_export import ADAPTER, check_unpacked, save_peft
from easyedit_ice.edit.wider_mlps import refuse_unheld
from easyedit_ice.errors import UpdateError
from easyedit_ice.model.anatomy import Mlp, ModelAnatomy, Projection, Site
from easyedit_ice.model.edit_state import Keys, state_of
from easyedit_ice.model.saving import require_savable
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.bits import checksum
from easyedit_ice.runtime.html import html_table
from easyedit_ice.runtime.interrupts import ending_with, held_back
from easyedit_ice.runtime.tensor_files import checksum_of
from easyedit_ice.runtime.untrusted import parsed_json

FORMAT = 1
_WEIGHTS, _MANIFEST = "update.safetensors", "update.json"
_KEYS = "keys"
_CHECKSUM = "checksum"


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

    def commit(self, model: nn.Module) -> OriginalWeights:
        """Add the deltas to the model's weights, computed in fp32 and rounded once.

        Whatever is raised, the model is unchanged, or holds the whole update and can be reverted.

        Returns:
            copies of the tensors written to, on the CPU.

        Raises:
            UpdateError: it is committed to this model already, a module is missing or of another shape, or a weight
                would become infinite or not a number; the model is unchanged.
            ModelInUseError: another thread edits this model.
        """
        state = state_of(model)
        with state.in_use(), held_back() as deliver_interrupts:
            if self in state.commits:
                raise UpdateError("this update is committed to this model already; revert it before committing again")
            targets = self.targets(model)
            originals = OriginalWeights(self.keys)
            try:
                state.commits[self] = originals
                for site, delta in targets:
                    originals.write(site, delta)
                remember(model, originals.edit)
                originals.checksums.update({name: checksum(model.get_parameter(name)) for name in originals})
                deliver_interrupts()
            except BaseException:
                originals.restore(model)
                raise
        return originals

    def revert(self, model: nn.Module) -> None:
        """Take the deltas out again: every tensor returns to the bits it had before :meth:`commit`.

        Args:
            model: it was committed to, or a copy of that made since.

        Raises:
            UpdateError: it is not committed to this model, or the weights were changed since, so that restoring
                would undo somebody else's change as well.
            ModelInUseError: another thread edits this model.
        """
        state = state_of(model)
        with state.in_use():
            originals = state.commits.get(self)
            if originals is None:
                raise UpdateError("this update is not committed to this model; commit it first")
            if changed := originals.changed(model):
                raise UpdateError(
                    f"{', '.join(changed)} changed after this update was committed; "
                    "revert later updates first, in the opposite order"
                )
            originals.restore(model)

    def committed(self, model: nn.Module) -> bool:
        """Whether it is in the model."""
        return self in state_of(model).commits

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Have the update in the model for the block, and then out again, whatever ends it.

        Raises:
            UpdateError: as :meth:`commit` and :meth:`revert`.
        """
        if self.committed(model):
            raise UpdateError("this update is committed to this model already; revert it before applying it")
        with ending_with(lambda: self.revert(model) if self.committed(model) else None):
            self.commit(model)
            yield

    def __repr__(self) -> str:
        """The algorithm, the number of facts and of weights."""
        return f"<WeightUpdate{self._named()}: {len(self.deltas)} weight{'s' * (len(self.deltas) != 1)}>"

    def _repr_html_(self) -> str:
        rows = [(name, " x ".join(map(str, delta.shape)), f"{delta.norm():.3g}") for name, delta in self.deltas.items()]
        return html_table(f"WeightUpdate{self._named()}", ("weight", "shape", "norm"), rows)

    def _named(self) -> str:
        algorithm, facts = self.info.get("algorithm"), self.info.get("facts")
        return f" of {algorithm}, {len(facts)} fact{'s' * (len(facts) != 1)}" if algorithm and facts else ""

    def norms(self) -> dict[str, float]:
        """Frobenius norm of each delta, by module name."""
        return {name: delta.norm() for name, delta in self.deltas.items()}

    def sizes(self, model: nn.Module) -> dict[str, float]:
        """‖ΔW‖ / ‖W‖ in the Frobenius norm, by name of the projection.

        Args:
            model: without the update.

        Raises:
            UpdateError: the update belongs to another model.
        """
        weights = [(site, delta) for site, delta in self.targets(model) if isinstance(site, Projection)]
        return {projection.name: delta.norm() / _norm(projection) for projection, delta in weights}

    def scaled(self, factor: float) -> WeightUpdate:
        """The update with every delta multiplied by ``factor``."""
        deltas = {name: delta.scaled(factor) for name, delta in self.deltas.items()}
        return WeightUpdate(deltas, dict(self.info), self.keys)

    def __add__(self, other: WeightUpdate) -> WeightUpdate:
        """Both updates as one; low-rank deltas of one module stay low-rank."""
        return WeightUpdate.total((self, other))

    @staticmethod
    def total(updates: Iterable[WeightUpdate]) -> WeightUpdate:
        """The sum of several updates, with the facts of all; of none, an update that changes nothing."""
        parts = tuple(updates)
        deltas: dict[str, Delta] = {}
        keys: dict[str, list[Tensor]] = {}
        for part in parts:
            for name, delta in part.deltas.items():
                deltas[name] = deltas[name].plus(delta) if name in deltas else delta
            for name, rows in part.keys.items():
                keys.setdefault(name, []).append(rows)
        joined = {name: torch.cat([rows.to(several[0].device) for rows in several]) for name, several in keys.items()}
        return WeightUpdate(deltas, _joined_info([part.info for part in parts]), joined)

    def save(self, folder: str | Path) -> None:
        """Write the update as safetensors and JSON; whatever is raised, the folder is there whole or as it was.

        Args:
            folder: made if need be; an update saved there before is replaced.

        Raises:
            SaveError: the folder holds other files as well, or cannot be written.
        """
        from safetensors.torch import save_file

        tensors = {
            f"{name}:{part}": tensor.detach().cpu().contiguous()
            for name, delta in self.deltas.items()
            for part, tensor in delta.tensors().items()
        } | {f"{name}:{_KEYS}": keys.detach().cpu().contiguous() for name, keys in self.keys.items()}
        manifest = {
            "format": FORMAT,
            "kinds": {name: delta.kind for name, delta in self.deltas.items()},
            _CHECKSUM: checksum_of(tensors),
            "info": self.info,
        }
        told = json.dumps(manifest, indent=2, ensure_ascii=False)
        refuse_others(folder, (_WEIGHTS, _MANIFEST))
        with placed(folder, overwrite=True) as draft:
            draft.mkdir()
            save_file(tensors, draft / _WEIGHTS)
            (draft / _MANIFEST).write_text(told, encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> WeightUpdate:
        """Read what :meth:`save` wrote.

        Raises:
            UpdateError: the folder holds no update, one that cannot be read, or one with numbers that are not finite or
                not those that were saved.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = Path(folder)
        try:
            manifest = dict(parsed_json((folder / _MANIFEST).read_text(encoding="utf-8")))
            tensors = load_file(folder / _WEIGHTS)
        except (OSError, TypeError, ValueError, RecursionError, SafetensorError) as error:
            raise UpdateError(
                f"{folder} holds no readable update ({error}); expected {_WEIGHTS} and {_MANIFEST}"
            ) from error
        if manifest.get("format") != FORMAT:
            raise UpdateError(f"{folder} has format {manifest.get('format')!r}; this version reads format {FORMAT}")
        whole = checksum_of(tensors)
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise UpdateError(
                    f"{folder}: {key} in {_WEIGHTS} has numbers that are infinite or not numbers; make the update anew"
                )
            name, _, part = key.rpartition(":")
            parts.setdefault(name, {})[part] = tensor
        keys = {name: rows.pop(_KEYS) for name, rows in parts.items() if _KEYS in rows}
        for part in ("kinds", "info"):
            if not isinstance(manifest.get(part), dict):
                raise UpdateError(f"{folder}: {part!r} is missing from {_MANIFEST}, or is no object; save it again")
        try:
            kinds, info = manifest["kinds"], manifest["info"]
            deltas = {name: Delta.load(kind, parts[name]) for name, kind in kinds.items()}
            for name, rows in keys.items():
                if name not in deltas or rows.ndim != 2 or rows.shape[1] != deltas[name].shape[1]:
                    raise UpdateError(f"{folder}: the keys of {name} do not go with its delta; save the update again")
            if manifest.get(_CHECKSUM, whole) != whole:
                raise UpdateError(f"{folder}: {_WEIGHTS} has other values than were saved")
            return cls(deltas, info, keys)
        except KeyError as error:
            raise UpdateError(f"{folder}: {error} is missing from {_WEIGHTS} or {_MANIFEST}; save it again") from error
        except UpdateError as error:
            raise UpdateError(f"{folder}: {error}; save it again") from error

    def to_peft(self, model: nn.Module, folder: str | Path) -> None:
        """Write a LoRA adapter that ``peft.PeftModel.from_pretrained(model, folder)`` loads without this package.

        Args:
            model: the model the update belongs to; its structure is read, nothing is written to it.
            folder: made if need be; an adapter saved there before is replaced.

        Raises:
            UpdateError: a delta is not low-rank, or does not fit the model; or none of them has a rank; or peft would
                put the adapter elsewhere, as into a mixture's experts for a dense block beside them.
            SaveError: the folder is the model's own, holds other files than an adapter's, or cannot be written.
        """
        base = getattr(model.config, "_name_or_path", None)
        refuse_base(folder, base)
        refuse_others(folder, ADAPTER)
        targets = self.targets(model)
        with placed(folder, overwrite=True) as draft:
            save_peft(model, targets, base, draft)

    def to_hf(self, model: nn.Module, tok: Tokenizer, folder: str | Path) -> None:
        """Write the edited model and its tokenizer as any transformers checkpoint; of gates it gets wider MLPs.

        The model is edited only while it is written, unless the update is committed to it already.

        Raises:
            UpdateError: a delta stands beside a packed weight, or has gates that no unit of this model's MLPs is, and a
                checkpoint cannot hold it; or the folder or the model's generation settings do not let one be written.
                The model was not edited then.
            SaveError: the folder is the model's own.
        """
        refuse_base(folder, getattr(model.config, "_name_or_path", None))
        targets = self.targets(model)
        check_unpacked(targets)
        if any(delta.beside for _, delta in targets):
            refuse_unheld(model)
        require_savable(model, folder)
        if self.committed(model):
            save_edited(model, tok, folder)
        else:
            with self.applied(model):
                save_edited(model, tok, folder)

    def targets(self, model: nn.Module) -> list[tuple[Site, Delta]]:
        """The projections of a model, and MLPs that something stands beside, each with its delta.

        Raises:
            UpdateError: one is missing, or of another shape.
        """
        anatomy = ModelAnatomy(model)
        sites: dict[str, Site] = {site.name: site for site in (*anatomy.projections, *anatomy.fused.values())}
        sites |= {mlp.name: mlp for mlp in anatomy.mlps.values() if mlp.name in self.deltas}
        unfit = {name for name, delta in self.deltas.items() if isinstance(sites.get(name), Mlp) and not delta.beside}
        missing = [name for name in self.deltas if name not in sites or name in unfit]
        if missing:
            raise UpdateError(f"the model has no {', '.join(missing)}; this update belongs to another architecture")
        targets = [(sites[name], delta) for name, delta in self.deltas.items()]
        for site, delta in targets:
            if delta.shape == (site.in_features, site.out_features) != delta.shape[::-1]:
                raise UpdateError(
                    f"the delta of {site.name} is (in, out) = {delta.shape}; a delta is (out, in), whichever way "
                    "the weight is stored: transpose it, or turn what is stored by projection.as_stored"
                )
            if delta.shape != (site.out_features, site.in_features):
                raise UpdateError(
                    f"{site.name} maps {site.in_features} to {site.out_features} features, but the "
                    f"delta is {delta.shape[1]} to {delta.shape[0]}; this update belongs to a model of another size"
                )
        return targets


def _joined_info(infos: list[dict[str, Any]]) -> dict[str, Any]:
    """Where a sum comes from: all facts in their order, and what each part says."""
    if len(infos) < 2:
        return dict(*infos)
    facts = [fact for info in infos for fact in info.get("facts", ())]
    return ({"facts": facts} if facts else {}) | {"parts": infos}


@torch.no_grad()
def _norm(projection: Projection) -> float:
    """‖W‖, not zero."""
    weight = projection.weight
    matrix = projection.matrix() if projection.quantized or weight.element_size() == 1 else weight
    norm = torch.linalg.vector_norm(matrix, dtype=torch.promote_types(matrix.dtype, torch.float32))
    return float(max(norm.item(), torch.finfo(torch.float32).tiny))
