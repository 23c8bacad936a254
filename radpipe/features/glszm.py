"""Grey-level size zones: connected zones (26 neighbours, 8 in force2D) of one level. 16 features of PyRadiomics (IBSI 9SAK).

Thibault 2014, doi:10.1109/TBME.2013.2284600.
"""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels.zones import zones
from radpipe.features.catalogue import GLSZM
from radpipe.features.cells import Cells, counted
from radpipe.features.levelsize import sixteen
from radpipe.features.region import Levels
from radpipe.typing import IntArray

_ORDER = (
    "SmallAreaEmphasis", "LargeAreaEmphasis", "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized",
    "SizeZoneNonUniformity", "SizeZoneNonUniformityNormalized", "ZonePercentage", "GrayLevelVariance", "ZoneVariance",
    "ZoneEntropy", "LowGrayLevelZoneEmphasis", "HighGrayLevelZoneEmphasis", "SmallAreaLowGrayLevelEmphasis",
    "SmallAreaHighGrayLevelEmphasis", "LargeAreaLowGrayLevelEmphasis", "LargeAreaHighGrayLevelEmphasis",
)  # fmt: skip


def compute(levels: Levels, angles: IntArray) -> dict[str, float]:
    """Every feature of the family. angles : (n, 3) offsets of distance 1, the half that points forward in memory."""
    values = dict(zip(_ORDER, (float(value) for value in sixteen(matrix_of(levels, angles))), strict=True))
    return {feature.name: values[feature.name] for feature in GLSZM.features}


def matrix_of(levels: Levels, angles: IntArray) -> Cells:
    """Rows are levels, columns sizes, both from 0."""
    # Neighbours lie at minus these angles. One that touches the left neighbour differs from it by at most 1 along every axis.
    apart = np.abs(angles - angles[-1]).max(axis=1) > 1
    level, size = zones(levels.flat, levels.where, levels.steps(angles), levels.steps(angles[apart]))
    largest = int(np.max(size))
    codes = level.astype(np.int64)  # then in place: there may be as many zones as voxels
    del level
    codes -= 1
    codes *= largest
    codes += size
    codes -= 1
    del size
    return counted(codes, levels.n_levels, largest)
