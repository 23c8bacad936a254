"""GLDM and NGTDM share one pass over the neighbourhood of every voxel; the five NGTDM features."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, IntArray, LevelArray, kernel
from radpipe.features._kernels.cells import total_of


@kernel
def neighbourhood(
    levels: LevelArray, where: LevelArray, offsets: IntArray, alpha: int, n_levels: int
) -> tuple[IntArray, FloatArray, FloatArray]:
    """(dependence table, voxels of each level, sum of |level - mean of its neighbours| of each level).

    offsets : both directions. The table is (Ng, neighbours + 1) int64: voxels of a level by how many neighbours are within alpha
    of it.
    """
    table = np.zeros((n_levels, offsets.size + 1), np.int64)
    count = np.zeros(n_levels)
    difference = np.zeros(n_levels)
    far = np.int64(0)
    for offset in offsets:
        far = max(far, offset)
    steps = np.empty(offsets.size, np.uint64)  # unsigned: see pair_counts
    for k in range(offsets.size):
        steps[k] = np.uint64(offsets[k] + far)
    for place in where:
        corner = np.uint64(place - far)
        level = levels[np.uint64(place)]
        dependent = 0
        inside = 0
        total = 0
        for step in steps:
            neighbour = levels[corner + step]
            inside += neighbour != 0
            total += neighbour
            dependent += (neighbour != 0) & (abs(level - neighbour) <= alpha)
        table[np.uint64(level - 1), np.uint64(dependent)] += 1
        count[level - 1] += 1.0
        if inside:
            difference[level - 1] += abs(level - total / inside)
    return table, count, difference


@kernel
def tone_difference_features(count: FloatArray, difference: FloatArray) -> FloatArray:
    """Coarseness, Contrast, Busyness, Complexity, Strength. count, difference : float64 (Ng,), of levels 1 .. Ng."""
    total = total_of(count)
    n = 0
    for a in range(count.size):
        n += count[a] > 0.0
    p = np.empty(n)
    s = np.empty(n)
    level = np.empty(n)
    n = 0
    for a in range(count.size):
        if count[a] > 0.0:
            p[n] = count[a] / total
            s[n] = difference[a]
            level[n] = a + 1
            n += 1
    weighted = 0.0
    for a in range(n):
        weighted += p[a] * s[a]
    all_differences = total_of(s)
    spread = 0.0
    tones = 0.0
    complexity = 0.0
    strength = 0.0
    for a in range(n):
        for b in range(n):
            gap = level[a] - level[b]
            spread += p[a] * p[b] * gap * gap
            tones += abs(level[a] * p[a] - level[b] * p[b])
            complexity += abs(gap) * (p[a] * s[a] + p[b] * s[b]) / (p[a] + p[b])
            strength += (p[a] + p[b]) * gap * gap
    out = np.empty(5)
    out[0] = 1.0 / weighted if weighted != 0.0 else 1e6
    out[1] = spread * all_differences / total / (n * (n - 1)) if n > 1 else 0.0
    out[2] = weighted / tones if tones != 0.0 else 0.0
    out[3] = complexity / total
    out[4] = strength / all_differences if all_differences != 0.0 else 0.0
    return out
