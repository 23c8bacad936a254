"""Families that are a matrix of grey level against a size: run length, zone size, number of dependent neighbours."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels.levelsize import level_size_features
from radpipe.features.cells import Cells
from radpipe.typing import FloatArray


def sixteen(cells: Cells) -> FloatArray:
    """The sixteen numbers of :func:`level_size_features`; row 0 is level 1, column 0 is size 1."""
    return np.asarray(
        level_size_features((cells.rows + 1).astype(np.float64), (cells.columns + 1).astype(np.float64), cells.weight)
    )
