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
    # Two buffers of the region's size are all that is held beside it: a large region has hundreds of megabytes.
    n = intensities.size
    ordered = _sorted(intensities)
    low, high = float(ordered[0]), float(ordered[-1])
    flat = low == high
    tenth, ninetieth = percentile(ordered, 10), percentile(ordered, 90)
    quarter, three_quarters = percentile(ordered, 25), percentile(ordered, 75)
    median = float(ordered[(n - 1) // 2] + ordered[n // 2]) / 2.0
    middle = ordered[np.searchsorted(ordered, tenth, "left") : np.searchsorted(ordered, ninetieth, "right")]
    middle -= middle.mean()
    robust = float(np.abs(middle, out=middle).mean())
    other, centred = ordered, intensities.astype(np.float64)
    mean = low if flat else float(centred.mean())  # a rounded mean would give a flat region a skewness of 1
    centred -= mean
    absolute = float(np.abs(centred, out=other).mean())
    m2 = float(np.multiply(centred, centred, out=other).mean())
    m3 = float(np.multiply(other, centred, out=centred).mean())
    m4 = float(np.multiply(other, other, out=other).mean())
    np.add(intensities, shift, out=other, dtype=np.float64, casting="unsafe")
    energy = float(np.multiply(other, other, out=other).sum())
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


def _sorted(intensities: Volume) -> FloatArray:
    """In an array of its own. numpy sorts 16-bit numbers several times slower than float32, which holds each of them exactly."""
    sortable = intensities.astype(np.float32) if intensities.dtype.kind in "iu" and intensities.itemsize <= 2 else intensities
    return np.sort(sortable).astype(np.float64, copy=False)


def percentile(ordered: FloatArray, share: float) -> float:
    """Linear between the two nearest of the sorted values (Hyndman and Fan's type 7, doi:10.2307/2684934; numpy's default)."""
    place = (ordered.size - 1) * (share / 100.0)
    below = math.floor(place)
    part = place - below
    left = float(ordered[below])
    right = float(ordered[min(below + 1, ordered.size - 1)])
    # numpy walks from the nearer end, so that the result cannot pass the farther one.
    return right - (right - left) * (1.0 - part) if part >= 0.5 else left + (right - left) * part
