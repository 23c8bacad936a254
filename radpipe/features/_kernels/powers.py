"""Sums of powers of intensities."""

from __future__ import annotations

from radpipe.features._kernels._jit import FloatArray, kernel


@kernel
def power_sums(values: FloatArray, centre: float, shift: float) -> tuple[float, float, float, float, float]:
    """Over the values: |x - centre|, its square, cube and fourth power, and (x + shift)^2."""
    absolute = second = third = fourth = energy = 0.0
    for value in values:
        x = value - centre
        square = x * x
        absolute += abs(x)
        second += square
        third += square * x
        fourth += square * square
        energy += (value + shift) * (value + shift)
    return absolute, second, third, fourth, energy
