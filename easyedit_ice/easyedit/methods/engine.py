"""EasyEdit's own methods as engines: facts in, an edited model out, on the release and at head alike.

An engine keeps what EasyEdit keeps in module globals apart from other engines, draws what a method draws once before
the first edit, and passes a method what its EasyEdit would pass it. What it undoes is
as exact as EasyEdit's own code; to come back to the bit is the caller's.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from easyedit_ice.easyedit.locate import PACKAGE, host_info
from easyedit_ice.easyedit.methods.catalogue import HOST_METHODS
from easyedit_ice.easyedit.methods.host_spec import Apply, HostSpec
from easyedit_ice.easyedit.methods.module_globals import Memory
from easyedit_ice.easyedit.methods.own_undo import taken_out
from easyedit_ice.easyedit.methods.per_row import AskedAlone
from easyedit_ice.easyedit.methods.settings_fixes import locality_texts, name_checkpoints
from easyedit_ice.easyedit.moment_files import provide_statistics
from easyedit_ice.easyedit.plugin.registration import editor_of
from easyedit_ice.easyedit.plugin.undo_on_failure import named_failures
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.captured_output import logged_prints
from easyedit_ice.runtime.randomness import seeded

_PREPARING_SEED = 0


class HostMethod:
    """A method of EasyEdit with the model it edits.

    Args:
        name: one of :data:`~easyedit_ice.easyedit.methods.catalogue.HOST_METHODS`, but none that demonstrates.
        model: edited in place.
        tok: its tokenizer; its padding side is set to what the method wants.
        hparams: of EasyEdit's class; the method works on a copy.
        examples: requests of other facts, whose locality probes serve as texts that are to stay as they are.

    Raises:
        HyperParamsError: the method wants such texts, and no example has a locality probe.
        HostEditError: EasyEdit's code does not find its way in such a model.
    """

    def __init__(
        self, name: str, model: nn.Module, tok: Tokenizer, hparams: Any, examples: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        spec = HOST_METHODS[name]
        tok.padding_side = spec.padding_side
        editor = editor_of(model, tok, hparams)
        self.hparams = editor.hparams
        self._apply = editor.apply_algo
        self._model, self._tok, self._spec = model, tok, spec
        self._keeps = host_info().kind == "release"
        name_checkpoints(self.hparams)
        if spec.fit is not None:
            spec.fit(self.hparams, model)
        self._neighbours = _neighbour_texts(name, examples) if spec.keeps_texts else []
        owner = getattr(self._apply, "__self__", None)
        self._keeps_objects = owner is not None or spec.keeps_objects
        self._memory = Memory(owner, self.hparams, [part.globals for part, _, _ in self._parts()])
        self._wrapper: nn.Module | None = None
        self._last: tuple[Any, Any] = (None, None)

    @property
    def batchable(self) -> bool:
        """Whether EasyEdit has it write several facts together."""
        batch = sys.modules[f"{PACKAGE}.editors.batch_editor"].BatchEditor
        return bool(batch.is_batchable_method(self.hparams.alg_name))

    def prepare(self) -> None:
        """Draw and compute what the method would on its first edit, on the model as it is, before any edit."""
        with self._at_work(_PREPARING_SEED):
            for spec, apply, hparams in self._parts():
                provide_statistics(self._model, self._tok, hparams)
                for prepare in spec.first_use:
                    prepare(apply, self._model, self._tok, hparams)

    def edit(self, requests: Sequence[Mapping[str, Any]], seed: int) -> nn.Module:
        """Write facts on top of those that are there.

        Args:
            requests: EasyEdit's request dicts.
            seed: of everything random.

        Returns:
            what answers now: the model, or a wrapper around it.

        Raises:
            HostEditError: EasyEdit's code failed.
        """
        if hasattr(self.hparams, "batch_size"):
            self.hparams.batch_size = len(requests)
        with self._at_work(seed), named_failures(self.hparams.alg_name):
            edited, copies = self._apply(
                self._wrapper or self._model,
                self._tok,
                [self._completed(request, seed) for request in requests],
                self.hparams,
                copy=False,
                return_orig_weights=True,
                keep_original_weight=self._keeps,
            )
        self._last = edited, copies
        return self._answering(edited)

    def take_out(self) -> nn.Module:
        """Take the last edit out as EasyEdit's editor does where edits do not stay; what then answers.

        Raises:
            HostEditError: EasyEdit's code failed.
        """
        with self._at_work(_PREPARING_SEED), named_failures(self.hparams.alg_name):
            left = taken_out(self.hparams.alg_name, self._model, *self._last)
        return self._answering(left)

    def _answering(self, left: Any) -> nn.Module:
        """What answers, of what EasyEdit's code left: the model itself, or a wrapper."""
        if self._spec.returns_wrapper:
            self._wrapper, left = left, left.model
        return AskedAlone(left, self._model) if self._spec.asked_alone and left is not self._model else left

    def memory(self, pinned: Mapping[int, Any]) -> Any:
        """What the method remembers of edits, for :meth:`recall`; ``pinned`` as ``deepcopy`` takes its memo."""
        return self._memory.taken(pinned), self._wrapper

    def recall(self, memory: Any) -> None:
        """Remember what :meth:`memory` returned, and nothing else; once."""
        taken, self._wrapper = memory
        self._memory.put(taken)
        self._last = None, None

    def records(self) -> dict[str, Tensor] | None:
        """What the method remembers of edits, if that is tensors; ``None`` if it is objects."""
        return None if self._keeps_objects else self._memory.tensors()

    def load_records(self, records: Mapping[str, Tensor]) -> None:
        """Remember what :meth:`records` returned."""
        self._memory.load_tensors(records)

    def _parts(self) -> list[tuple[HostSpec, Apply, Any]]:
        """The method and, if it wraps another one, that too: what we know of each, its function and its settings."""
        parts = [(self._spec, self._apply, self.hparams)]
        if hasattr(self.hparams, "base_method"):
            name, table = self.hparams.base_method, sys.modules[f"{PACKAGE}.util.alg_dict"].ALG_DICT
            parts.append((HOST_METHODS[name], table[name], self.hparams.base_hparams))
        return parts

    def _completed(self, request: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """The request with what DPO and WISE want besides: what not to say, and a text to keep."""
        neighbour = random.Random(f"{seed} {request['prompt']}").choice(self._neighbours) if self._neighbours else None
        return {"target_neg": request.get("ground_truth"), "loc_prompt": neighbour, **request}

    @contextmanager
    def _at_work(self, seed: int) -> Iterator[None]:
        with self._memory.in_place(), seeded(seed, self._model), logged_prints():
            yield


def _neighbour_texts(name: str, examples: Iterable[Mapping[str, Any]]) -> list[str]:
    """Texts that are to stay as they are."""
    texts = [text for example in examples for text in locality_texts(example)]
    if not texts:
        raise HyperParamsError(f"{name} wants texts to keep as they are: give example facts with locality probes")
    return texts
