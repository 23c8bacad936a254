"""Statistics of the intensities themselves: 18 features of PyRadiomics, and one it no longer recommends."""

from __future__ import annotations

import math

import numpy as np

from radpipe.features._kernels.cooccurrence import EPS
from radpipe.typing import FloatArray, IntArray, Volume


def compute(intensities: Volume, level_counts: IntArray, voxel_volume_mm3: float, shift: float) -> dict[str, float]:
    """Every feature of the family.

    intensities : (n,), in memory order, in the image's dtype. level_counts : voxels of each grey level that occurs.
    shift : voxelArrayShift, added for Energy, TotalEnergy and RootMeanSquared only.
    """
    values = intensities.astype(np.float64)
    n = values.size
    # numpy sorts 16-bit numbers several times slower than float32, which holds each of them exactly.
    sortable = intensities.astype(np.float32) if intensities.dtype.kind in "iu" and intensities.itemsize <= 2 else intensities
    ordered = np.sort(sortable).astype(np.float64)
    low, high = float(ordered[0]), float(ordered[-1])
    flat = low == high
    mean = low if flat else float(values.mean())  # a rounded mean would give a flat region a skewness of 1
    centred = values - mean
    squares = centred * centred
    m2 = float(squares.mean())
    m3 = float((squares * centred).mean())
    m4 = float((squares * squares).mean())
    shifted = values + shift
    energy = float((shifted * shifted).sum())
    tenth, ninetieth = percentile(ordered, 10), percentile(ordered, 90)
    middle = ordered[np.searchsorted(ordered, tenth, "left") : np.searchsorted(ordered, ninetieth, "right")]
    p = level_counts / n
    deviation = 0.0 if flat else float(values.std())
    return {
        "10Percentile": tenth,
        "90Percentile": ninetieth,
        "Energy": energy,
        "Entropy": float(-(p * np.log2(p + EPS)).sum()),
        "InterquartileRange": percentile(ordered, 75) - percentile(ordered, 25),
        "Kurtosis": 0.0 if flat else m4 / m2**2,
        "Maximum": high,
        "MeanAbsoluteDeviation": float(np.abs(centred).mean()),
        "Mean": mean,
        "Median": float(ordered[(n - 1) // 2] + ordered[n // 2]) / 2.0,
        "Minimum": low,
        "Range": high - low,
        "RobustMeanAbsoluteDeviation": float(np.abs(middle - middle.mean()).mean()),
        "RootMeanSquared": math.sqrt(energy / n),
        "Skewness": 0.0 if flat else m3 / m2**1.5,
        "TotalEnergy": energy * voxel_volume_mm3,
        "Uniformity": float((p * p).sum()),
        "Variance": deviation**2,
        "StandardDeviation": deviation,
    }


def percentile(ordered: FloatArray, share: float) -> float:
    """Linear between the two nearest of the sorted values (Hyndman and Fan's type 7, doi:10.2307/2684934; numpy's default)."""
    place = (ordered.size - 1) * (share / 100.0)
    below = math.floor(place)
    part = place - below
    left = float(ordered[below])
    right = float(ordered[min(below + 1, ordered.size - 1)])
    # numpy walks from the nearer end, so that the result cannot pass the farther one.
    return right - (right - left) * (1.0 - part) if part >= 0.5 else left + (right - left) * part
