"""Riesz transforms of any order: directional derivatives of the phase alone; IBSI 2 (AYRS). Not a filter: two filters use it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from radpipe.filters.ibsi_fourier import radius_squared
from radpipe.typing import FloatArray

MOST = 6  # of an order's sum


def refuse_order(order: tuple[int, ...], axes: Sequence[int], dimension: str) -> None:
    """ValueError where the order does not fit the dimension."""
    if len(order) != len(axes):
        raise ValueError(f"order {list(order)} has {len(order)} numbers; dimension {dimension} needs {len(axes)} (x, y, ...)")
    if min(order) < 0 or not 1 <= sum(order) <= MOST:
        raise ValueError(f"order {list(order)} must be whole numbers >= 0 that add up to 1 to {MOST}")


def transfer(grid: Sequence[FloatArray], order: tuple[int, ...]) -> NDArray[np.complex128]:
    """(-i)^L sqrt(L! / l!) times the product of (frequency / radius)^l. order : l along x, y, z; grid : along z, y, x."""
    total = sum(order)
    gain = math.sqrt(math.factorial(total) / math.prod(math.factorial(part) for part in order))
    squared = radius_squared(grid)
    product: FloatArray = np.array(gain)
    for coordinate, power in zip(reversed(grid), order, strict=True):
        if power:
            product = product * coordinate**power
    # At frequency 0 (odd lengths) no direction is defined, and the transform is 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(squared > 0.0, product / squared ** (total / 2.0), 0.0)
    return np.asarray((-1j) ** total * values)


def order_part(order: tuple[int, ...]) -> str:
    """riesz-1-0-0."""
    return "riesz-" + "-".join(str(part) for part in order)
