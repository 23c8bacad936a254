"""Statistics of the intensities themselves: 18 features of PyRadiomics, and one it no longer recommends."""

from __future__ import annotations

import math

import numpy as np

from radpipe.features._kernels.cooccurrence import EPS
from radpipe.features._kernels.powers import power_sums
from radpipe.typing import IntArray, Volume

_PIECE = 1 << 13


def compute(
    intensities: Volume, level_counts: IntArray, voxel_volume_mm3: float, shift: float, *, own: bool = False
) -> dict[str, float]:
    """Every feature of the family.

    intensities : (n,), in memory order, in the image's dtype. level_counts : voxels of each grey level that occurs.
    shift : voxelArrayShift, added for Energy, TotalEnergy and RootMeanSquared only. own : the intensities may be sorted where
    they are.
    """
    # One buffer of the region's size at most is held beside it: a large region has hundreds of megabytes. The sums
    # do not ask for the voxels' order, so the sorted ones serve them.
    n = intensities.size
    ordered = _sorted(intensities, own)
    low, high = float(ordered[0]), float(ordered[-1])
    flat = low == high
    tenth, ninetieth = percentile(ordered, 10), percentile(ordered, 90)
    quarter, three_quarters = percentile(ordered, 25), percentile(ordered, 75)
    median = (float(ordered[(n - 1) // 2]) + float(ordered[n // 2])) / 2.0
    middle = ordered[np.searchsorted(ordered, tenth, "left") : np.searchsorted(ordered, ninetieth, "right")]
    # Of two voxels neither lies between the percentiles: PyRadiomics has a mean over nothing there.
    robust = _sums(middle, float(middle.mean(dtype=np.float64)), 0.0)[0] / middle.size if middle.size else math.nan
    mean = low if flat else float(ordered.mean(dtype=np.float64))  # a rounded mean would give a flat region a skewness of 1
    *sums, energy = _sums(ordered, mean, shift)
    absolute, m2, m3, m4 = (value / n for value in sums)
    p = level_counts / n
    deviation = 0.0 if flat else math.sqrt(m2)
    return {
        "10Percentile": tenth,
        "90Percentile": ninetieth,
        "Energy": energy,
        "Entropy": float(-(p * np.log2(p + EPS)).sum()),
        "InterquartileRange": three_quarters - quarter,
        "Kurtosis": 0.0 if flat else m4 / m2**2,
        "Maximum": high,
        "MeanAbsoluteDeviation": absolute,
        "Mean": mean,
        "Median": median,
        "Minimum": low,
        "Range": high - low,
        "RobustMeanAbsoluteDeviation": robust,
        "RootMeanSquared": math.sqrt(energy / n),
        "Skewness": 0.0 if flat else m3 / m2**1.5,
        "TotalEnergy": energy * voxel_volume_mm3,
        "Uniformity": float((p * p).sum()),
        "Variance": deviation**2,
        "StandardDeviation": deviation,
    }


def _sums(values: Volume, centre: float, shift: float) -> tuple[float, ...]:
    """As :func:`power_sums`, piece by piece: a long sum loses digits, and of float32 values no whole copy is made."""
    pieces = [
        power_sums(values[start : start + _PIECE].astype(np.float64, copy=False), centre, float(shift))
        for start in range(0, values.size, _PIECE)
    ]
    return tuple(map(sum, zip(*pieces, strict=True)))


def _sorted(intensities: Volume, own: bool) -> Volume:
    """In an array of its own, or where they are: float32 of whole numbers of up to 16 bits, each of which it holds exactly, else float64. numpy
    sorts them as whole numbers several times slower."""
    exact = intensities.dtype.itemsize <= 2 or intensities.dtype == np.float32
    ordered = intensities.astype(np.float32 if exact else np.float64, copy=not own)
    ordered.sort()
    return ordered


def percentile(ordered: Volume, share: float) -> float:
    """Linear between the two nearest of the sorted values (Hyndman and Fan's type 7, doi:10.2307/2684934; numpy's default)."""
    place = (ordered.size - 1) * (share / 100.0)
    below = math.floor(place)
    part = place - below
    left = float(ordered[below])
    right = float(ordered[min(below + 1, ordered.size - 1)])
    # numpy walks from the nearer end, so that the result cannot pass the farther one.
    return right - (right - left) * (1.0 - part) if part >= 0.5 else left + (right - left) * part
