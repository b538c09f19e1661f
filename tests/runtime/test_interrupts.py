"""Whatever strikes, and wherever: a model is as it was, or it is edited and can be reverted, and never else."""

from __future__ import annotations

import copy
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from quick import CLOSED_FORM
from torch import nn

import easyedit_ice
from easyedit_ice.edit import originals
from easyedit_ice.edit import update as updates
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.history import edits_in
from easyedit_ice.edit.originals import OriginalWeights
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import UpdateError
from easyedit_ice.model.edit_state import ATTRIBUTE, state_of
from easyedit_ice.model.snapshot import Frame, preserved
from easyedit_ice.runtime.interrupts import ending_with, finish, held_back
from easyedit_ice.runtime.randomness import drawing, generator_on, lent_to_libraries, process_state_kept, seeded
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

PACKAGE = str(Path(easyedit_ice.__file__).parent)
QUICK = {"num_steps": 2, "rank": 2}


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as in a terminal: what runs in the background may have been started with it switched off."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


SETTINGS: dict[str, dict[str, Any]] = {
    "LoRA-BF": QUICK,
    "SVF": {"num_steps": 2},
    "FastMEMIT": CLOSED_FORM | {"layers": [0, 1]},
    "GoRA": QUICK,
    "DoRA": QUICK,
}
ERRORS = (KeyboardInterrupt, MemoryError)


class Lines:
    """Counts the lines of the package that are executed, and raises at one of them.

    Args:
        error: what to raise.
        at: the number of the line, from 1; 0 for none.
    """

    def __init__(self, error: type[BaseException] = RuntimeError, at: int = 0) -> None:
        self.count, self._error, self._at = 0, error, at

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the block."""
        others = sys.gettrace()
        sys.settrace(self._call)
        try:
            yield
        finally:
            sys.settrace(others)

    def _call(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        return self._line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _line(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        if event == "line":
            self.count += 1
            if self.count == self._at:
                raise self._error(f"line {frame.f_lineno} of {frame.f_code.co_filename}")
        return self._line


@cache
def _update(algorithm: str) -> WeightUpdate:
    hparams = ALGORITHMS[algorithm].hparams_class(**SETTINGS[algorithm])
    return solve(SHAPES[0].build(), tokenizer(), [FACTS[0]], hparams)


def _struck_everywhere(action: Callable[[], object], ready: Callable[[], None], check: Callable[[], None]) -> int:
    """Raise each error at each line of an action; the number of lines.

    Args:
        action: what is struck.
        ready: brings everything to where the action begins.
        check: of what is there after the exception.
    """
    ready()
    action()  # what is done once is done
    ready()
    lines = Lines()
    with lines.watched():
        action()
    usual = signal.getsignal(signal.SIGINT)
    for error in ERRORS:
        for number in range(1, lines.count + 1):
            ready()
            with pytest.raises(error, match=r"^line \d+ of"), Lines(error, number).watched():
                action()
            assert signal.getsignal(signal.SIGINT) is usual
            check()
    return lines.count


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", SETTINGS)
def test_a_commit_struck_at_any_line_has_not_been_or_can_be_reverted(algorithm: str) -> None:
    model, update = SHAPES[0].build(), _update(algorithm)
    before = state(model)
    update.commit(model)
    edited = state(model)

    def ready() -> None:
        if update.committed(model):
            update.revert(model)

    def check() -> None:
        assert state(model) == (edited if update.committed(model) else before)
        assert edits_in(model) == ((update.keys,) if update.committed(model) and update.keys else ())
        ready()
        assert state(model) == before
        assert edits_in(model) == ()

    assert _struck_everywhere(lambda: update.commit(model), ready, check) >= 500


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_a_revert_struck_at_any_line_has_been_or_can_be_done_again(algorithm: str) -> None:
    model, update = SHAPES[0].build(), _update(algorithm)
    before = state(model)
    update.commit(model)
    edited = state(model)

    def ready() -> None:
        if not update.committed(model):
            update.commit(model)

    def check() -> None:
        assert state(model) == (edited if update.committed(model) else before)
        if update.committed(model):
            update.revert(model)
        assert state(model) == before
        assert edits_in(model) == ()

    assert _struck_everywhere(lambda: update.revert(model), ready, check) >= 80


def test_the_lock_of_a_model_is_free_again_wherever_an_edit_is_struck() -> None:
    model, update = SHAPES[0].build(), _update("LoRA-BF")

    def ready() -> None:
        if update.committed(model):
            update.revert(model)

    def check() -> None:
        free: list[bool] = []

        def other() -> None:
            with state_of(model).in_use():
                free.append(True)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert free

    assert _struck_everywhere(lambda: update.commit(model), ready, check) >= 500


def _contents(model: nn.Module) -> dict[str, Any]:
    """Modules, and their attributes, children, hooks and parameters, in their order."""
    return {
        name: [
            (key, id(value), list(value.items()) if isinstance(value, dict) else None)
            for key, value in vars(module).items()
            if key != ATTRIBUTE
        ]
        for name, module in model.named_modules()
    }


def _small() -> tuple[nn.Module, Any]:
    """Some modules, since each of them is many lines of work."""
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Linear(2, 2))
    model.config = SimpleNamespace(use_cache=True)
    return model, copy.deepcopy(tokenizer())


def _disturb(model: nn.Module, tok: Any) -> None:
    """Replace, remove and hook modules, and set attributes."""
    model[0][0] = nn.Identity()
    del model[0][1]
    model[1].register_forward_hook(lambda module, args, output: output)
    model[1].forward = lambda *args: None
    model.config.use_cache = not model.config.use_cache
    model.requires_grad_(False)
    model.eval()
    tok.padding_side = "right"


def _traits(model: nn.Module, tok: Any) -> Any:
    flags = [parameter.requires_grad for parameter in model.parameters()]
    return _contents(model), flags, copy.deepcopy(vars(model.config)), tok.padding_side


def test_a_preserved_model_is_as_it_was_whatever_line_is_struck() -> None:
    model, tok = _small()
    before, generators = _traits(model, tok), torch.get_rng_state()

    def action() -> None:
        with preserved(model, tok):
            _disturb(model, tok)
            torch.rand(1)

    def check() -> None:
        assert _traits(model, tok) == before
        assert torch.equal(torch.get_rng_state(), generators)

    assert _struck_everywhere(action, lambda: None, check) >= 400


def test_a_frame_struck_while_it_is_restored_is_restored_or_untouched() -> None:
    model, tok = _small()
    before, frame = _traits(model, tok), Frame(model, tok, list(model.modules()))
    disturbed: list[Any] = []

    def ready() -> None:
        frame.restore()
        _disturb(model, tok)
        disturbed[:] = [_traits(model, tok)]

    def check() -> None:
        assert _traits(model, tok) in (before, *disturbed)

    assert _struck_everywhere(frame.restore, ready, check) >= 300


def _count_interrupts() -> tuple[list[int], Callable[[], None]]:
    """A handler of the user's own, and what puts the usual one back."""
    seen: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    return seen, lambda: signal.signal(signal.SIGINT, usual)


def test_every_ctrl_c_that_is_held_back_reaches_the_users_own_handler_afterwards() -> None:
    seen, put_back = _count_interrupts()
    try:
        with held_back():
            with held_back():
                signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            assert seen == []
        assert seen == [signal.SIGINT] * 2
        signal.raise_signal(signal.SIGINT)
        assert len(seen) == 3
    finally:
        put_back()


def test_ctrl_c_comes_out_after_the_block_also_where_it_fails() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt) as caught, held_back():
        signal.raise_signal(signal.SIGINT)
        done.append(1)
        raise ValueError("the block failed")
    assert done == [1]
    assert isinstance(caught.value.__context__, ValueError)


def test_a_thread_that_gets_no_signals_holds_none_back() -> None:
    usual, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with held_back():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [usual]


@pytest.mark.parametrize("failures", [1, 2])
def test_the_first_of_several_exceptions_comes_out(failures: int) -> None:
    tried: list[int] = []

    def action() -> None:
        tried.append(1)
        if len(tried) <= failures:
            raise MemoryError

    with pytest.raises(KeyboardInterrupt), ending_with(action):
        raise KeyboardInterrupt
    assert len(tried) == 2
    tried.clear()
    with pytest.raises(MemoryError):
        finish(action)
    assert len(tried) == 2


def _interrupting(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, at: int) -> None:
    """Press Ctrl-C in the given call of a function."""
    original, calls = getattr(owner, name), []

    def interrupted(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == at:
            signal.raise_signal(signal.SIGINT)
        return original(*args)

    monkeypatch.setattr(owner, name, interrupted)


@pytest.mark.parametrize(("owner", "name"), [(OriginalWeights, "write"), (updates, "checksum")])
@pytest.mark.parametrize("at", [1, 2])
def test_ctrl_c_within_a_commit_undoes_it(owner: Any, name: str, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, update = SHAPES[0].build(), _update("FastMEMIT")
    before = state(model)
    with monkeypatch.context() as patch:
        _interrupting(patch, owner, name, at)
        with pytest.raises(KeyboardInterrupt):
            update.commit(model)
    assert not update.committed(model)
    assert state(model) == before
    update.commit(model)
    update.revert(model)
    assert state(model) == before


def test_ctrl_c_within_a_revert_lets_it_end(monkeypatch: pytest.MonkeyPatch) -> None:
    model, update = SHAPES[0].build(), _update("LoRA-BF")
    before = state(model)
    update.commit(model)
    with monkeypatch.context() as patch:
        _interrupting(patch, originals, "forget", 1)
        with pytest.raises(KeyboardInterrupt):
            update.revert(model)
    assert not update.committed(model)
    assert state(model) == before


def test_a_second_ctrl_c_while_the_first_is_cleaned_up_after_leaves_nothing_behind() -> None:
    model, tok = _small()
    before = _traits(model, tok)
    with pytest.raises(KeyboardInterrupt), preserved(model, tok):
        _disturb(model, tok)
        model.config.later = Interrupting()
        raise KeyboardInterrupt
    assert _traits(model, tok) == before


class Interrupting:
    """Presses Ctrl-C when it is taken away."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_an_update_is_in_the_model_for_a_block_and_no_longer() -> None:
    model, update = SHAPES[0].build(), _update("LoRA-BF")
    before = state(model)
    with pytest.raises(ZeroDivisionError), update.applied(model):
        assert state(model) != before
        1 / 0  # noqa: B018
    assert state(model) == before
    update.commit(model)
    edited = state(model)
    with pytest.raises(UpdateError, match="committed to this model already"), update.applied(model):
        pass
    assert state(model) == edited


def test_the_exception_of_a_block_comes_out_although_its_update_cannot_be_taken_out() -> None:
    model, update = SHAPES[0].build(), _update("LoRA-BF")
    with pytest.raises(ZeroDivisionError), update.applied(model):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1)
        1 / 0  # noqa: B018
    assert update.committed(model)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["LoRA-BF", "SVF", "FastMEMIT"])
def test_a_solve_struck_anywhere_leaves_the_model_and_the_process_as_they_were(algorithm: str) -> None:
    hparams = ALGORITHMS[algorithm].hparams_class(**SETTINGS[algorithm])
    model, tok, lines = SHAPES[0].build(), copy.deepcopy(tokenizer()), Lines()

    def action() -> None:
        solve(model, tok, [FACTS[0]], hparams)

    action()
    with lines.watched():
        action()
    before, generators, weights = _traits(model, tok), torch.get_rng_state(), state(model)
    for number in range(1, lines.count, lines.count // 12):
        with pytest.raises(KeyboardInterrupt, match=r"^line \d+ of"), Lines(KeyboardInterrupt, number).watched():
            action()
        assert _traits(model, tok) == before
        assert state(model) == weights
        assert torch.equal(torch.get_rng_state(), generators)
        assert state_of(model).edits == ()


def test_a_save_struck_at_any_line_leaves_the_earlier_update_or_the_new_one(tmp_path: Path) -> None:
    earlier, later = (WeightUpdate(_update("LoRA-BF").deltas, {"name": name}) for name in ("earlier", "later"))
    folder = tmp_path / "update"

    def check() -> None:
        loaded = WeightUpdate.load(folder)
        assert loaded.info["name"] in ("earlier", "later")
        assert loaded.norms() == earlier.norms()

    assert _struck_everywhere(lambda: later.save(folder), lambda: earlier.save(folder), check) > 50


def test_generators_struck_at_any_line_are_as_they_were_and_can_be_taken_by_another_thread() -> None:
    model, device = SHAPES[0].build(), torch.device("cpu")

    def taken_elsewhere() -> None:
        free = threading.Event()

        def take() -> None:
            with process_state_kept(model):
                free.set()

        threading.Thread(target=take, daemon=True).start()
        assert free.wait(10), "the process's generators are locked for good"

    def generators() -> tuple[Any, ...]:
        numpys = np.random.get_state()
        return random.getstate(), numpys[1].tobytes(), numpys[2:], torch.get_rng_state().tolist()

    def check() -> None:
        taken_elsewhere()
        assert generators() == before
        assert generator_on(device) is stream

    def take_each() -> None:
        with process_state_kept(model):
            torch.rand(1)
        with seeded(3, model):
            random.random(), np.random.rand(), torch.rand(1)
        with drawing(4):
            torch.rand(1, generator=generator_on(device))
        with lent_to_libraries(model):
            torch.rand(1)

    with drawing(0):
        before, stream = generators(), generator_on(device)
        assert _struck_everywhere(take_each, lambda: None, check) > 100
