"""What is protected of each projection's input: where general text lies, and the keys of edits that are in the model.

What is kept of a row a is a P with P = I − F Fᵀ, and F (in, k) is all that is stored.

``hard``: P projects onto what is orthogonal to the leading directions of general text, up to an energy, and to those of
each edit's keys. This is GPM (Saha et al. 2021, arXiv 2103.09762) with F = Q, orthonormal.

``soft``: P = (I + C / α + Kᵀ K / β)⁻¹, where C is the second moment of general text and the rows of K are all edits'
keys, both in units of the mean of C's diagonal: a direction gives way by how much it is used, as in orthogonal weight
modification (Zeng et al. 2019, arXiv 1810.01256) and AlphaEdit's weighing. An edit's keys are added by Woodbury's
identity, P′ = P − P Kᵀ (β I + K P Kᵀ)⁻¹ K P, that is, by further columns of F. What a single solve protects besides is
added in the same way, with a softness γ of its own, and is not remembered.

Shapes: in is the width of a projection's input, k the columns of F, n an edit's keys.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import is_
from typing import cast

import torch
from torch import Tensor, nn

from easyedit_ice.edit.history import edits_in
from easyedit_ice.edit.hparams import Section, setting
from easyedit_ice.editors.gradient.protection.fact_keys import text_keys
from easyedit_ice.editors.gradient.protection.outputs import WritingSettings, unwritten
from easyedit_ice.editors.gradient.protection.projector import leading, outside, softened
from easyedit_ice.model.activation_memory import FP32
from easyedit_ice.model.anatomy import Projection
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.model.edit_state import Keys, state_of
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.corpora import AUTO
from easyedit_ice.precompute.moments import Measuring, moments
from easyedit_ice.text.rows import Row

logger = logging.getLogger(__name__)

PROTECTIONS = ("none", "hard", "soft")
MOST = 1024
"""Most directions of general text that are protected unless the settings name another number."""
SLACK = 1.25
"""How many times the columns that are allowed F may have for a while, so that it is not compressed at every edit."""
_ROUNDED = 1e-6
"""Share of a key's energy that is lost where directions are kept in fp32."""
_SMALL = 1e-4
"""Directions of less than this share of a key are rounding."""


@dataclass(unsafe_hash=True)
class SubspaceSettings(Section):
    """How directions of inputs are protected from being read; what is made by equal settings is made once."""

    protection: str = setting(
        "none",
        "of general text and of earlier edits: none, hard (leading directions are not read at all), or soft (each "
        "direction the less, the more it is used)",
        choices=PROTECTIONS,
    )
    protected_energy: float = setting(0.9, "hard: share of general text's energy that is protected", above=0, high=1)
    protected_rank: int | None = setting(
        None, "most directions of general text; None for 1024, and hard for a quarter of the inputs at most", low=1
    )
    softness: float = setting(
        0.001, "soft: energy, in units of general text's mean direction, of a direction that is half protected", above=0
    )
    memory_softness: float = setting(1.0, "soft: the same for the energy of a key of an earlier edit", above=0)
    memory_energy: float = setting(
        0.95, "hard: share of an earlier edit's keys' energy that is protected", above=0, high=1
    )
    memory_rank: int | None = setting(
        None, "most protected directions in all; None for the number of inputs, and hard for half of it", low=1
    )
    mom2_dataset: str = setting(AUTO, "general text, as FastMEMIT names it")
    dynamic_multiplier: int = setting(3, "tokens of it for each input of a projection", low=1)

    @property
    def measuring(self) -> Measuring:
        """What general text is."""
        return Measuring(self.mom2_dataset, dynamic_multiplier=self.dynamic_multiplier)

    def general(self, moment: Tensor) -> Tensor:
        """F of general text alone, from its second moment (in, in): (in, k)."""
        width = len(moment)
        most = self.protected_rank or min(MOST, width // 4 if self.protection == "hard" else width)
        if self.protection == "hard":
            return leading(moment, self.protected_energy, most)
        return softened(moment, self.softness, most)

    def extended(self, factor: Tensor, keys: Tensor, scale: float) -> Tensor:
        """F with an edit's keys protected as well.

        Args:
            factor: F (in, k).
            keys: (n, in).
            scale: mean of the diagonal of general text's second moment.
        """
        return self._compressed(self._joined(factor, keys, scale, self.memory_softness))

    def beside(self, factor: Tensor, keys: Tensor, scale: float, softness: float) -> Tensor:
        """F of a single solve, that has some texts' keys protected as well; it may have up to ``in`` more columns.

        Args:
            factor: F (in, k).
            keys: (n, in).
            scale: as for :meth:`extended`.
            softness: γ, soft: energy of a direction of these keys that is half protected.
        """
        if len(keys) > keys.shape[1]:  # fewer rows, of the same Kᵀ K
            keys = torch.linalg.qr(keys.double()).R
        return self._joined(factor, keys, scale, softness)

    def _joined(self, factor: Tensor, keys: Tensor, scale: float, softness: float) -> Tensor:
        """F and the columns that keys add to it."""
        unread = outside(keys.double() / scale**0.5, factor.double())
        if self.protection == "hard":
            added = self._leading(unread, factor.double())
        else:
            rows = keys.double() / scale**0.5
            inner = unread @ rows.T
            energies, directions = torch.linalg.eigh((inner + inner.T) / 2)
            left = energies > _ROUNDED * rows.square().sum()  # of the others F's rounding is all that is left
            weights = (energies[left] + softness).rsqrt()
            added = (directions[:, left] * weights).T @ unread
        return torch.cat([factor, added.T.float()], dim=1)

    def _leading(self, unread: Tensor, factor: Tensor) -> Tensor:
        """Orthonormal directions of the keys' unprotected part, up to the energy asked for: (directions, in)."""
        energies, directions = torch.linalg.eigh(unread @ unread.T)
        energies, directions = energies.flip(0), directions.flip(1)
        most = int((energies > _SMALL * energies.sum()).sum())
        needed = int((energies.cumsum(0) / energies.sum() < self.memory_energy).sum()) + 1
        chosen = torch.linalg.qr((directions[:, : min(needed, most)].T @ unread).T).Q.T
        leading: Tensor = torch.linalg.qr(outside(chosen, factor).T).Q.T
        return leading

    def _compressed(self, factor: Tensor) -> Tensor:
        """F with no more columns than are allowed; what is dropped is logged."""
        width, columns = factor.shape
        most = min(self.memory_rank or (width // 2 if self.protection == "hard" else width), width)
        if self.protection == "hard":
            if columns > most:
                logger.warning(
                    "%d directions are protected and memory_rank allows no more; %d are free", most, columns - most
                )
            return factor[:, :most]
        if columns <= SLACK * most:
            return factor
        # of F Fᵀ, since a singular value decomposition fails to converge on so many values near 1
        energies, directions = torch.linalg.eigh(factor.double() @ factor.double().T)
        energies = energies.flip(0).clamp(0.0, 1.0)  # beyond is rounding, which would grow from edit to edit
        if (lost := float(energies[most:].sum())) > _SMALL:
            logger.warning(
                "memory_rank keeps %d directions; those of least strength, %.3g in all, are free", most, lost
            )
        compressed: Tensor = (directions.flip(1) * energies.sqrt())[:, :most].float().contiguous()
        return compressed


@dataclass(frozen=True)
class Beside:
    """What a single solve protects besides.

    Attributes:
        keys: (n, in) of each projection, by name.
        softness: γ, as :meth:`SubspaceSettings.beside` has it.
    """

    keys: Mapping[str, Tensor]
    softness: float


@dataclass(frozen=True)
class _Folded:
    """What has been made of the edits of a model so far."""

    edits: tuple[Keys, ...]
    factors: Mapping[str, Tensor]

    def begins(self, edits: Sequence[Keys]) -> bool:
        """Whether these edits are those it was made of, and later ones."""
        return len(self.edits) <= len(edits) and all(map(is_, self.edits, edits))


def general_subspaces(
    model: nn.Module, tok: Tokenizer, names: Sequence[str], settings: SubspaceSettings
) -> dict[str, tuple[Tensor, float]]:
    """F and the mean of the second moment's diagonal, of general text alone; found once, on the unedited model."""
    cache = baseline_of(model).tables["subspaces"]
    missing = [name for name in names if (name, settings) not in cache]
    if missing:
        for name, (moment, _) in moments(model, tok, missing, settings.measuring).items():
            cache[name, settings] = settings.general(moment), float(moment.diagonal().mean())
    return {name: cache[name, settings] for name in names}


def subspaces(
    model: nn.Module,
    tok: Tokenizer,
    projections: Sequence[Projection],
    settings: SubspaceSettings,
    beside: Beside | None = None,
) -> dict[str, Tensor]:
    """F (in, k) of each projection, by name, with all edits that are in the model, on the projection's device.

    Args:
        model: that is edited.
        tok: its tokenizer.
        projections: of the model.
        settings: how directions are protected.
        beside: what is protected this once, and not in later calls.

    Raises:
        DamagedFileError: a stored second moment is damaged.
        DataError: there is no such general text, or not enough of it.
    """
    names = tuple(projection.name for projection in projections)
    general = general_subspaces(model, tok, names, settings)
    edits = edits_in(model)
    by_settings = state_of(model).derived.setdefault("subspaces", {})
    folded = by_settings.get((names, settings))
    if folded is None or not folded.begins(edits):
        folded = _Folded((), {name: factor for name, (factor, _) in general.items()})
    factors = dict(folded.factors)
    for keys in edits[len(folded.edits) :]:
        for name in factors.keys() & keys.keys():
            factors[name] = settings.extended(factors[name], keys[name].cpu(), general[name][1])
    by_settings[names, settings] = _Folded(edits, dict(factors))
    if beside is not None:
        for name, read in beside.keys.items():
            factors[name] = settings.beside(factors[name], read.cpu(), general[name][1], beside.softness)
    return {projection.name: factors[projection.name].to(projection.module.weight.device) for projection in projections}


@dataclass(unsafe_hash=True)
class ProtectionSettings(WritingSettings, SubspaceSettings):
    """What is kept as it is, by construction: directions of inputs that the change must not read, and of outputs that
    it must not write."""

    neighbour_softness: float | None = setting(
        None,
        "soft: the same for the energy of what is read where the prompt has other names in place of the subject, as "
        "neighbour_weight chooses them, or the subject's first words; hard protects memory_energy of it, whatever the "
        "number; None for nothing of it",
        above=0,
    )
    least_gradient: float = setting(
        0.2, "hard: protection gives way where it would leave less than this share of the gradient", low=0, high=1
    )

    @property
    def prices_outputs(self) -> bool:
        """Whether it is measured what general text's predictions depend on."""
        return self.turns(self.protection == "hard")

    @property
    def protects_neighbours(self) -> bool:
        """Whether protection is of texts about other names than the facts' as well."""
        return self.neighbour_softness is not None

    def prepare_protection(self, model: nn.Module, tok: Tokenizer, projections: Sequence[Projection]) -> None:
        """Find what is protected of general text, on the model before any edit."""
        names = [projection.name for projection in projections]
        general_subspaces(model, tok, names, self.section(SubspaceSettings))
        self.unwritten(model, tok, projections)

    def unwritten(self, model: nn.Module, tok: Tokenizer, projections: Sequence[Projection]) -> dict[str, Tensor]:
        """F (out, k) of each projection, by name: what steps do not write; none where they may write anything."""
        own = self.section(WritingSettings)
        return unwritten(model, tok, projections, own, self.measuring, self.protection == "hard")

    def factors(
        self, model: nn.Module, tok: Tokenizer, projections: Sequence[Projection], rows: Sequence[Row]
    ) -> dict[str, Tensor]:
        """F (in, k) of each projection, by name, with what is read of some texts protected this once."""
        names = [projection.name for projection in projections]
        beside = Beside(text_keys(model, rows, names), cast("float", self.neighbour_softness)) if rows else None
        return subspaces(model, tok, projections, self.section(SubspaceSettings), beside)

    def held_bytes(self, projections: Sequence[Projection], neighbours: int) -> int:
        """Directions (in, k) in fp32 of general text, on a model without earlier edits; each of those adds its keys.

        Neighbours add a direction for each of so many tokens, and no more than the projection has inputs. Beside them
        there are the outputs' directions, if any.
        """
        hard = self.protection == "hard"
        share = 4 if hard else 1
        read = neighbours if self.protects_neighbours else 0
        widths = [projection.in_features for projection in projections]
        return self.turned_bytes(projections, hard) + sum(
            FP32 * width * ((self.protected_rank or min(MOST, width // share)) + min(read, width)) for width in widths
        )
