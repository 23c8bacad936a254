"""The formulas that GLRLM, GLSZM, GLDZM and NGLDM share: a matrix of grey level against a size, distance or count.

Galloway 1975, doi:10.1016/S0146-664X(75)80008-6; Thibault 2014, doi:10.1109/TBME.2013.2284600; Sun and Wee 1983,
doi:10.1016/0734-189X(83)90032-4; Zwanenburg 2020, doi:10.1148/radiol.2020191145.
"""

from __future__ import annotations

import numpy as np

from radpipe.features.cells import Cells
from radpipe.features.ibsi.glcm import entropy
from radpipe.typing import FloatArray


def features(matrix: Cells, voxels: float) -> FloatArray:
    """(17,): the sixteen features in the manual's order, the same for all four families, then NGLDM's energy.

    matrix : rows are levels, columns sizes, both from 0. voxels : N_v, summed where matrices were merged. NaN throughout where
    the matrix is empty.
    """
    if matrix.codes.size == 0:
        return np.full(17, np.nan)
    level = matrix.rows + 1.0
    size = matrix.columns + 1.0
    total = float(matrix.weight.sum())
    p = matrix.weight / total
    i2, j2 = level * level, size * size
    by_level = np.bincount(matrix.rows, weights=matrix.weight)
    sizes, place = np.unique(matrix.columns, return_inverse=True)
    by_size = np.bincount(place, weights=matrix.weight, minlength=sizes.size)
    level_uniformity, size_uniformity = float(by_level @ by_level), float(by_size @ by_size)
    level_mean, size_mean = float(p @ level), float(p @ size)
    return np.array(
        [
            float(p @ (1.0 / j2)),
            float(p @ j2),
            float(p @ (1.0 / i2)),
            float(p @ i2),
            float(p @ (1.0 / (i2 * j2))),
            float(p @ (i2 / j2)),
            float(p @ (j2 / i2)),
            float(p @ (i2 * j2)),
            level_uniformity / total,
            level_uniformity / total**2,
            size_uniformity / total,
            size_uniformity / total**2,
            total / voxels,
            float(p @ (level - level_mean) ** 2),
            float(p @ (size - size_mean) ** 2),
            entropy(p),
            float(p @ p),
        ]
    )
