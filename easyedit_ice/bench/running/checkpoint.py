"""Edited models on the disk: saved at the end of a stream, and loaded to be asked again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from easyedit_ice.bench.methods import Method
from easyedit_ice.book import EditBook
from easyedit_ice.book.edit_manifest import MANIFEST as BOOK_MANIFEST
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.checkpoints.names import is_known
from easyedit_ice.edit.base_model import Base, base_in, base_of, require_base
from easyedit_ice.edit.edited_checkpoint import save_edited
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import LedgerError, LoadingError, RunConfigError
from easyedit_ice.model.tokenizer import Tokenizer

CHECKPOINT = "checkpoint"


def save_checkpoint(folder: Path, method: Method) -> Path:
    """Save the edited model and its tokenizer as transformers does, in the run's folder.

    Raises:
        RunConfigError: the method keeps its edits elsewhere than in the model's parameters.
        LedgerError: the model could not be written.
    """
    if method.state() is None:
        raise RunConfigError(f"{method.name} keeps its edits outside the model's parameters; run it with save=false")
    target = folder / CHECKPOINT
    try:
        save_edited(method.model, method.tok, target)
    except OSError as error:
        raise LedgerError(
            f"{target} could not be written ({error}); make room and run the same command again"
        ) from error
    return target


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A model that was edited before.

    Attributes:
        model: edited.
        tok: its tokenizer.
        base: the unedited model's name; none if unknown.
        kind: what the checkpoint was: ``"model"``, ``"update"``, ``"book"`` or ``"adapter"``.
    """

    model: nn.Module
    tok: Tokenizer
    base: str | None
    kind: str


def load_checkpoint(path: str | Path, base: str | None, *, check_base: bool = True, **loading: Any) -> LoadedCheckpoint:
    """Load a saved model, a saved update, an edit book, or a PEFT adapter.

    Args:
        path: a folder of transformers, of :meth:`WeightUpdate.save`, of an edit book or of peft, a run's folder that
            holds a ``checkpoint``, or a ``.gguf`` file.
        base: name or folder of the unedited model, on which updates and adapters are put; a book names its own.
        check_base: refuse an update that says it was made on other weights than the base's.
        **loading: ``device`` and ``dtype``, as in hyperparameters.

    Raises:
        LoadingError: there is no such folder, it is none of these, or the base is needed and not given.
        OtherBaseError: the update was, or the book's edits were, made on another model.
        BookError: the book cannot be read.
    """
    folder = Path(path)
    folder = folder / CHECKPOINT if (folder / CHECKPOINT).is_dir() else folder
    if (folder / BOOK_MANIFEST).is_file():
        return _with_book(folder, base, check_base, loading)
    if (folder / "update.json").is_file():
        update = WeightUpdate.load(folder)
        model, tok = _load(_needed(base, folder, base_in(update.info)), loading)
        if check_base:
            remedy = "name that model with --model, or pass check_base=False (--other-base)"
            require_base(update.info, base_of(model, base), str(folder), remedy, stated=False)
        update.commit(model)
        return LoadedCheckpoint(model, tok, base, "update")
    if (folder / "adapter_config.json").is_file():
        model, tok = _load(_needed(base, folder), loading)
        return LoadedCheckpoint(_merged(model, folder), tok, base, "adapter")
    if not (folder / "config.json").is_file() and not is_known(str(folder)):
        raise LoadingError(
            f"{folder} holds no config.json of a model, no update.json of an update, no book.json of an edit "
            "book and no adapter_config.json of an adapter; give the folder of one of them"
        )
    model, tok = _load(str(folder), loading)
    return LoadedCheckpoint(model, tok, base, "model")


def _with_book(folder: Path, base: str | None, check_base: bool, loading: dict[str, Any]) -> LoadedCheckpoint:
    """The base of a book with the edits in it that are on."""
    book = EditBook.open(folder)
    name = base or book.base.name
    model, tok = _load(_needed(name, folder), loading)
    book.apply(model, check_base=check_base)
    return LoadedCheckpoint(model, tok, name, "book")


def _merged(model: nn.Module, folder: Path) -> nn.Module:
    """A model with an adapter of peft's in its weights.

    Raises:
        LoadingError: the adapter cannot be read, is of another form, or has no weight for a layer that it names.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils.save_and_load import load_peft_weights

    try:
        held = load_peft_weights(str(folder), device="cpu")
        tuned = PeftModel.from_pretrained(model, str(folder))
        wanted = get_peft_model_state_dict(tuned)
        strange, absent = sorted(held.keys() - wanted.keys()), sorted(wanted.keys() - held.keys())
        if not held or strange or absent:
            raise LoadingError(
                f"{folder} holds an adapter for other layers than {type(model).__name__} has: "
                f"{(strange or absent or ['nothing'])[0]} is {'not wanted' if strange else 'missing'}; give the model "
                "that it was made for with --model"
            )
        merged: nn.Module = tuned.merge_and_unload().eval()
        return merged
    except (LoadingError, MemoryError):
        raise
    # peft and safetensors meet files of strangers with whatever their parsing stumbles over.
    except Exception as error:
        raise LoadingError(
            f"{folder} holds no adapter that can be put into {type(model).__name__} ({type(error).__name__}: {error}); "
            "give a folder of peft's save_pretrained, and the model it was made for with --model"
        ) from error


def _load(name: str, loading: dict[str, Any]) -> tuple[nn.Module, Tokenizer]:
    return load_model(EditHyperParams(model_name=name, **loading))


def _needed(base: str | None, folder: Path, stated: Base | None = None) -> str:
    if base is None:
        which = "the model it was made for" if stated is None else f"the one it was made for, {stated.name},"
        raise LoadingError(f"{folder} is a change of a model, not a model; name {which} with --model")
    return base
