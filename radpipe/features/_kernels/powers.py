"""Sums of powers of intensities."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, kernel

_PIECE = 1 << 12  # sums of pieces are added up: a long sum loses digits


@kernel
def power_sums(values: FloatArray, centre: float, shift: float) -> tuple[float, float, float, float, float]:
    """Over the values (float32 or float64): |x - centre|, its square, cube and fourth power, and (x + shift)^2, added up in float64."""
    absolute = second = third = fourth = energy = 0.0
    for start in range(0, values.size, _PIECE):
        one = two = three = four = shifted = 0.0
        for value in values[start : start + _PIECE]:
            x = np.float64(value) - centre
            square = x * x
            one += abs(x)
            two += square
            three += square * x
            four += square * square
            shifted += (np.float64(value) + shift) ** 2
        absolute += one
        second += two
        third += three
        fourth += four
        energy += shifted
    return absolute, second, third, fourth, energy
