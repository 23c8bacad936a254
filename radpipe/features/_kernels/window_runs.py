"""GLRLM of every voxel's window."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, IntArray, LevelArray, kernel
from radpipe.features._kernels.window_cells import level_size, numbered, times_log, window_places

NAMES = (
    "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized", "GrayLevelVariance", "HighGrayLevelRunEmphasis",
    "LongRunEmphasis", "LongRunHighGrayLevelEmphasis", "LongRunLowGrayLevelEmphasis", "LowGrayLevelRunEmphasis", "RunEntropy",
    "RunLengthNonUniformity", "RunLengthNonUniformityNormalized", "RunPercentage", "RunVariance", "ShortRunEmphasis",
    "ShortRunHighGrayLevelEmphasis", "ShortRunLowGrayLevelEmphasis",
)  # fmt: skip
_ORDER = np.array((2, 3, 7, 11, 1, 15, 14, 10, 9, 4, 5, 6, 8, 0, 13, 12))  # where each stands in level_size's sixteen


@kernel
def window_runs(
    flat: LevelArray,
    centres: IntArray,
    shape: IntArray,
    radius: IntArray,
    n_levels: int,
    offsets: IntArray,
    weights: FloatArray,
    out: FloatArray,
) -> None:
    """out (centres, 16) : the features of :data:`NAMES` of the window around every centre.

    flat : grey levels of a bordered box of ``shape`` (z, y, x), flattened; 0 outside. radius : (3,) of the window, 0 along the
    axis of force2D. offsets : (n, 3) of distance 1, one of each opposite pair, those that point forward in memory.
    weights : empty for the mean over directions, else of each direction, whose weighted matrices are added first. A direction
    in which no line of the window meets two voxels is left out; NaN where that is so for all.
    """
    source, target, steps = window_places(shape, radius, offsets)
    most = source.size
    longest = 2 * max(radius[0], radius[1], radius[2]) + 1
    n_directions = steps.size
    merged = weights.size > 0
    room = most * n_directions if merged else most
    cube = np.zeros(target[0] + target[most - 1] + 1, np.int32)
    so_far = np.zeros(cube.size, np.int32)
    filled = np.empty(most + 1, np.int64)
    kind = np.empty(room + 1, np.int32)
    size = np.empty(room + 1, np.int32)
    weight = np.ones(room + 1)
    code = np.empty(room, np.int32)
    number = np.zeros(n_levels + 1, np.int32)
    tone = np.empty(min(most, n_levels) + 1)
    by_level = np.zeros(tone.size)
    by_size = np.zeros(longest + 1)
    cells = np.zeros(by_level.size * by_size.size)
    logs = np.empty(0) if merged else times_log(most)
    sixteen = np.empty(16)
    mean = np.empty(16)
    for row in range(centres.size):
        n = 0
        distinct = 0
        for k in range(most):
            here = flat[np.uint64(centres[row] + source[k])]
            own = numbered(here, number, tone, int(distinct))
            distinct = max(distinct, own)
            cube[np.uint64(target[k])] = own
            filled[n] = k
            n += here != 0
        for k in range(1, distinct + 1):
            number[np.uint64(tone[k])] = 0
        found = 0
        used = 0
        for f in range(16):
            mean[f] = 0.0
        for direction in range(n_directions):
            step = np.uint64(steps[direction])
            first = found
            touching = 0
            for t in range(n):
                place = np.uint64(target[np.uint64(filled[t])])
                here = cube[place]
                before = cube[place - step]
                length = np.int32(1) + so_far[place - step] * np.int32(before == here)
                so_far[place] = length
                touching |= before
                kind[found] = here
                size[found] = length
                found += cube[place + step] != here
            if not touching and not _line_meets_two(cube, target, filled, int(n), radius, offsets, direction, steps[direction]):
                found = first
            if merged:
                for t in range(first, found):
                    weight[t] = weights[direction]
                if direction + 1 < n_directions:
                    continue
            if found:
                level_size(kind, size, weight, int(found), tone, logs, code, by_level, by_size, cells, sixteen)
                for f in range(16):
                    mean[f] += sixteen[f]
                used += 1
                found = 0
        for f in range(16):
            out[row, f] = mean[_ORDER[f]] / used


@kernel
def _line_meets_two(
    cube: LevelArray, target: IntArray, filled: IntArray, n: int, radius: IntArray, offsets: IntArray, direction: int, step: int
) -> bool:
    """Whether two voxels of the window lie on one line, of which no two touch along it."""
    rows = 2 * radius[1] + 1
    columns = 2 * radius[2] + 1
    for t in range(n):
        k = filled[t]
        place = target[k]
        z = k // (rows * columns)
        y = k // columns % rows
        x = k % columns
        while True:
            z += offsets[direction, 0]
            y += offsets[direction, 1]
            x += offsets[direction, 2]
            if z > 2 * radius[0] or y < 0 or y >= rows or x < 0 or x >= columns:
                break
            place += step
            if cube[place]:
                return True
    return False
