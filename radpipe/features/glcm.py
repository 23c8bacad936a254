"""Grey-level co-occurrence: which levels stand side by side. 24 features of PyRadiomics (IBSI LFYI).

The value is the mean over directions of each direction's value (IBSI's "3D, averaged"); with weightingNorm the matrices
are weighted by distance and added first. Haralick 1973, doi:10.1109/TSMC.1973.4309314; Zwanenburg 2020,
doi:10.1148/radiol.2020191145.
"""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels.cooccurrence import EPS, NAMES, cooccurrence_features, pair_codes
from radpipe.features.catalogue import GLCM
from radpipe.features.cells import Cells, counted, distance_mm, mean_over_directions, weighted_sum
from radpipe.features.region import Levels
from radpipe.typing import FloatArray, IntArray


def compute(levels: Levels, angles: IntArray, symmetric: bool, norm: str | None, with_mcc: bool = True) -> dict[str, float]:
    """Every feature of the family; NaN where no two voxels of the region are neighbours.

    angles : (n, 3) offsets, one of each opposite pair. norm : weightingNorm. with_mcc : its eigenvalues are the dear part.
    """
    matrices = matrices_of(levels, angles, symmetric)
    if norm is None:
        if len(matrices) > 1:
            matrices = [cells for cells in matrices if cells.codes.size]
    else:
        matrices = [
            weighted_sum(
                matrices,
                np.exp(-(distance_mm(angles, levels.spacing_mm, norm) ** 2)) if norm != "no_weighting" else np.ones(len(angles)),
            )
        ]
    rows = [cooccurrence_features(cells.rows + 1, cells.columns + 1, cells.weight, levels.n_levels) for cells in matrices]
    means = mean_over_directions(rows) if rows else np.full(24, np.nan)
    values = dict(zip(NAMES, (float(value) for value in means), strict=False))
    if with_mcc:
        present = np.unique(levels.flat[levels.where]).astype(np.int64) - 1
        values["MCC"] = _mean(np.array([maximal_correlation(cells, present) for cells in matrices]))
    return {feature.name: values[feature.name] for feature in GLCM.features if feature.name in values}


def matrices_of(levels: Levels, angles: IntArray, symmetric: bool) -> list[Cells]:
    """One matrix for each direction; rows and columns are levels from 0."""
    n = levels.n_levels
    steps = levels.steps(angles)
    return [counted(pair_codes(levels.flat, levels.where, step, n, symmetric), n, n) for step in steps]


def maximal_correlation(cells: Cells, present: IntArray) -> float:
    """Root of the second largest eigenvalue of PyRadiomics' Q; 1 in a region of one level, NaN in an empty matrix."""
    n = present.size
    if n < 2:
        return 1.0
    total = cells.weight.sum()
    if not total > 0.0:
        return float("nan")
    p = np.zeros((n, n))
    p[np.searchsorted(present, cells.rows), np.searchsorted(present, cells.columns)] = cells.weight / total
    px, py = p.sum(axis=1), p.sum(axis=0)
    q = (p / (np.outer(px, py) + EPS)) @ p.T
    eigenvalues = np.sort(np.linalg.eigvals(q))
    second = eigenvalues[-2]
    return float(np.sqrt(second).real)


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
