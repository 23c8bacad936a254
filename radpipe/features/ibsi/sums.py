"""Sums over many values a piece at a time: no second array as long as the first is made.

numpy adds float64 values in halves of halves, down to 128; pieces are cut where it cuts, so the sum has the digits that
``function(all).sum()`` has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radpipe.typing import FloatArray

PIECE = 1 << 14
Part = Callable[[slice], FloatArray]


def pieces(n: int) -> Iterator[slice]:
    """0 .. n in order."""
    return (slice(start, min(start + PIECE, n)) for start in range(0, n, PIECE))


def total(part: Part, n: int) -> float:
    """Sum of n values. part : a slice of 0 .. n -> those values, float64, contiguous."""
    return _between(part, 0, n)


def _between(part: Part, start: int, size: int) -> float:
    if size <= PIECE:
        return float(part(slice(start, start + size)).sum())
    half = size // 2
    half -= half % 8
    return _between(part, start, half) + _between(part, start + half, size - half)


def mean(part: Part, n: int) -> float:
    """Of n values; n >= 1."""
    return total(part, n) / n


def less(values: NDArray[Any], middle: float) -> Part:
    """The values minus ``middle``, float64, as a part of :func:`total`."""
    return lambda piece: np.subtract(values[piece], middle, dtype=np.float64)


def plain(values: NDArray[Any]) -> Part:
    """The values as float64."""
    return lambda piece: values[piece].astype(np.float64)
