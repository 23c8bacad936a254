"""The sixteen formulas that GLRLM, GLSZM and GLDM share: a matrix of grey level against a size."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, IntArray, kernel
from radpipe.features._kernels.cells import occurring, total_of
from radpipe.features._kernels.cooccurrence import EPS


@kernel
def level_size_features(level: FloatArray, size: FloatArray, weight: FloatArray) -> FloatArray:
    """level, size : float64 (cells,), whole numbers, sorted by level. weight : float64 (cells,). NaN throughout where all weights are 0.

    0 small emphasis, 1 large emphasis, 2 level non-uniformity, 3 the same normalised, 4 size non-uniformity, 5 the same
    normalised, 6 percentage, 7 level variance, 8 size variance, 9 entropy, 10 low level, 11 high level, 12 small low,
    13 small high, 14 large low, 15 large high.
    """
    out = np.full(16, np.nan)
    total = total_of(weight)
    if not total > 0.0:
        return out
    sums = np.zeros(9)
    voxels = 0.0
    level_mean = 0.0
    size_mean = 0.0
    entropy = 0.0
    for c in range(weight.size):
        i2 = level[c] * level[c]
        j2 = size[c] * size[c]
        w = weight[c]
        p = w / total
        sums[0] += w / j2
        sums[1] += w * j2
        sums[2] += w / i2
        sums[3] += w * i2
        sums[4] += w / (i2 * j2)
        sums[5] += w * i2 / j2
        sums[6] += w * j2 / i2
        sums[7] += w * i2 * j2
        voxels += w * size[c]
        level_mean += p * level[c]
        size_mean += p * size[c]
        entropy -= p * np.log2(p + EPS)
    level_variance = 0.0
    size_variance = 0.0
    for c in range(weight.size):
        level_variance += weight[c] / total * (level[c] - level_mean) ** 2
        size_variance += weight[c] / total * (size[c] - size_mean) ** 2
    out[0] = sums[0] / total
    out[1] = sums[1] / total
    level_uniformity = _sum_of_squares(level, weight)
    largest = 0.0
    for one in size:
        largest = max(largest, one)
    by_size = np.zeros(int(largest) + 1)  # a size is at most the region's voxels, so this is at most one more region
    for c in range(weight.size):
        by_size[int(size[c])] += weight[c]
    size_uniformity = 0.0
    for one in by_size:
        size_uniformity += one * one
    out[2] = level_uniformity / total
    out[3] = level_uniformity / total**2
    out[4] = size_uniformity / total
    out[5] = size_uniformity / total**2
    out[6] = total / voxels
    out[7] = level_variance
    out[8] = size_variance
    out[9] = entropy
    out[10] = sums[2] / total
    out[11] = sums[3] / total
    out[12] = sums[4] / total
    out[13] = sums[5] / total
    out[14] = sums[6] / total
    out[15] = sums[7] / total
    return out


@kernel
def features_of_cells(codes: IntArray, counts: IntArray, width: int) -> FloatArray:
    """The same of a matrix as its cells: codes are row * width + column, ascending; row 0 is level 1, column 0 is size 1."""
    level = np.empty(codes.size)
    size = np.empty(codes.size)
    weight = np.empty(codes.size)
    for c in range(codes.size):
        row = codes[c] // width
        level[c] = row + 1
        size[c] = codes[c] - row * width + 1
        weight[c] = counts[c]
    return level_size_features(level, size, weight)


@kernel
def features_of_table(table: IntArray) -> FloatArray:
    """The same of a dense matrix."""
    codes, counts = occurring(table.ravel())
    return features_of_cells(codes, counts, table.shape[1])


@kernel
def _sum_of_squares(key: FloatArray, weight: FloatArray) -> float:
    """Sum over distinct keys of (their summed weight) squared; equal keys stand together."""
    result = 0.0
    run = 0.0
    for c in range(key.size):
        if c and key[c] != key[c - 1]:
            result += run * run
            run = 0.0
        run += weight[c]
    return result + run * run
