"""Intensity -> grey level."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, LevelArray, kernel


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
