"""Sharing out work that needs nothing of each other: on the calling thread, or on the threads of a pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


class Share:
    """Calling it with work gives back a function that waits for the work's result. Without a pool the work is done at once."""

    def __init__(self, pool: ThreadPoolExecutor | None = None) -> None:
        self._pool = pool

    def __call__(self, work: Callable[[], Result]) -> Callable[[], Result]:
        if self._pool is not None:
            return self._pool.submit(work).result
        done = work()
        return lambda: done


@contextmanager
def sharing(threads: int) -> Iterator[Share]:
    """One thread is the caller's own. Of more, each belongs to a pool while the caller hands out work and waits."""
    if threads == 1:
        yield Share()
        return
    with ThreadPoolExecutor(threads) as pool:
        yield Share(pool)
