"""Steps that are finished whatever strikes: Ctrl-C waits for them, and exceptions in their midst do not stop them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Protocol


class Lock(Protocol):
    """A lock of :mod:`threading`."""

    def acquire(self) -> bool:
        """Wait until it is free, and take it."""

    def release(self) -> None:
        """Free it."""


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C wait until the block has ended; every one that came is then delivered to the usual handler.

    Signals reach the main thread alone, so that there is nothing to hold back in others.

    Yields:
        what delivers those that came so far, for a point of the block at which they do no harm.
    """
    usual = signal.getsignal(signal.SIGINT)
    with ExitStack() as waiting:
        if threading.current_thread() is not threading.main_thread() or not callable(usual):
            yield waiting.close
            return
        with ending_with(partial(signal.signal, signal.SIGINT, usual)):
            signal.signal(signal.SIGINT, lambda number, frame: waiting.callback(usual, number, frame))
            yield waiting.close


@contextmanager
def ending_with(action: Callable[[], object]) -> Iterator[None]:
    """Do something when the block ends, however it ends; once more if an exception keeps it from being done.

    Of several exceptions the first comes out.

    Args:
        action: does no harm when it is done twice.
    """
    first: BaseException | None = None
    done = False
    try:
        try:
            yield
        except BaseException as error:
            first = error
            raise
        finally:
            action()
            done = True
    except BaseException as error:
        try:
            if not done:
                action()
        finally:
            raise first or error


@contextmanager
def holding(lock: Lock) -> Iterator[None]:
    """Hold a lock for the block; it is free again however that ends.

    The lock's own ``with`` keeps it where an exception strikes between the end of its block and its release.
    """
    taken = ExitStack()
    with ending_with(taken.close):
        _ = lock.acquire() and taken.callback(lock.release)  # on one line, which nothing strikes in two
        yield


def finish(action: Callable[[], object]) -> None:
    """Do something with Ctrl-C held back, and once more if an exception strikes in its midst; that comes out.

    Args:
        action: does no harm when it is done twice, or begun anew.
    """
    with held_back(), ending_with(action):
        pass
