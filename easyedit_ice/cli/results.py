"""Where an edit is saved: asked for, checked before the edit, and written after it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from easyedit_ice.checkpoints.gguf_files import GGUF_TYPES
from easyedit_ice.cli.console import working
from easyedit_ice.model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from torch import nn

    from easyedit_ice.edit.update import WeightUpdate


def add_results(parser: argparse.ArgumentParser) -> None:
    """Declare what may be saved, and how."""
    group = parser.add_argument_group("what is saved")
    group.add_argument("--save", metavar="FOLDER", help="save the update there")
    group.add_argument("--save-model", metavar="FOLDER", help="save the edited model there")
    group.add_argument("--save-gguf", metavar="FILE", help="save the edited model as GGUF; --model must be GGUF itself")
    group.add_argument(
        "--gguf-type", choices=GGUF_TYPES, default="F16", type=str.upper, help="type of the matrices that are written"
    )
    group.add_argument("--gguf-whole", action="store_true", help="write all of them so, not only those that changed")
    group.add_argument("--overwrite", action="store_true", help="replace results of an earlier edit that are there")


def check_places(arguments: argparse.Namespace, model: str) -> None:
    """Refuse what cannot be saved, before the model is loaded.

    Args:
        arguments: of the command.
        model: its name.

    Raises:
        SaveError: a place is taken, the model's own, or cannot be written to.
        UpdateError: the model is to be saved as GGUF, and is none.
    """
    from easyedit_ice.checkpoints.gguf_export import base_for
    from easyedit_ice.edit.destinations import refuse_base, refuse_existing, refuse_unwritable

    for path in _places(arguments):
        refuse_base(path, model)
        refuse_existing(path, arguments.overwrite)
        refuse_unwritable(path)
    if arguments.save_gguf:
        base_for(model, f"{arguments.save_gguf}.partial")


def check_model(arguments: argparse.Namespace, model: nn.Module, beside: bool) -> None:
    """Refuse what cannot be saved of this model, before it is edited.

    Args:
        arguments: of the command.
        model: as it was loaded.
        beside: whether the algorithm writes beside the weights.

    Raises:
        SaveError: there is no room, the folder is the model's own, or transformers would not write its settings.
        UpdateError: packed weights are to be saved as a checkpoint; or gates, which no checkpoint or GGUF file of such
            a model holds.
    """
    from easyedit_ice.checkpoints.gguf_export import refuse_gates
    from easyedit_ice.edit.destinations import refuse_base, refuse_unwritable, size_of
    from easyedit_ice.edit.wider_mlps import refuse_unheld
    from easyedit_ice.errors import UpdateError
    from easyedit_ice.model.anatomy import ModelAnatomy
    from easyedit_ice.model.saving import require_savable

    if arguments.save_model:
        require_savable(model, arguments.save_model)
        packed = [projection.name for projection in ModelAnatomy(model).projections if projection.quantized]
        if packed:
            raise UpdateError(
                f"{packed[0]} and others are packed: an edit beside them is no part of a checkpoint; use --save"
            )
        if beside:
            refuse_unheld(model)
    if arguments.save_gguf and beside:
        refuse_gates(model)
    for path in _places(arguments):
        refuse_base(path, getattr(model.config, "_name_or_path", None))
        refuse_unwritable(path, 0 if path == arguments.save else size_of(model))


def save(
    arguments: argparse.Namespace, name: str, update: WeightUpdate, model: nn.Module, tok: Tokenizer
) -> dict[str, str]:
    """Write what was asked for.

    Args:
        arguments: of the command.
        name: of the model.
        update: committed to the model.
        model: edited.
        tok: its tokenizer.

    Returns:
        what is where, by place.

    Raises:
        SaveError: something could not be written; its place is as it was.
    """
    from easyedit_ice.checkpoints.gguf_export import save_gguf
    from easyedit_ice.edit.destinations import placed

    saved = {}
    with working(not arguments.json):
        if arguments.save:
            with placed(arguments.save, arguments.overwrite) as folder:
                update.save(folder)
            saved[arguments.save] = "The update"
        if arguments.save_model:
            with placed(arguments.save_model, arguments.overwrite) as folder:
                update.to_hf(model, tok, folder)
            saved[arguments.save_model] = "The edited model"
        if arguments.save_gguf:
            with placed(arguments.save_gguf, arguments.overwrite) as file:
                written = save_gguf(model, name, file, dtype=arguments.gguf_type, whole=arguments.gguf_whole)
            saved[arguments.save_gguf] = f"The edited model ({len(written)} weights of it as {arguments.gguf_type})"
    return saved


def _places(arguments: argparse.Namespace) -> list[str]:
    return [path for path in (arguments.save, arguments.save_model, arguments.save_gguf) if path]
