"""Grey-level run lengths: how far one level runs on in a line. 16 features of PyRadiomics (IBSI TP0I).

The value is the mean over directions of each direction's value; with weightingNorm the matrices are weighted by distance
and added first. Galloway 1975, doi:10.1016/S0146-664X(75)80008-6.
"""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels.runs import run_codes
from radpipe.features.catalogue import GLRLM
from radpipe.features.cells import Cells, counted, distance_mm, mean_over_directions, weighted_sum
from radpipe.features.levelsize import sixteen
from radpipe.features.region import Levels
from radpipe.typing import IntArray

_ORDER = (
    "ShortRunEmphasis", "LongRunEmphasis", "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized",
    "RunLengthNonUniformity", "RunLengthNonUniformityNormalized", "RunPercentage", "GrayLevelVariance", "RunVariance",
    "RunEntropy", "LowGrayLevelRunEmphasis", "HighGrayLevelRunEmphasis", "ShortRunLowGrayLevelEmphasis",
    "ShortRunHighGrayLevelEmphasis", "LongRunLowGrayLevelEmphasis", "LongRunHighGrayLevelEmphasis",
)  # fmt: skip


def compute(levels: Levels, angles: IntArray, norm: str | None) -> dict[str, float]:
    """Every feature of the family. angles : (n, 3) offsets of distance 1, one of each opposite pair."""
    matrices = matrices_of(levels, angles)
    if norm is None:
        if len(matrices) > 1:
            matrices = [cells for cells in matrices if cells.codes.size]
    else:
        matrices = [
            weighted_sum(
                matrices, distance_mm(angles, levels.spacing_mm, norm) if norm != "no_weighting" else np.ones(len(angles))
            )
        ]
    means = mean_over_directions([sixteen(cells) for cells in matrices]) if matrices else np.full(16, np.nan)
    values = dict(zip(_ORDER, (float(value) for value in means), strict=True))
    return {feature.name: values[feature.name] for feature in GLRLM.features}


def matrices_of(levels: Levels, angles: IntArray) -> list[Cells]:
    """One matrix for each direction: rows are levels, columns lengths, both from 0.

    A direction in which no line meets two voxels of the region says nothing about runs: its matrix is empty, as in PyRadiomics.
    """
    longest = max(levels.box)
    matrices = []
    for angle, step in zip(angles, levels.steps(angles), strict=True):
        codes, touching = run_codes(levels.flat, levels.where, step, longest)
        if not touching and not _line_meets_two(levels, angle):
            codes = codes[:0]
        matrices.append(counted(codes, levels.n_levels, longest))
    return matrices


def _line_meets_two(levels: Levels, angle: IntArray) -> bool:
    """Whether two voxels of the region lie on one line along the angle, however far apart."""
    places = np.stack(np.unravel_index(levels.where, levels.shape), axis=1)
    axis = int(np.flatnonzero(angle)[0])
    starts = places - places[:, [axis]] * (angle * angle[axis])
    return len(np.unique(starts, axis=0)) < len(starts)
