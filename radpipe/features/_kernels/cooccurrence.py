"""GLCM: which grey levels stand side by side, and the features of one matrix."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, IntArray, LevelArray, kernel
from radpipe.features._kernels.cells import count_codes, parted, scaled, total_of

EPS = np.spacing(1.0)  # PyRadiomics adds it inside its logarithms and to some divisors
NAMES = (
    "Autocorrelation", "JointAverage", "ClusterProminence", "ClusterShade", "ClusterTendency", "Contrast", "Correlation",
    "DifferenceAverage", "DifferenceEntropy", "DifferenceVariance", "JointEnergy", "JointEntropy", "Imc1", "Imc2", "Idm",
    "Idmn", "Id", "Idn", "InverseVariance", "MaximumProbability", "SumAverage", "SumEntropy", "SumSquares",
)  # fmt: skip


@kernel
def pair_codes(levels: LevelArray, where: LevelArray, offset: int, n_levels: int, symmetric: bool) -> IntArray:
    """(level - 1) * n_levels + (neighbour - 1) of every voxel whose neighbour at ``offset`` is in the region.

    levels : flat, bordered int32. where : int32, flat places of the region's voxels. symmetric : each pair both ways.
    """
    codes = np.empty(where.size * (2 if symmetric else 1) + 2, np.int64)
    found = 0
    for voxel in where:
        i = levels[voxel]
        j = levels[voxel + offset]
        codes[found] = (i - 1) * n_levels + j - 1
        if symmetric:
            codes[found + 1] = (j - 1) * n_levels + i - 1
            found += 2 * (j != 0)
        else:
            found += j != 0
    return codes[:found]


@kernel
def pair_counts(
    levels: LevelArray, where: LevelArray, offset: int, n_levels: int, symmetric: bool
) -> tuple[IntArray, IntArray, IntArray]:
    """(i, j, count) of every pair of levels that occurs at ``offset``; levels from 1.

    Few levels are counted in a table that has a column for "outside", so that no branch depends on the image.
    """
    width = n_levels + 1
    if width * width > 4 * where.size + 65536:
        found, counts = count_codes(pair_codes(levels, where, offset, n_levels, symmetric), n_levels * n_levels)
        first, second = parted(found, n_levels)
        for k in range(counts.size):
            first[k] += 1
            second[k] += 1
        return first, second, counts
    flat_table = np.zeros(width * width, np.int64)
    step = np.uint64(offset)  # numba asks of every signed index whether it counts from the end; that costs more than the rest
    for place in where:
        voxel = np.uint64(place)
        flat_table[np.uint64(np.int64(levels[voxel]) * width + levels[voxel + step])] += 1
    table = flat_table.reshape(width, width)
    cells = 0
    for i in range(1, width):
        for j in range(1, width):
            if table[i, j] or (symmetric and table[j, i]):
                cells += 1
    first = np.empty(cells, np.int64)
    second = np.empty(cells, np.int64)
    count = np.empty(cells, np.int64)
    row = 0
    for i in range(1, width):
        for j in range(1, width):
            n = table[i, j] + (table[j, i] if symmetric else 0)
            if n:
                first[row] = i
                second[row] = j
                count[row] = n
                row += 1
    return first, second, count


@kernel
def cooccurrence_features(i: IntArray, j: IntArray, weight: FloatArray, n_levels: int) -> FloatArray:
    """The features of one matrix in the order of NAMES, then HXY2 - HXY (Imc2's ill-conditioned part).

    i, j : int64 (cells,), grey levels from 1. weight : float64 (cells,), how often. n_levels : Ng, the highest level.
    """
    out = np.full(24, np.nan)
    total = total_of(weight)
    if not total > 0.0:
        return out
    p = scaled(weight, total)
    largest = 0.0
    px = np.zeros(n_levels + 1)
    py = np.zeros(n_levels + 1)
    p_sum = np.zeros(2 * n_levels + 1)
    p_difference = np.zeros(n_levels + 1)
    ux = 0.0
    uy = 0.0
    autocorrelation = 0.0
    contrast = 0.0
    energy = 0.0
    entropy = 0.0
    for c in range(p.size):
        a = i[c]
        b = j[c]
        px[a] += p[c]
        py[b] += p[c]
        p_sum[a + b] += p[c]
        p_difference[abs(a - b)] += p[c]
        ux += a * p[c]
        uy += b * p[c]
        autocorrelation += p[c] * a * b
        contrast += p[c] * (a - b) ** 2
        energy += p[c] * p[c]
        largest = max(largest, p[c])
        entropy -= p[c] * np.log2(p[c] + EPS)
    prominence = 0.0
    shade = 0.0
    tendency = 0.0
    variance_x = 0.0
    variance_y = 0.0
    covariance = 0.0
    entropy_1 = 0.0
    for c in range(p.size):
        dx = i[c] - ux
        dy = j[c] - uy
        d = i[c] + j[c] - ux - uy
        tendency += p[c] * d * d
        shade += p[c] * d * d * d
        prominence += p[c] * d * d * d * d
        variance_x += p[c] * dx * dx
        variance_y += p[c] * dy * dy
        covariance += p[c] * dx * dy
        entropy_1 -= p[c] * np.log2(px[i[c]] * py[j[c]] + EPS)
    # HXY2 = -sum over i, j of px py log2(px py + eps), with the logarithm opened up: Ng steps in place of Ng squared.
    # What is left out is of the order eps squared / (px py).
    total_x = 0.0
    total_y = 0.0
    plain_x = 0.0
    plain_y = 0.0
    entropy_x = 0.0
    entropy_y = 0.0
    n_x = 0
    n_y = 0
    for level in range(1, n_levels + 1):
        if px[level] > 0.0:
            n_x += 1
            total_x += px[level]
            plain_x -= px[level] * np.log2(px[level])
            entropy_x -= px[level] * np.log2(px[level] + EPS)
        if py[level] > 0.0:
            n_y += 1
            total_y += py[level]
            plain_y -= py[level] * np.log2(py[level])
            entropy_y -= py[level] * np.log2(py[level] + EPS)
    entropy_2 = plain_x * total_y + plain_y * total_x - EPS / np.log(2.0) * n_x * n_y
    sum_average = 0.0
    sum_entropy = 0.0
    for k in range(2, 2 * n_levels + 1):
        sum_average += k * p_sum[k]
        sum_entropy -= p_sum[k] * np.log2(p_sum[k] + EPS)
    difference_average = 0.0
    difference_entropy = 0.0
    idm = 0.0
    idmn = 0.0
    inverse = 0.0
    inverse_n = 0.0
    inverse_variance = 0.0
    for k in range(n_levels):
        q = p_difference[k]
        difference_average += k * q
        difference_entropy -= q * np.log2(q + EPS)
        idm += q / (1.0 + k * k)
        idmn += q / (1.0 + k * k / n_levels**2)
        inverse += q / (1.0 + k)
        inverse_n += q / (1.0 + k / n_levels)
        if k > 0:
            inverse_variance += q / (k * k)
    difference_variance = 0.0
    for k in range(n_levels):
        difference_variance += p_difference[k] * (k - difference_average) ** 2
    deviations = np.sqrt(variance_x) * np.sqrt(variance_y)
    most = max(entropy_x, entropy_y)
    gap = entropy_2 - entropy
    out[0] = autocorrelation
    out[1] = ux
    out[2] = prominence
    out[3] = shade
    out[4] = tendency
    out[5] = contrast
    out[6] = covariance / (deviations + EPS) if deviations != 0.0 else 1.0
    out[7] = difference_average
    out[8] = difference_entropy
    out[9] = difference_variance
    out[10] = energy
    out[11] = entropy
    out[12] = (entropy - entropy_1) / most if most != 0.0 else 0.0
    out[13] = np.sqrt(1.0 - np.exp(-2.0 * gap)) if gap != 0.0 else 0.0
    out[14] = idm
    out[15] = idmn
    out[16] = inverse
    out[17] = inverse_n
    out[18] = inverse_variance
    out[19] = largest
    out[20] = sum_average
    out[21] = sum_entropy
    out[22] = variance_x
    out[23] = gap
    return out


@kernel
def one_direction(
    levels: LevelArray, where: LevelArray, offset: int, n_levels: int, symmetric: bool
) -> tuple[FloatArray, IntArray, IntArray, FloatArray]:
    """(:func:`cooccurrence_features`; i, j and share of all pairs, of each pair of levels that occurs at ``offset``).

    Features are NaN and there are no cells where no two voxels of the region are neighbours in this direction.
    """
    i, j, counts = pair_counts(levels, where, offset, n_levels, symmetric)
    weight = np.empty(counts.size)
    for c in range(counts.size):
        weight[c] = counts[c]
    return cooccurrence_features(i, j, weight, n_levels), i, j, scaled(weight, total_of(weight))
