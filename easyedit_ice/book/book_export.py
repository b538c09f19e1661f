"""Models and adapters with some edits of a book in them, for other software; each with a card and a record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from easyedit_ice.book.book import EditBook
from easyedit_ice.book.card import Kind, card, record
from easyedit_ice.book.edits import Edit
from easyedit_ice.book.folder import Names
from easyedit_ice.book.places import RECORD, require_free
from easyedit_ice.checkpoints.gguf_export import save_gguf
from easyedit_ice.checkpoints.gguf_files import GgufType
from easyedit_ice.edit.destinations import refuse_base
from easyedit_ice.edit.edited_checkpoint import save_edited
from easyedit_ice.edit.peft_export import check_unpacked
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import BookError, ExistsError
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.atomic_files import whole_folder, whole_path

CARD = "README.md"


def export_hf(
    book: EditBook,
    model: nn.Module,
    tok: Tokenizer,
    folder: str | Path,
    names: Names = None,
    *,
    overwrite: bool = False,
    **checks: bool,
) -> tuple[Edit, ...]:
    """Write the edited model and its tokenizer as any transformers checkpoint: the bits that ``apply`` gives.

    Args:
        book: of edits.
        model: its base; it is left as it was.
        tok: its tokenizer.
        folder: made; it must not be there.
        names: edits in this order; by default those that are on.
        overwrite: replace an earlier export.
        **checks: as for :meth:`EditBook.edited`.

    Raises:
        ExistsError: the folder is there, or the book's.
        SaveError: it is the base's own.
        UpdateError: a delta stands beside a packed weight, which such a checkpoint cannot hold.
        BookError: no edit is chosen, and what :meth:`EditBook.edited` raises.
    """
    with _exported(book, Path(folder), names, "hf", overwrite) as (draft, edits), book.edited(model, names, **checks):
        check_unpacked([target for edit in edits for target in edit.update.targets(model)])
        save_edited(model, tok, draft)
    return edits


def export_peft(
    book: EditBook,
    model: nn.Module,
    folder: str | Path,
    names: Names = None,
    *,
    overwrite: bool = False,
    **checks: bool,
) -> tuple[Edit, ...]:
    """Write the sum of the edits as one LoRA adapter, which peft loads without this package.

    The arguments and errors are those of :func:`export_hf`; deltas that are not low-rank raise ``UpdateError``.
    """
    with _exported(book, Path(folder), names, "peft", overwrite) as (draft, edits), book.edited(model, names, **checks):
        WeightUpdate.total(edit.update for edit in edits).to_peft(model, draft)
    return edits


def export_gguf(
    book: EditBook,
    model: nn.Module,
    path: str | Path,
    names: Names = None,
    *,
    dtype: GgufType = "F16",
    whole: bool = False,
    base: str | None = None,
    overwrite: bool = False,
    **checks: bool,
) -> tuple[Edit, ...]:
    """Write the edited model as GGUF, as :func:`~easyedit_ice.checkpoints.gguf_export.save_gguf` does.

    Args:
        book: of edits, on a base that is GGUF itself.
        model: its base; it is left as it was.
        path: of a file that ends in ``.gguf``; or of a folder, which gets the file, a card and a record.
        names: as for :func:`export_hf`.
        dtype: as for ``save_gguf``.
        whole: as there.
        base: the file or name the model was loaded from, if that is not what the book says.
        overwrite: replace an earlier export, or the file.
        **checks: as for :meth:`EditBook.edited`.
    """
    path, base = Path(path), base or book.base.name

    def write(file: Path) -> None:
        with book.edited(model, names, **checks):
            save_gguf(model, base, file, dtype=dtype, whole=whole)

    if path.suffix.lower() != ".gguf":
        with _exported(book, path, names, "gguf", overwrite) as (draft, edits):
            write(draft / f"{Path(base).stem}-edited.gguf")
        return edits
    edits = _chosen(book, path, names, overwrite)
    with whole_path(path, replace=overwrite) as draft:
        write(draft)
    return edits


@contextmanager
def _exported(
    book: EditBook, folder: Path, names: Names, kind: Kind, overwrite: bool
) -> Iterator[tuple[Path, tuple[Edit, ...]]]:
    """A folder to export into, and the edits; card and record come last, and the folder is put in place at once."""
    edits = _chosen(book, folder, names, overwrite)
    with whole_folder(folder, replace=overwrite) as draft:
        yield draft, edits
        (draft / CARD).write_text(card(book.base, edits, kind), encoding="utf-8")
        told = json.dumps(record(book.base, edits, kind), indent=1, ensure_ascii=False)
        (draft / RECORD).write_text(told + "\n", encoding="utf-8")


def _chosen(book: EditBook, path: Path, names: Names, overwrite: bool) -> tuple[Edit, ...]:
    """The edits to export, if something can be written there."""
    refuse_base(path, book.base.name)
    target, source = path.expanduser().resolve(), book.folder.resolve()
    if target == source or target in source.parents or source in target.parents:
        raise ExistsError(f"{path} and the book {book.folder} lie in one another; choose another place")
    require_free(path, overwrite)
    edits = book.edits(names)
    if not edits:
        raise BookError("there is no edit to export: none is on; name some, or switch some on")
    return edits
