"""Grey-level co-occurrence: 25 features (IBSI LFYI) of one matrix. Haralick 1973, doi:10.1109/TSMC.1973.4309314;
Zwanenburg 2020, doi:10.1148/radiol.2020191145."""

from __future__ import annotations

import math

import numpy as np

from radpipe.features.cells import Cells
from radpipe.typing import FloatArray


def features(matrix: Cells) -> FloatArray:
    """(25,) in the order of :data:`~radpipe.features.ibsi.catalogue.CM`; NaN throughout where the matrix is empty.

    matrix : symmetric; rows and columns are levels from 0; n_columns is Ng, the highest level. Correlation and the first
    information correlation are NaN where only one level occurs: the manual's formulas divide 0 by 0.
    """
    if matrix.codes.size == 0:
        return np.full(25, np.nan)
    n_levels = matrix.n_columns
    i, j = matrix.rows + 1, matrix.columns + 1
    p = matrix.weight / matrix.weight.sum()
    marginal = np.bincount(i, weights=p).astype(np.float64)
    level = np.arange(marginal.size)
    mean = float(level @ marginal)
    deviation_i, deviation_j = i - mean, j - mean
    variance = float((level - mean) ** 2 @ marginal)
    difference = np.bincount(np.abs(i - j), weights=p).astype(np.float64)
    k = np.arange(difference.size)
    difference_mean = float(k @ difference)
    total = np.bincount(i + j, weights=p).astype(np.float64)
    s = np.arange(total.size)
    total_mean = float(s @ total)
    joint_entropy = entropy(p)
    marginal_entropy = entropy(marginal)
    # -sum of p log2(p_i p_j), with the logarithm opened up.
    with np.errstate(divide="ignore"):
        logarithm = np.log2(marginal)
    crossed = -float(p @ (logarithm[i] + logarithm[j]))
    around = deviation_i + deviation_j
    one_level = np.count_nonzero(marginal) == 1
    contrast = float(k * k @ difference)
    return np.array(
        [
            p.max(),
            mean,
            variance,
            joint_entropy,
            difference_mean,
            float((k - difference_mean) ** 2 @ difference),
            entropy(difference),
            total_mean,
            float((s - total_mean) ** 2 @ total),
            entropy(total),
            float(p @ p),
            contrast,
            difference_mean,
            float((1.0 / (1.0 + k)) @ difference),
            float((1.0 / (1.0 + k / n_levels)) @ difference),
            float((1.0 / (1.0 + k * k)) @ difference),
            float((1.0 / (1.0 + (k / n_levels) ** 2)) @ difference),
            float((1.0 / k[1:] ** 2) @ difference[1:]),
            math.nan if one_level else float((deviation_i * deviation_j) @ p) / variance,
            float((i * j) @ p),
            float(around**2 @ p),
            float(around**3 @ p),
            float(around**4 @ p),
            math.nan if one_level else (joint_entropy - crossed) / marginal_entropy,
            # The second entropy of independent neighbours is twice that of one. What rounding leaves below 0 is 0.
            math.sqrt(max(0.0, 1.0 - math.exp(-2.0 * max(2.0 * marginal_entropy - joint_entropy, 0.0)))),
        ]
    )


def entropy(p: FloatArray) -> float:
    """In bits; what does not occur adds nothing."""
    present = p[p > 0.0]
    return float(-(present * np.log2(present)).sum()) + 0.0
