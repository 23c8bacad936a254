"""Grey-level size zones: connected zones (26 neighbours, 8 in force2D) of one level. 16 features of PyRadiomics (IBSI 9SAK).

Thibault 2014, doi:10.1109/TBME.2013.2284600.
"""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels.levelsize import features_of_cells
from radpipe.features._kernels.zones import zone_cells
from radpipe.features.catalogue import GLSZM
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
    # Neighbours lie at minus these angles. One that touches the left neighbour differs from it by at most 1 along every axis.
    apart = np.abs(angles - angles[-1]).max(axis=1) > 1
    steps = levels.steps(angles)
    codes, counts, largest = zone_cells(levels.flat, levels.where, steps, steps[apart], levels.n_levels)
    values = dict(zip(_ORDER, features_of_cells(codes, counts, largest).tolist(), strict=True))
    return {feature.name: values[feature.name] for feature in GLSZM.features}
