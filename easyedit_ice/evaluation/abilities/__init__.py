"""Abilities that edits shall leave alone, scored by EleutherAI's lm-eval on the model in memory (docs/abilities.md)."""

from easyedit_ice.evaluation.abilities.ability import Ability
from easyedit_ice.evaluation.abilities.measure import Tasks, abilities
from easyedit_ice.evaluation.abilities.world_tasks import WORLD_TASKS, write_world_tasks

__all__ = ["WORLD_TASKS", "Ability", "Tasks", "abilities", "write_world_tasks"]
