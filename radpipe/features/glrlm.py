"""Grey-level run lengths: how far one level runs on in a line. 16 features of PyRadiomics (IBSI TP0I).

The value is the mean over directions of each direction's value; with weightingNorm the matrices are weighted by distance
and added first. Galloway 1975, doi:10.1016/S0146-664X(75)80008-6.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from radpipe.features._kernels.runs import all_directions, run_counts
from radpipe.features.catalogue import GLRLM
from radpipe.features.cells import Cells, distance_mm, mean_over_directions, weighted_sum
from radpipe.features.levelsize import sixteen
from radpipe.features.region import Levels
from radpipe.features.share import ALONE, Share, cut
from radpipe.typing import IntArray

_ORDER = (
    "ShortRunEmphasis", "LongRunEmphasis", "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized",
    "RunLengthNonUniformity", "RunLengthNonUniformityNormalized", "RunPercentage", "GrayLevelVariance", "RunVariance",
    "RunEntropy", "LowGrayLevelRunEmphasis", "HighGrayLevelRunEmphasis", "ShortRunLowGrayLevelEmphasis",
    "ShortRunHighGrayLevelEmphasis", "LongRunLowGrayLevelEmphasis", "LongRunHighGrayLevelEmphasis",
)  # fmt: skip

_NONE = np.zeros(0, np.int64)


def compute(levels: Levels, angles: IntArray, norm: str | None, share: Share = ALONE) -> dict[str, float]:
    """Every feature of the family. angles : (n, 3) offsets of distance 1, one of each opposite pair.

    A direction in which no line meets two voxels of the region says nothing about runs and is left out, as in PyRadiomics;
    NaN where that is so for all.
    """
    longest = max(levels.box)
    steps = levels.steps(angles)
    # Some directions at a time: they need room of the region's size once, not once a direction.
    some = [
        partial(all_directions, levels.flat, levels.where, part, levels.n_levels, longest) for part in cut(steps, share.pieces)
    ]
    rows, touching = (np.concatenate(parts) for parts in zip(*share.all(some), strict=True))
    use = touching != 0
    for direction in np.flatnonzero(~use):
        use[direction] = _line_meets_two(levels, angles[direction])
    if norm is not None:
        matrices = [
            matrix_of(levels, step, longest) if used else Cells(_NONE, np.zeros(0), longest)
            for step, used in zip(steps, use, strict=True)
        ]
        lengths = distance_mm(angles, levels.spacing_mm, norm)
        weights = np.ones(len(angles)) if norm == "no_weighting" else lengths
        rows, use = sixteen(weighted_sum(matrices, weights))[None], np.array([True])
    rows[~use] = np.nan
    values = dict(zip(_ORDER, mean_over_directions(rows).tolist(), strict=True))
    return {feature.name: values[feature.name] for feature in GLRLM.features}


def matrix_of(levels: Levels, step: int, longest: int) -> Cells:
    """The matrix of one direction: rows are levels, columns lengths, both from 0."""
    room = np.zeros_like(levels.flat)
    level, length, counts, _ = run_counts(levels.flat, levels.where, step, levels.n_levels, longest, room)
    return Cells((level - 1) * longest + length - 1, counts.astype(np.float64), longest)


def _line_meets_two(levels: Levels, angle: IntArray) -> bool:
    """Whether two voxels of the region lie on one line along the angle, however far apart."""
    places = np.stack(np.unravel_index(levels.where, levels.shape), axis=1)
    axis = int(np.flatnonzero(angle)[0])
    starts = places - places[:, [axis]] * (angle * angle[axis])
    return len(np.unique(starts, axis=0)) < len(starts)
