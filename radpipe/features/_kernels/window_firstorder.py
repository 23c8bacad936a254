"""First order statistics of every voxel's window."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, IntArray, LevelArray, kernel
from radpipe.features._kernels.window_cells import EPS_BITS, times_log

NAMES = (
    "10Percentile", "90Percentile", "Energy", "Entropy", "InterquartileRange", "Kurtosis", "Maximum", "MeanAbsoluteDeviation",
    "Mean", "Median", "Minimum", "Range", "RobustMeanAbsoluteDeviation", "RootMeanSquared", "Skewness", "TotalEnergy",
    "Uniformity", "Variance", "StandardDeviation",
)  # fmt: skip
ALSO = ("25Percentile", "75Percentile", "MedianAbsoluteDeviation")
"""What the IBSI set needs besides."""


@kernel
def window_firstorder(
    values: FloatArray,
    flat: LevelArray,
    centres: IntArray,
    window: IntArray,
    n_levels: int,
    shift: float,
    voxel_volume_mm3: float,
    out: FloatArray,
) -> None:
    """out (centres, 22) : the features of :data:`NAMES` and :data:`ALSO` of the window around every centre; NaN where nothing is in it.

    values, flat : intensities and grey levels of one bordered box, flattened; level 0 is outside and not looked at. window : flat
    offsets of the window's voxels from its centre (:func:`~radpipe.features._kernels.window_cells.window_places`).
    shift : voxelArrayShift. Percentiles are numpy's (type 7). A window of one intensity has skewness and kurtosis 0.
    """
    inside = np.empty(window.size)
    counts = np.zeros(n_levels + 1, np.int64)
    logs = times_log(window.size)
    for row in range(centres.size):
        n = 0
        energy = total = 0.0
        low = np.inf
        high = -np.inf
        for step in window:
            place = np.uint64(centres[row] + step)
            level = np.uint64(flat[place])
            if level:
                value = values[place]
                inside[n] = value
                n += 1
                counts[level] += 1
                total += value
                energy += (value + shift) * (value + shift)
                low = min(low, value)
                high = max(high, value)
        if n == 0:
            out[row] = np.nan
            continue
        entropy = 0.0
        kinds = squares = 0
        for step in window:
            level = np.uint64(flat[np.uint64(centres[row] + step)])
            count = counts[level]
            counts[level] = 0
            entropy += logs[np.uint64(count)]
            squares += count * count
            kinds += count > 0
        flat_window = low == high
        mean = low if flat_window else total / n  # a rounded mean would give a flat window a skewness of 1
        m2 = m3 = m4 = deviation = 0.0
        for k in range(n):
            centred = inside[k] - mean
            square = centred * centred
            deviation += abs(centred)
            m2 += square
            m3 += square * centred
            m4 += square * square
        m2 /= n
        _sort(inside, int(n))
        tenth = _percentile(inside, int(n), 0.1)
        ninetieth = _percentile(inside, int(n), 0.9)
        middle_sum = 0.0
        first = 0
        while inside[first] < tenth:
            first += 1
        last = n
        while inside[last - 1] > ninetieth:
            last -= 1
        for k in range(first, last):
            middle_sum += inside[k]
        middle = middle_sum / (last - first)
        robust = 0.0
        for k in range(first, last):
            robust += abs(inside[k] - middle)
        out[row, 0] = tenth
        out[row, 1] = ninetieth
        out[row, 2] = energy
        out[row, 3] = np.log2(n) - entropy / n - kinds * EPS_BITS
        first_quarter = _percentile(inside, int(n), 0.25)
        third_quarter = _percentile(inside, int(n), 0.75)
        median = (inside[(n - 1) // 2] + inside[n // 2]) / 2.0
        from_median = 0.0
        for k in range(n):
            from_median += abs(inside[k] - median)
        out[row, 4] = third_quarter - first_quarter
        out[row, 5] = 0.0 if flat_window else m4 / n / (m2 * m2)
        out[row, 6] = high
        out[row, 7] = deviation / n
        out[row, 8] = mean
        out[row, 9] = median
        out[row, 10] = low
        out[row, 11] = high - low
        out[row, 12] = robust / (last - first)
        out[row, 13] = np.sqrt(energy / n)
        out[row, 14] = 0.0 if flat_window else m3 / n / m2**1.5
        out[row, 15] = energy * voxel_volume_mm3
        out[row, 16] = squares / (n * n)
        out[row, 17] = m2
        out[row, 18] = np.sqrt(m2)
        out[row, 19] = first_quarter
        out[row, 20] = third_quarter
        out[row, 21] = from_median / n


@kernel
def window_histogram(flat: LevelArray, centres: IntArray, window: IntArray, n_levels: int, out: FloatArray) -> None:
    """out (centres, 5) : of the histogram of levels 1 .. highest in the window around every centre: its mode (of several commonest
    levels the one closest to the mean, the lower of two as close), the greatest gradient and its level, the least and its level
    (the first of several). NaN where nothing is in the window; gradients of a histogram of one bin are NaN.

    A gradient is half the difference of the neighbouring counts, at the ends the difference to the one neighbour.
    """
    counts = np.zeros(n_levels + 2, np.int64)
    for row in range(centres.size):
        n = total = highest = most = 0
        for step in window:
            level = int(flat[np.uint64(centres[row] + step)])
            counts[np.uint64(level)] += level != 0
            n += level != 0
            total += level
            highest = max(highest, level)
            most = max(most, int(counts[np.uint64(level)]))
        if n == 0:
            out[row] = np.nan
            continue
        mean = total / n
        mode = 0
        nearest = np.inf
        for step in window:
            level = int(flat[np.uint64(centres[row] + step)])
            if counts[np.uint64(level)] == most:
                far = abs(level - mean)
                if far < nearest or (far == nearest and level < mode):
                    nearest = far
                    mode = level
        out[row, 0] = mode
        for f in range(1, 5):
            out[row, f] = np.nan
        if highest > 1:
            for level in range(1, highest + 1):
                below = counts[max(level - 1, 1)]
                above = counts[min(level + 1, highest)]
                gradient = float(above - below) * (0.5 if 1 < level < highest else 1.0)
                if level == 1 or gradient > out[row, 1]:
                    out[row, 1] = gradient
                    out[row, 2] = level
                if level == 1 or gradient < out[row, 3]:
                    out[row, 3] = gradient
                    out[row, 4] = level
        for step in window:
            counts[np.uint64(flat[np.uint64(centres[row] + step)])] = 0


@kernel
def _percentile(ordered: FloatArray, n: int, share: float) -> float:
    """Of the first n, sorted; as :func:`radpipe.features.firstorder.percentile`."""
    place = (n - 1) * share
    below = int(place)
    part = place - below
    left = ordered[below]
    right = ordered[min(below + 1, n - 1)]
    gap = right - left
    return float(right - gap * (1.0 - part) if part >= 0.5 else left + gap * part)


@kernel
def _sort(values: FloatArray, n: int) -> None:
    """The first n, ascending, in place. Shell's method with Ciura's gaps (FCT 2001): a window is too small for more."""
    for gap in (701, 301, 132, 57, 23, 10, 4, 1):
        for k in range(gap, n):
            value = values[k]
            hole = k
            while hole >= gap and values[hole - gap] > value:
                values[hole] = values[hole - gap]
                hole -= gap
            values[hole] = value
