"""Grey-level dependence: how many neighbours are of (almost) the same level. 14 features of PyRadiomics (IBSI REK0, NGLDM).

Sun and Wee 1983, doi:10.1016/0734-189X(83)90032-4.
"""

from __future__ import annotations

from radpipe.features._kernels.levelsize import features_of_table
from radpipe.features.catalogue import GLDM
from radpipe.typing import IntArray

_ORDER = (
    "SmallDependenceEmphasis", "LargeDependenceEmphasis", "GrayLevelNonUniformity", "", "DependenceNonUniformity",
    "DependenceNonUniformityNormalized", "", "GrayLevelVariance", "DependenceVariance", "DependenceEntropy",
    "LowGrayLevelEmphasis", "HighGrayLevelEmphasis", "SmallDependenceLowGrayLevelEmphasis",
    "SmallDependenceHighGrayLevelEmphasis", "LargeDependenceLowGrayLevelEmphasis",
    "LargeDependenceHighGrayLevelEmphasis",
)  # fmt: skip


def compute(table: IntArray) -> dict[str, float]:
    """Every feature of the family. table : of :func:`~radpipe.features._kernels.neighbourhood.neighbourhood`."""
    values = dict(zip(_ORDER, features_of_table(table).tolist(), strict=True))
    return {feature.name: values[feature.name] for feature in GLDM.features}
