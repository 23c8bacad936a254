"""Intensity -> grey level, laid out for the kernels."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import Bytes, FloatArray, LevelArray, kernel


@kernel
def digitise(values: FloatArray, edges: FloatArray) -> LevelArray:
    """np.digitize for edges that are nearly equally spaced: how many edges are at or below each value; int32.

    The bin is guessed from the spacing and then moved to where the edges themselves say, so rounding cannot matter.
    """
    levels = np.empty(values.size, np.int32)
    n = edges.size
    low = edges[0]
    step = edges[1] - low
    for k in range(values.size):
        value = values[k]
        guess = min(max(int((value - low) / step) + 1, 0), n)
        while guess < n and edges[guess] <= value:
            guess += 1
        while guess > 0 and edges[guess - 1] > value:
            guess -= 1
        levels[k] = guess
    return levels


@kernel
def lay_out(mask: Bytes, levels: LevelArray, border: int, where: LevelArray) -> LevelArray:
    """The box with a border of zeros, flattened; int32.

    mask : (z, y, x) uint8. levels : (n,), of the region's voxels in memory order. where : (n,) int32, filled with the places of the
    region's voxels in the result, ascending; may be the levels themselves.
    """
    depth, height, width = mask.shape
    rows = height + 2 * border
    columns = width + 2 * border
    flat = np.zeros((depth + 2 * border) * rows * columns, np.int32)
    k = 0
    for z in range(depth):
        for y in range(height):
            start = ((z + border) * rows + y + border) * columns + border
            for x in range(width):
                if mask[z, y, x]:
                    flat[start + x] = levels[k]
                    where[k] = start + x
                    k += 1
    return flat
