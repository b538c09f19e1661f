"""``EditBook``: a folder of named edits of one base model, any of which can be put into it and taken out again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from torch import nn

from easyedit_ice.book.conflicts import contradictions
from easyedit_ice.book.edit_manifest import Manifest
from easyedit_ice.book.edits import EDITS, Edit
from easyedit_ice.book.folder import LOCK, BookFolder, Names
from easyedit_ice.book.solving import settings_of, solved
from easyedit_ice.book.stack import Held, Stack
from easyedit_ice.edit.base_model import base_of, require_base
from easyedit_ice.edit.destinations import refuse_base
from easyedit_ice.errors import BookConflictError, BookError, ExistsError
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.atomic_files import PREFIX

if TYPE_CHECKING:
    from easyedit_ice.edit.apply import Requests
    from easyedit_ice.edit.hparams import EditHyperParams


class EditBook(BookFolder):
    """Named edits of one base model, in a folder, and what of them is in which model.

    Use :meth:`create` or :meth:`open`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._stacks: WeakKeyDictionary[nn.Module, Stack] = WeakKeyDictionary()

    @classmethod
    def create(cls, folder: str | Path, model: nn.Module, *, name: str | None = None) -> EditBook:
        """Make a new, empty book.

        Args:
            folder: made if need be; it must not hold anything.
            model: the base, without any edit in it.
            name: by which the model is loaded; by default what its configuration says.

        Raises:
            ExistsError: the folder holds something.
            SaveError: it is the model's own, or one lies in the other.
        """
        book, base = cls(Path(folder)), base_of(model, name)
        refuse_base(book.folder, base.name)
        if book.folder.exists():
            names = [path.name for path in book.folder.iterdir()]
            others = [name for name in names if name not in (LOCK, EDITS) and not name.startswith(PREFIX)]
            if others:
                raise ExistsError(f"{folder} holds {others[0]}; open the book that is there, or name a new folder")
        book.folder.mkdir(parents=True, exist_ok=True)
        with book._locked():
            Manifest(base).save(book.folder)
        return book

    @classmethod
    def open(cls, folder: str | Path) -> EditBook:
        """A book that is there.

        Raises:
            BookError: the folder holds none.
            BookDamagedError: ``book.json`` is not as it was written.
        """
        book = cls(Path(folder))
        Manifest.load(book.folder)
        return book

    def within(self, model: nn.Module) -> tuple[str, ...]:
        """Names of the edits that this object has put into a model, the earliest first."""
        named = {edit.key: edit.name for edit in self.edits(self.names)}
        return tuple(named.get(held.key, held.key) for held in self._stack(model).edits)

    def apply(
        self, model: nn.Module, names: Names = None, *, check_base: bool = True, allow_conflicts: bool = False
    ) -> None:
        """Put edits into a model, above those that are in it; if that fails, the model is as it was.

        Args:
            model: the base, or the base with edits of this book in it.
            names: in this order; by default those that are on.
            check_base: refuse another model.
            allow_conflicts: also edits that contradict each other.

        Raises:
            BookError: there is none of a name, or one is in the model already.
            OtherBaseError: the model is another one, or somebody else's edits are in it.
            BookConflictError: two edits give one question different targets.
        """
        stack = self._stack(model)
        chosen = self.edits(names)
        there = {held.key for held in stack.edits}
        if twice := [edit.name for edit in chosen if edit.key in there]:
            raise BookError(f"{', '.join(twice)} is in the model already; undo it first, or name the others")
        self._check(model, chosen, check_base, allow_conflicts)
        stack.hold(model, (*stack.edits, *(Held(edit.key, edit.update) for edit in chosen)))

    def undo(self, model: nn.Module, names: Names = None) -> None:
        """Take edits out of a model again, in any order; the others stay, with the bits they would have without them.

        Args:
            model: that :meth:`apply` put them into.
            names: by default all that are in it.

        Raises:
            BookError: one is not in the model.
            UpdateError: somebody else has written to the same weights since; the model is left as it is.
        """
        stack = self._stack(model)
        within = {held.key for held in stack.edits}
        asked = () if names is None else self.edits(names)
        gone = within if names is None else {edit.key for edit in asked}
        if absent := [edit.name for edit in asked if edit.key not in within]:
            there = ", ".join(self.within(model)) or "no edit"
            raise BookError(f"{', '.join(absent)} is not in this model; {there} is")
        stack.hold(model, [held for held in stack.edits if held.key not in gone])

    @contextmanager
    def edited(
        self, model: nn.Module, names: Names = None, *, check_base: bool = True, allow_conflicts: bool = False
    ) -> Iterator[nn.Module]:
        """Have exactly these edits in a model for a while; then every tensor has the bits it had before.

        Also after an exception, and if somebody has written to the edited tensors in between. The arguments and errors
        are those of :meth:`apply`.
        """
        stack = self._stack(model)
        before, chosen = stack.edits, self.edits(names)
        self._check(model, chosen, check_base, allow_conflicts)
        stack.hold(model, [Held(edit.key, edit.update) for edit in chosen])
        try:
            yield model
        finally:
            stack.hold(model, before, whatever=True)

    def add_facts(
        self,
        name: str,
        model: nn.Module,
        tok: Tokenizer,
        facts: Requests,
        hparams: EditHyperParams,
        *,
        check_base: bool = True,
        overwrite: bool = False,
        verdict: bool = True,
    ) -> Edit:
        """Solve facts on the model with the edits before them that are on, and add the update.

        Args:
            name: as for :meth:`add`.
            model: the base; it is left as it was.
            tok: its tokenizer.
            facts: as for :func:`easyedit_ice.solve`.
            hparams: and the algorithm's settings.
            check_base: as for :meth:`apply`.
            overwrite: as for :meth:`add`; the edit that is replaced, and those after it, are left out while solving.
            verdict: find out what the edit does, and keep that with it.

        Raises:
            BookError: as for :meth:`add`, and all that :func:`easyedit_ice.solve` raises.
        """
        if name in self.names and not overwrite:
            raise BookError(f"the book has an edit {name!r} already; choose another name, or overwrite it")
        before = self.names[: self.names.index(name)] if name in self.names else self.names
        with self.edited(
            model, [edit for edit in before if edit in self.on], check_base=check_base, allow_conflicts=True
        ):
            update = solved(model, tok, facts, hparams, verdict)
        origin = {
            "base": asdict(self.base if check_base else base_of(model)),
            "solved_with": [edit.key for edit in self.edits(before) if edit.on],
        }
        update = replace(update, info=update.info | origin)
        return self.add(name, update, check_base=check_base, overwrite=overwrite)

    def replay(
        self, model: nn.Module, tok: Tokenizer, *, check_base: bool = True, verdict: bool = True
    ) -> Iterator[str]:
        """Solve the edits that are :attr:`stale` anew, one by one, each on the model with those before it that are on.

        Facts, algorithm and settings are those the edits were made with. An edit that is done is in the book; what is
        left can be replayed later.

        Args:
            model: the base; it is left as it was.
            tok: its tokenizer.
            check_base: as for :meth:`apply`.
            verdict: as for :meth:`add_facts`.

        Yields:
            the name of each edit before it is solved.

        Raises:
            BookError: an edit does not say how it was made.
        """
        while stale := self.stale:
            edit = self[stale[0]]
            settings = settings_of(edit)
            yield edit.name
            options = {"check_base": check_base, "overwrite": True, "verdict": verdict}
            self.add_facts(edit.name, model, tok, edit.facts, settings, **options)

    def require_base(self, model: nn.Module) -> None:
        """Refuse a model that is not the book's base.

        Raises:
            OtherBaseError: naming both.
        """
        weights = base_of(model)
        require_base(
            {"base": asdict(self.base)},
            weights,
            f"the book {self.folder}",
            "give the model it was made on, or pass check_base=False (--other-base)",
        )

    def _check(self, model: nn.Module, edits: Sequence[Edit], check_base: bool, allow_conflicts: bool) -> None:
        stack = self._stack(model)
        if check_base and not stack.edits:
            self.require_base(model)
        there = {held.key for held in stack.edits}
        together = [edit for edit in self.edits(self.names) if edit.key in there and edit not in edits]
        if not allow_conflicts and (conflicts := contradictions([*together, *edits])):
            raise BookConflictError(
                f"{'; '.join(map(str, conflicts))}; leave one of them out, or pass allow_conflicts=True "
                "(--allow-conflicts)"
            )

    def _stack(self, model: nn.Module) -> Stack:
        return self._stacks.setdefault(model, Stack())


@contextmanager
def edited(model: nn.Module, book: EditBook | str | Path, names: Names = None, **options: Any) -> Iterator[nn.Module]:
    """Have exactly these edits of a book in a model for a while: :meth:`EditBook.edited`.

    Args:
        model: the base of the book.
        book: or its folder.
        names: in this order; by default those that are on.
        **options: ``check_base`` and ``allow_conflicts``.
    """
    opened = book if isinstance(book, EditBook) else EditBook.open(book)
    with opened.edited(model, names, **options):
        yield model
