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

_IMC2 = NAMES.index("Imc2")
# Below these, Imc2 and MCC are roots of what rounding leaves: they are done over in PyRadiomics' own order of additions.
_LEAST_GAP = 1e-8
_LEAST_EIGENVALUE = 1e-9
_MOST_DENSE_CELLS = 20_000_000


def compute(levels: Levels, angles: IntArray, symmetric: bool, norm: str | None, with_mcc: bool = True) -> dict[str, float]:
    """Every feature of the family; NaN where no two voxels of the region are neighbours.

    angles : (n, 3) offsets, one of each opposite pair. norm : weightingNorm. with_mcc : its eigenvalues are the dear part.
    """
    matrices = matrices_of(levels, angles, symmetric)
    if norm is not None:
        lengths = distance_mm(angles, levels.spacing_mm, norm)
        matrices = [weighted_sum(matrices, np.ones(len(angles)) if norm == "no_weighting" else np.exp(-(lengths**2)))]
    elif len(matrices) > 1:
        matrices = [cells for cells in matrices if cells.codes.size]
    rows = [cooccurrence_features(cells.rows + 1, cells.columns + 1, cells.weight, levels.n_levels) for cells in matrices]
    present = np.unique(levels.flat[levels.where]).astype(np.int64) - 1
    if not rows or np.isnan(rows[0][0]):
        return {feature.name: 1.0 if feature.name == "MCC" and present.size < 2 else float("nan") for feature in GLCM.features}
    small = present.size**2 * len(matrices) <= _MOST_DENSE_CELLS
    if small and any(abs(row[-1]) < _LEAST_GAP for row in rows):
        for row, value in zip(rows, information_correlation(_dense(matrices, present)), strict=True):
            row[_IMC2] = value
    values = dict(zip(NAMES, (float(value) for value in mean_over_directions(rows)), strict=False))
    if with_mcc:
        values["MCC"] = _mean(np.concatenate([maximal_correlations(_dense(part, present)) for part in _parts(matrices, present)]))
    return {feature.name: values[feature.name] for feature in GLCM.features if feature.name in values}


def matrices_of(levels: Levels, angles: IntArray, symmetric: bool) -> list[Cells]:
    """One matrix for each direction; rows and columns are levels from 0."""
    n = levels.n_levels
    steps = levels.steps(angles)
    return [counted(pair_codes(levels.flat, levels.where, step, n, symmetric), n, n) for step in steps]


def _parts(matrices: list[Cells], present: IntArray) -> list[list[Cells]]:
    """All directions at once where that is small, one by one where it is not."""
    if present.size**2 * len(matrices) <= _MOST_DENSE_CELLS:
        return [matrices]
    return [[cells] for cells in matrices]


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
    """Root of the second largest eigenvalue of PyRadiomics' Q for every direction; 1 in a region of one level.

    Q(i, j) = sum over k of p(i, k) p(j, k) / (px(i) py(k) + eps). Without eps Q is similar to S S', symmetric, with
    S = p / sqrt(px py); eps moves the eigenvalues a little where a level is rare. Q is therefore projected on the
    leading eigenvectors of S S' (Rayleigh and Ritz; the error is of second order in eps), which is many times faster
    than the eigenvalues of a general matrix.
    """
    n = p.shape[1]
    if n < 2:
        return np.ones(len(p))
    px, py = p.sum(axis=2), p.sum(axis=1)
    root_x, root_y = np.sqrt(px), np.sqrt(py)
    over_x = np.divide(1.0, root_x, out=np.zeros_like(root_x), where=root_x > 0)
    over_y = np.divide(1.0, root_y, out=np.zeros_like(root_y), where=root_y > 0)
    s = p * over_x[:, :, None] * over_y[:, None, :]
    leading = np.linalg.eigh(s @ s.transpose(0, 2, 1))[1][:, :, -8:]
    m = p / (px[:, :, None] * py[:, None, :] + EPS)
    left = (leading * root_x[:, :, None]).transpose(0, 2, 1) @ m
    right = p.transpose(0, 2, 1) @ (leading * over_x[:, :, None])
    second = np.sort(np.linalg.eigvals(left @ right))[:, -2].real
    if second.min() < _LEAST_EIGENVALUE:
        second = np.sort(np.linalg.eigvals(_q(p, px, py)))[:, -2]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(second).real)


def _q(p: FloatArray, px: FloatArray, py: FloatArray) -> FloatArray:
    """(directions, n, n), added up level by level as PyRadiomics does."""
    q = np.zeros_like(p)
    for level in range(p.shape[1]):
        q += p[:, :, None, level] * p[:, None, :, level] / (px[:, :, None] * py[:, None, level, None] + EPS)
    return q


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
