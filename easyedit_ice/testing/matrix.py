"""What becomes of an edit by every algorithm in every kind of model that transformers has.

Right is an edit after which the fact is likelier, and which is taken out to the bit; or an error of this package, which
says why there is none. Anything else is a failure.
"""

from __future__ import annotations

import logging
import multiprocessing
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import Any, Literal

import torch
from torch import Tensor, nn

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import EasyEditIceError, LoadingError
from easyedit_ice.testing.shrinking import in_dtype, tiny_decoder
from easyedit_ice.testing.tiny_models import FACTS, tokenizer
from easyedit_ice.text.rows import encode, predict

DTYPES = ("float32", "bfloat16")
Verdict = Literal["ok", "no better", "refused", "not made", "failed"]
_TRAINED = {"num_steps": 4, "lr": 1e-2, "locality_samples": 4, "continuation_samples": 2, "free_samples": 2, "rank": 4}
_MEASURING = "FastMEMIT"
_SOLVED = {"dynamic_multiplier": 1, "v_num_grad_steps": 4, "context_template_length_params": [[4, 2]]}


@dataclass(frozen=True)
class Cell:
    """A place in the matrix.

    Attributes:
        kind: of model, as its configuration calls it.
        dtype: of its weights.
        algorithm: by its name in the table.
    """

    kind: str
    dtype: str
    algorithm: str


@dataclass(frozen=True)
class Outcome:
    """What became of an edit.

    Attributes:
        verdict: ``"ok"``; ``"no better"`` for an edit that left the fact as unlikely, and was taken out to the bit;
            ``"refused"`` by an error of this package; ``"not made"`` for a model that cannot be made small;
            ``"failed"`` by anything else.
        name: of the error, if there was one.
        told: its message.
    """

    verdict: Verdict
    name: str = ""
    told: str = ""

    def as_dict(self) -> dict[str, str]:
        """As plain values."""
        return asdict(self)


def tried(cell: Cell) -> Outcome:
    """Make an edit, and take it out again."""
    try:
        model = in_dtype(_model(cell.kind), getattr(torch, cell.dtype))
    except LoadingError as error:
        return Outcome("not made", "LoadingError", str(error))
    try:
        return _edited(model, cell.algorithm)
    except EasyEditIceError as error:
        return Outcome("refused", type(error).__name__, str(error))
    # Whatever else comes out is what is looked for.
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome("failed", type(error).__name__, f"{str(error)[:300]} ({place.filename}:{place.lineno})")


def judged(cells: Iterable[Cell], seconds: float) -> Iterator[tuple[Cell, Outcome]]:
    """Try cells one after the other in a process of their own, which is ended where one takes too long.

    Args:
        cells: in an order in which those of one kind follow each other.
        seconds: most for each; ten times as much for the first of a process, which loads what all of them use.
    """
    worker = None
    absent: dict[str, Any] = {}
    for cell in cells:
        if cell.kind in absent:
            yield cell, absent[cell.kind]
            continue
        worker = worker or _Worker()
        outcome = worker.ask(cell, seconds)
        if outcome is None:
            worker.end()
            worker = None
            outcome = Outcome("failed", "hang", f"no answer within {seconds:g} s")
        if outcome.verdict == "not made":
            absent[cell.kind] = outcome
        yield cell, outcome
    if worker is not None:
        worker.end()


def quick_settings(algorithm: str) -> Mapping[str, Any]:
    """Settings under which an algorithm is done soon; of those in closed form, one measures second moments."""
    names = {name for name, *_ in ALGORITHMS[algorithm].hparams_class.describe()}
    wanted = _TRAINED | _SOLVED | {"mom2_adjustment": algorithm == _MEASURING}
    return {name: value for name, value in wanted.items() if name in names}


class _Worker:
    """A process that tries cells."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there,), daemon=True)
        self._process.start()
        self._warm = False
        there.close()

    def ask(self, cell: Cell, seconds: float) -> Outcome | None:
        """What became of a cell; ``None`` if it took too long, or the process died of it."""
        self._here.send(cell)
        waited, self._warm = seconds if self._warm else 10 * seconds, True
        try:
            return self._here.recv() if self._here.poll(waited) else None
        except EOFError:
            return None

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._here.close()


def _serve(there: Connection) -> None:
    import warnings

    import transformers

    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    logging.getLogger("easyedit_ice").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    while True:
        try:
            cell = there.recv()
        except EOFError:
            return
        there.send(tried(cell))


@lru_cache(maxsize=1)
def _model(kind: str) -> nn.Module:
    return tiny_decoder(kind)


def _edited(model: nn.Module, algorithm: str) -> Outcome:
    tok, hparams = tokenizer(), ALGORITHMS[algorithm].hparams_class(**quick_settings(algorithm))
    before = _bits(model)
    likely = _nll(model)
    update = solve(model, tok, FACTS[:1], hparams)
    if changed := _differing(model, before):
        return Outcome("failed", "changed", f"solve left other bits in {', '.join(changed[:3])}")
    update.commit(model)
    after = _nll(model)
    update.revert(model)
    if changed := _differing(model, before):
        return Outcome("failed", "inexact", f"revert left other bits in {', '.join(changed[:3])}")
    if after != after:
        return Outcome("failed", "nan", "the edited model's loss is not a number")
    return Outcome("ok" if after < likely else "no better", told=f"{likely:.3f} -> {after:.3f}")


@torch.no_grad()
def _nll(model: nn.Module) -> float:
    (request,) = EditRequest.prepare(FACTS[:1])
    return predict(model, [encode(tokenizer(), request.prompt, request.completion)]).nll().item()


def _bits(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def _differing(model: nn.Module, before: Mapping[str, Tensor]) -> list[str]:
    now = model.state_dict()
    if now.keys() != before.keys():
        return sorted(now.keys() ^ before.keys())
    return [name for name, tensor in now.items() if not _same(tensor, before[name])]


def _same(one: Tensor, other: Tensor) -> bool:
    first, second = (tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other))
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(first, second)
