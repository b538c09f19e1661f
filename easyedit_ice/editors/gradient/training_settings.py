"""Settings of an algorithm that trains: what all of these share, and the choice of an adapter and of an objective.

An algorithm's class names its adapters and objectives, and inherits from their sections; each section lies beside what
it sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from torch import nn

from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.editors.gradient.adapters import AdapterSettings
from easyedit_ice.editors.gradient.earlier_keys import EARLIER
from easyedit_ice.editors.gradient.in_context import InContextSettings
from easyedit_ice.editors.gradient.neighbours import LocalitySettings
from easyedit_ice.editors.gradient.objectives import ObjectiveSettings, TargetSettings
from easyedit_ice.editors.gradient.protection.subspaces import ProtectionSettings
from easyedit_ice.editors.gradient.schedule import Schedule
from easyedit_ice.editors.gradient.targets import PlaceSettings
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.chat import Asking

AdaptersByName = Mapping[str, type[AdapterSettings]]
ObjectivesByName = Mapping[str, type[ObjectiveSettings]]


@dataclass
class TrainingHyperParams(LocalitySettings, TargetSettings, Schedule, PlaceSettings, EditHyperParams):
    """Settings of every algorithm that trains."""

    adapters: ClassVar[AdaptersByName] = {}
    """What may be trained, by name. Where there are several, the field ``adapter`` chooses."""
    objectives: ClassVar[ObjectivesByName] = {"ft": ObjectiveSettings}
    """Towards what, by name. Where there are several, the field ``objective`` chooses."""

    gentler = "lower step_drift (or lr, where it is set), name fewer layers, or raise locality_weight"
    stronger = "raise num_steps, lower stop_nll, or raise step_drift (or lr, where it is set)"
    wider = "raise random_prefixes"

    def check(self) -> None:
        """Refuse protection of an adapter that reads every input."""
        protected, kind = self.protected, self.trained.kind
        if protected is not None and not kind.protectable:
            raise HyperParamsError(
                f"protection is {protected.protection!r}, and {kind.__name__} reads every input; set protection: none"
            )

    @property
    def trained(self) -> AdapterSettings:
        """Of the adapter."""
        return self.section(self.adapters[_chosen(self, "adapter", self.adapters)])

    @property
    def towards(self) -> ObjectiveSettings:
        """Of the objective."""
        return self.section(self.objectives[_chosen(self, "objective", self.objectives)])

    @property
    def protected(self) -> ProtectionSettings | None:
        """Of protection; ``None`` where nothing is protected."""
        if not isinstance(self, ProtectionSettings) or self.protection == "none":
            return None
        return self.section(ProtectionSettings)

    @property
    def teaches_itself(self) -> bool:
        """In-context editing does."""
        return isinstance(self.towards, InContextSettings)

    def fitted(self, model: nn.Module, tok: Tokenizer, asking: Asking) -> dict[str, Any]:
        """Settings that follow from the model where they are left out."""
        return self.section(TargetSettings).fitted(model, tok, asking) | self.towards.fitted(model, tok, asking)

    def held_beside(self, in_features: int, out_features: int) -> int:
        """Bytes that an algorithm holds in training for a projection of this shape, besides what is trained."""
        return 0

    @classmethod
    def says_nothing(cls, name: str, value: Any) -> bool:
        """Of the settings that all of these algorithms once had: at the value that they had where nothing was said."""
        choices = {"adapter": cls.adapters, "objective": cls.objectives}
        if name in choices:
            return value in choices[name]
        return name in EARLIER and value == EARLIER[name]


def _chosen(hparams: TrainingHyperParams, name: str, choices: Mapping[str, Any]) -> str:
    """The name of an adapter or objective: what the field says, if there is a choice."""
    return getattr(hparams, name) if any(entry.name == name for entry in fields(hparams)) else next(iter(choices))
