"""GLCM of the window around each of many voxels: PyRadiomics' voxel mode, 24 features, with its settings.

Two things differ from window to window in PyRadiomics 3.0.1 for reasons of its own. JointAverage, a plain mean over directions where
the other features leave out directions without a pair, is NaN where one is without; that is kept. MCC fails for a whole batch of
voxels where one window lacks pairs in a direction; here it has its value everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radpipe.features._kernels.window_cooccurrence import NAMES, directions_with_pairs, window_glcm, window_pairs
from radpipe.features._kernels.window_weighted import window_glcm_weighted
from radpipe.features.cells import distance_mm
from radpipe.features.glcm import information_correlation, maximal_correlations
from radpipe.features.region import Levels
from radpipe.typing import FloatArray, IntArray

__all__ = ["NAMES", "GlcmWindows", "glcm_in_windows", "glcm_windows"]
_IMC2, _MCC, _CORRELATION = (NAMES.index(name) for name in ("Imc2", "MCC", "Correlation"))


@dataclass(frozen=True, eq=False)
class GlcmWindows:
    """What all windows of one response have in common.

    steps : (voxels,), the window's voxels as steps in ``levels.flat``. first, second, starts : its pairs, from window_pairs.
    weights : (directions,); None without weightingNorm. present : levels of the region, ascending.
    """

    levels: Levels
    steps: IntArray
    first: np.ndarray[tuple[int], np.dtype[np.int32]]
    second: np.ndarray[tuple[int], np.dtype[np.int32]]
    starts: IntArray
    weights: FloatArray | None
    symmetric: bool
    present: IntArray


def glcm_windows(
    levels: Levels, centres: IntArray, radius: Sequence[int], angles: IntArray, symmetric: bool = True, norm: str | None = None
) -> GlcmWindows:
    """What :func:`glcm_in_windows` needs; once for a response of the image.

    levels : of all voxels that windows may read, bordered by at least the largest radius. centres : flat places of all voxels that
    maps are wanted at. radius : (z, y, x), 0 along force2D's axis. angles : (n, 3), one of each opposite pair. norm : weightingNorm.
    """
    z, y, x = radius
    offsets, first, second, starts = window_pairs((z, y, x), angles)
    steps = levels.steps(offsets)
    weights = None
    if norm is not None:
        lengths = distance_mm(angles, levels.spacing_mm, norm)
        weights = np.ones(len(angles)) if norm == "no_weighting" else np.exp(-(lengths**2))
    else:
        # PyRadiomics drops the directions that no window has; those that some have decide on JointAverage.
        some = directions_with_pairs(levels.flat, centres, steps, first, second, starts) == 1
        if not some.all():
            offsets, first, second, starts = window_pairs((z, y, x), angles[some])
    present = np.unique(levels.flat[levels.where]).astype(np.int64)
    return GlcmWindows(levels, steps, first, second, starts, weights, symmetric, present)


def glcm_in_windows(windows: GlcmWindows, centres: IntArray, with_mcc: bool = True) -> FloatArray:
    """(centres, 24) : the features in the order of NAMES. NaN where a window has no pair; MCC is NaN throughout where not wanted.

    centres : flat places, a block of them. Holds no lock and shares nothing: blocks may run in threads.
    """
    flat, n_levels, one_level = windows.levels.flat, windows.levels.n_levels, windows.present.size == 1
    geometry = (flat, centres, windows.steps, windows.first, windows.second, windows.starts)
    out = np.full((centres.size, len(NAMES)), np.nan)
    if windows.weights is None:
        window_glcm(*geometry, n_levels, windows.symmetric, with_mcc, one_level, True, out)
        return out
    doubtful = np.zeros(centres.size, np.uint8)
    window_glcm_weighted(*geometry, windows.weights, n_levels, windows.symmetric, with_mcc, out, doubtful)
    for k in np.flatnonzero(doubtful):
        _do_over(windows, int(centres[k]), with_mcc, out[k])
    if with_mcc and one_level:
        out[:, _MCC] = 1.0
    return out


def _do_over(windows: GlcmWindows, centre: int, with_mcc: bool, row: FloatArray) -> None:
    """The features whose value is rounding, or that PyRadiomics' eps decides, on the dense matrix in PyRadiomics' order."""
    assert windows.weights is not None
    held = windows.levels.flat[centre + windows.steps]
    place = np.searchsorted(windows.present, held)
    n = windows.present.size
    counts = np.zeros((n, n, windows.weights.size))
    direction = np.repeat(np.arange(windows.weights.size), np.diff(windows.starts))
    both = (held[windows.first] > 0) & (held[windows.second] > 0)
    np.add.at(counts, (place[windows.first][both], place[windows.second][both], direction[both]), 1.0)
    if windows.symmetric:
        counts = counts + counts.transpose(1, 0, 2)
    p = np.sum(counts * windows.weights, axis=2)
    p /= p.sum()
    row[_IMC2] = information_correlation(p[None])[0]
    if with_mcc and n > 1:
        row[_MCC] = maximal_correlations(p[None])[0]
    level = windows.present.astype(np.float64)
    ux, uy = np.sum(level[:, None] * p), np.sum(level[None, :] * p)
    sx = np.sum(p * (level[:, None] - ux) ** 2) ** 0.5
    sy = np.sum(p * (level[None, :] - uy) ** 2) ** 0.5
    covariance = np.sum(p * (level[:, None] - ux) * (level[None, :] - uy))
    row[_CORRELATION] = 1.0 if sx * sy == 0 else covariance / (sx * sy + np.spacing(1.0))
