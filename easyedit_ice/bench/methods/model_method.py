"""Methods that change a model: what they have in common is how everything is brought back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor, nn

from easyedit_ice.bench.methods.method import OURS_AT_A_FACT, THEIRS_AT_A_FACT, Edited, identity
from easyedit_ice.bench.methods.structure import Structure, pinned
from easyedit_ice.bench.methods.weights import BaseWeights
from easyedit_ice.data.easyedit_requests import RequestDict
from easyedit_ice.errors import RequestError, UpdateError
from easyedit_ice.model.tokenizer import Tokenizer

_RECORD = "record:"


class Engine(Protocol):
    """What writes facts into a model, without a way back.

    Attributes:
        hparams: its settings.
        batchable: whether it writes several facts together.
    """

    hparams: Any

    @property
    def batchable(self) -> bool:
        """See above."""
        ...

    def prepare(self) -> None:
        """Do what is done once, on the base model."""
        ...

    def edit(self, requests: Sequence[RequestDict], seed: int) -> nn.Module:
        """Write facts; what answers now. The process's random state stays as it was."""
        ...

    def take_out(self) -> nn.Module:
        """Take the last edit out, as its author does; what then answers.

        Raises:
            HostEditError: EasyEdit's code failed at it.
        """
        ...

    def memory(self, pinned: Mapping[int, Any]) -> Any:
        """What it remembers outside the model; copies refer to ``pinned`` objects, as ``deepcopy`` takes them."""
        ...

    def recall(self, memory: Any) -> None:
        """Remember what :meth:`memory` returned, and nothing else; once."""
        ...

    def records(self) -> dict[str, Tensor] | None:
        """What it remembers of edits, as tensors; ``None`` if it keeps edits in other ways."""
        ...

    def load_records(self, records: Mapping[str, Tensor]) -> None:
        """Remember what :meth:`records` returned."""
        ...


@dataclass(frozen=True)
class _Moment:
    """Everything an edit may change."""

    structure: Structure
    values: dict[str, Tensor]
    memory: Any


class ModelMethod:
    """A :class:`~easyedit_ice.bench.methods.method.Method` that edits a model.

    Args:
        name: as in tables.
        kind: ours or EasyEdit's.
        model: the base model.
        tok: its tokenizer.
        engine: what edits it.
        settings: all settings as plain values.
        preset: where they come from.
    """

    def __init__(
        self,
        name: str,
        kind: Literal["ours", "easyedit"],
        model: nn.Module,
        tok: Tokenizer,
        engine: Engine,
        settings: Mapping[str, Any],
        preset: str | None = None,
    ) -> None:
        self.name = name
        self.preset = preset
        self.kind = kind
        self.fact_errors = OURS_AT_A_FACT if kind == "ours" else THEIRS_AT_A_FACT
        self.model = model
        self.tok = tok
        self.hparams = engine.hparams
        self.batchable = engine.batchable
        self._settings = dict(settings)
        self._engine = engine
        self._modules = list(model.modules())
        self._weights = BaseWeights(model)
        structure = Structure(model, tok, self._modules)
        engine.prepare()
        structure.restore()
        self._base = self._moment()
        self._last: tuple[Edited, _Moment] | None = None

    def settings(self) -> dict[str, Any]:
        """All settings as plain values."""
        return dict(self._settings)

    def apply(self, requests: Sequence[RequestDict], seed: int) -> Edited:
        """Write facts, on top of those that are there; whatever is raised, all is as it was before.

        Raises:
            RequestError: there are several, and the method writes one at a time.
        """
        if len(requests) > 1 and not self.batchable:
            raise RequestError(f"{self.name} writes one fact at a time, but got {len(requests)}; apply it to each")
        before = self._moment()
        try:
            answering = self._engine.edit(requests, seed)
        except BaseException:
            self._return_to(before)
            raise
        answering.eval()
        if self._is_plain():
            before.structure.frame.restore_flags()
        before.structure.frame.restore_configuration()
        names = dict(answering.named_parameters())
        changed = [name for name in self._weights.changed_since(before.values) if name in names]
        edited = Edited(answering, {name: self._weights[name] for name in changed}, (identity,) * len(requests))
        self._last = edited, before
        return edited

    def take_out(self, edited: Edited) -> nn.Module:
        """Take the last edit out in the method's own way, which need not be exact; :meth:`undo` must follow."""
        self._before(edited)
        return self._engine.take_out().eval()

    def undo(self, edited: Edited) -> None:
        """Go back to the bits before the last :meth:`apply`."""
        self._return_to(self._before(edited))
        self._last = None

    def reset(self) -> None:
        """Go back to the base model, bit for bit, whatever happened."""
        self._return_to(self._base)
        self._base = self._moment()
        self._last = None

    def state(self) -> dict[str, Tensor] | None:
        """Tensors that differ from the base model, and what the method keeps in tensors of its own."""
        records = self._engine.records()
        if records is None or not self._is_plain():
            return None
        return self._weights.differing() | {f"{_RECORD}{name}": record for name, record in records.items()}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Go to a state that :meth:`state` returned."""
        self.reset()
        records = {name: tensor for name, tensor in tensors.items() if name.startswith(_RECORD)}
        self._weights.put({name: tensor for name, tensor in tensors.items() if name not in records})
        self._engine.load_records({name.removeprefix(_RECORD): tensor for name, tensor in records.items()})

    def _before(self, edited: Edited) -> _Moment:
        """The moment before the last edit.

        Raises:
            UpdateError: ``edited`` is not what it returned.
        """
        if self._last is None or self._last[0] is not edited:
            raise UpdateError(f"only the last edit of {self.name} can be undone, and once; call reset() for all")
        return self._last[1]

    def _moment(self) -> _Moment:
        structure = Structure(self.model, self.tok, self._modules)
        memo = pinned(self.model, self.tok, self._modules)
        return _Moment(structure, self._weights.differing(), self._engine.memory(memo))

    def _return_to(self, moment: _Moment) -> None:
        moment.structure.restore()
        self._weights.put(moment.values)
        self._engine.recall(moment.memory)

    def _is_plain(self) -> bool:
        """Whether the model consists of its own modules alone."""
        ids = {id(module) for module in self._modules}
        return all(id(module) in ids for module in self.model.modules())
