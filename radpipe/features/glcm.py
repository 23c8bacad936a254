"""Grey-level co-occurrence: which levels stand side by side. 24 features of PyRadiomics (IBSI LFYI).

The value is the mean over directions of each direction's value (IBSI's "3D, averaged"); with weightingNorm the matrices
are weighted by distance and added first. Haralick 1973, doi:10.1109/TSMC.1973.4309314; Zwanenburg 2020,
doi:10.1148/radiol.2020191145.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from radpipe.features._kernels.cooccurrence import EPS, NAMES, cooccurrence_features, one_direction, pair_counts
from radpipe.features._kernels.eigenvalue import second_eigenvalue
from radpipe.features.catalogue import GLCM
from radpipe.features.cells import Cells, distance_mm, mean_over_directions, weighted_sum
from radpipe.features.region import Levels
from radpipe.features.share import ALONE, Share, cut
from radpipe.typing import FloatArray, IntArray

_IMC2 = NAMES.index("Imc2")
# Imc2 and MCC are roots. Below these they are roots of what rounding leaves, and are done over in PyRadiomics' own order of
# additions; so is a direction's MCC where its eigenvalue is in more doubt than this, times the root.
_LEAST_GAP = 1e-8
_LEAST_EIGENVALUE = 1e-9
_MOST_DOUBT = 1e-7
_MOST_DENSE_CELLS = 20_000_000


def compute(
    levels: Levels, angles: IntArray, symmetric: bool, norm: str | None, with_mcc: bool = True, share: Share = ALONE
) -> dict[str, float]:
    """Every feature of the family; NaN where no two voxels of the region are neighbours.

    angles : (n, 3) offsets, one of each opposite pair. norm : weightingNorm. with_mcc : whether MCC is wanted.
    """
    n = levels.n_levels
    if norm is None:
        some = cut(levels.steps(angles), share.pieces)
        work = [partial(_all_directions, levels, steps, symmetric, with_mcc) for steps in some]
        rows = np.concatenate(share.all(work))
    else:
        weighted = _weighted(levels, angles, symmetric, norm)
        rows = np.full((1, 26), np.nan)
        i, j = weighted.rows + 1, weighted.columns + 1
        rows[0, :24] = cooccurrence_features(i, j, weighted.weight, n)
        if with_mcc and not np.isnan(rows[0, 0]):
            rows[0, 24:] = second_eigenvalue(i, j, weighted.weight / weighted.weight.sum(), n)
    rows = rows[~np.isnan(rows[:, 0])]
    gaps, eigenvalues = rows[:, 23].copy(), rows[:, 24]
    close_to_independent = bool((np.abs(gaps) < _LEAST_GAP).any())
    roots = np.sqrt(np.maximum(eigenvalues, 0.0))
    doubtful = (eigenvalues < _LEAST_EIGENVALUE) | (rows[:, 25] > _MOST_DOUBT * roots) if with_mcc else np.zeros(len(rows), bool)
    suspicious = close_to_independent or len(rows) == 0 or bool(doubtful.any())
    flat = suspicious and int(levels.flat[levels.where].min()) == n
    if len(rows) == 0:
        return {feature.name: 1.0 if feature.name == "MCC" and flat else float("nan") for feature in GLCM.features}
    correlations = np.ones(len(rows)) if flat else roots
    if suspicious and not flat:
        if (eigenvalues[doubtful] < _LEAST_EIGENVALUE).any():
            doubtful[:] = True  # whether PyRadiomics has a root of rounding's last digit or none, all directions decide together
        matrices = [_weighted(levels, angles, symmetric, norm)] if norm is not None else matrices_of(levels, angles, symmetric)
        matrices = [cells for cells in matrices if cells.codes.size]
        present = np.unique(levels.flat[levels.where]).astype(np.int64) - 1
        together = present.size**2 * len(matrices) <= _MOST_DENSE_CELLS
        if close_to_independent and together:
            rows[:, _IMC2] = information_correlation(_dense(matrices, present))
        if doubtful.any():
            again = [cells for cells, one in zip(matrices, doubtful, strict=True) if one]
            parts = [again] if together else [[cells] for cells in again]
            correlations[doubtful] = np.concatenate([maximal_correlations(_dense(part, present)) for part in parts])
    rows[:, 23] = correlations
    values = dict(zip((*NAMES, "MCC"), mean_over_directions(rows[:, :24]).tolist(), strict=True))
    return {feature.name: values[feature.name] for feature in GLCM.features}


def _all_directions(levels: Levels, steps: IntArray, symmetric: bool, with_mcc: bool) -> FloatArray:
    """(directions, 26): the features of every direction and Imc2's ill-conditioned part, then the second eigenvalue's two numbers.

    A row is NaN where no two voxels of the region are neighbours in its direction.
    """
    rows = np.full((len(steps), 26), np.nan)
    for row, step in zip(rows, steps, strict=True):
        row[:24], i, j, p = one_direction(levels.flat, levels.where, step, levels.n_levels, symmetric)
        if with_mcc and p.size:
            row[24:] = second_eigenvalue(i, j, p, levels.n_levels)
    return rows


def _weighted(levels: Levels, angles: IntArray, symmetric: bool, norm: str) -> Cells:
    """The sum over directions, each weighted by exp(-distance^2), or all alike."""
    lengths = distance_mm(angles, levels.spacing_mm, norm)
    weights = np.ones(len(angles)) if norm == "no_weighting" else np.exp(-(lengths**2))
    return weighted_sum(matrices_of(levels, angles, symmetric), weights)


def matrices_of(levels: Levels, angles: IntArray, symmetric: bool) -> list[Cells]:
    """One matrix for each direction; rows and columns are levels from 0."""
    n = levels.n_levels
    steps = levels.steps(angles)
    matrices = []
    for step in steps:
        i, j, counts = pair_counts(levels.flat, levels.where, step, n, symmetric)
        matrices.append(Cells((i - 1) * n + j - 1, counts.astype(np.float64), n))
    return matrices


def _dense(matrices: list[Cells], present: IntArray) -> FloatArray:
    """(directions, n, n): probabilities of the levels that occur."""
    p = np.zeros((len(matrices), present.size, present.size))
    for direction, cells in enumerate(matrices):
        places = np.searchsorted(present, cells.rows), np.searchsorted(present, cells.columns)
        p[direction][places] = cells.weight / cells.weight.sum()
    return p


def information_correlation(p: FloatArray) -> FloatArray:
    """Imc2 of every direction with PyRadiomics' additions in PyRadiomics' order, for matrices close to independence."""
    p = np.ascontiguousarray(np.moveaxis(p, 0, -1))[None]
    px = p.sum(2, keepdims=True)
    py = p.sum(1, keepdims=True)
    entropy = -np.sum(p * np.log2(p + EPS), (1, 2))
    entropy_2 = -np.sum((px * py) * np.log2(px * py + EPS), (1, 2))
    with np.errstate(invalid="ignore"):
        imc2 = (1 - np.e ** (-2 * (entropy_2 - entropy))) ** 0.5
    imc2[entropy_2 == entropy] = 0
    return np.asarray(imc2[0])


def maximal_correlations(p: FloatArray) -> FloatArray:
    """MCC of every direction from all eigenvalues of PyRadiomics' Q, (directions, n, n) general matrices: exact, and dear."""
    second = np.sort(np.linalg.eigvals(_q(p, p.sum(axis=2), p.sum(axis=1))))[:, -2]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(second).real)


def _q(p: FloatArray, px: FloatArray, py: FloatArray) -> FloatArray:
    """(directions, n, n), added up level by level as PyRadiomics does."""
    q = np.zeros_like(p)
    for level in range(p.shape[1]):
        q += p[:, :, None, level] * p[:, None, :, level] / (px[:, :, None] * py[:, None, level, None] + EPS)
    return q
