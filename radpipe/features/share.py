"""Sharing out work that needs nothing of each other: on the calling thread, or on several of which it is one."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Result = TypeVar("Result")
SWITCH_S = 5e-4


@dataclass(eq=False, repr=False)
class _Piece:
    """(Told by a few letters: whoever looks for one in vain has it told in an error, and arrays take milliseconds to tell.)"""

    work: Callable[[], Any]
    result: Future[Any]

    def do(self) -> None:
        try:
            self.result.set_result(self.work())
        except BaseException as error:
            self.result.set_exception(error)
            if not isinstance(error, Exception):  # the user's Ctrl-C belongs to no piece of work
                raise


class Share:
    """Calling it with work gives back a function that waits for the work's result. Without a pool the work is done at once.

    Who waits takes up what nobody has begun, the oldest first: no thread is idle while there is work, and work may share out
    parts of its own. threads : that work together, with the caller's.
    """

    def __init__(self, pool: ThreadPoolExecutor | None = None, threads: int = 1) -> None:
        self.threads = threads
        self._pool = pool
        self._queue: deque[_Piece] = deque()

    def __call__(self, work: Callable[[], Result]) -> Callable[[], Result]:
        if self._pool is None:
            done = work()
            return lambda: done
        return partial(self._wait, self._put(work).result)

    @property
    def pieces(self) -> int:
        """Into how many pieces to cut work that can be cut freely: more than there are threads, so that all end together."""
        return 2 * self.threads if self.threads > 1 else 1

    def all(self, works: Sequence[Callable[[], Result]]) -> list[Result]:
        """The results, in order, of works that share out none of their own. Who asks does those himself that nobody has begun, and
        begins nothing else meanwhile: it may be long, and who waits for what comes after these would have nothing to do."""
        if self._pool is None or len(works) == 1:
            return [work() for work in works]
        pieces = [self._put(work) for work in works]
        for piece in pieces:
            try:
                self._queue.remove(piece)
            except ValueError:  # somebody is at it
                continue
            piece.do()
        return [piece.result.result() for piece in pieces]

    def drop(self) -> None:
        """Nobody begins what is not begun."""
        while self._queue:
            self._queue.pop().result.cancel()  # who waits for it learns that it will not be done

    def _put(self, work: Callable[[], Any]) -> _Piece:
        assert self._pool is not None
        piece = _Piece(work, Future())
        self._queue.append(piece)
        self._pool.submit(self._do_one)
        return piece

    def _wait(self, result: Future[Result]) -> Result:
        while not result.done() and self._do_one():
            pass
        return result.result()

    def _do_one(self) -> bool:
        """Whether there was any."""
        try:
            piece = self._queue.popleft()
        except IndexError:
            return False
        piece.do()
        return True


def cut(array: NDArray[Any], pieces: int) -> list[NDArray[Any]]:
    """About equal parts, none empty."""
    pieces = min(pieces, len(array))
    return [array] if pieces == 1 else np.array_split(array, pieces)


ALONE = Share()


@contextmanager
def sharing(threads: int) -> Iterator[Share]:
    """One thread is the caller's own."""
    if threads == 1:
        yield ALONE
        return
    # Kernels run without the interpreter's lock, but who comes out of one waits until another thread gives it up: after 5 ms, as
    # Python has it, which is as long as a kernel takes.
    before = sys.getswitchinterval()
    with ThreadPoolExecutor(threads - 1) as pool:
        share = Share(pool, threads)
        sys.setswitchinterval(min(before, SWITCH_S))
        try:
            yield share
        finally:
            sys.setswitchinterval(before)
            share.drop()  # where an error ended it
