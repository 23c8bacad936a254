"""GLRLM of every voxel's window."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, IntArray, LevelArray, kernel
from radpipe.features._kernels.window_cells import (
    bits_of_one_more,
    inverse_squares,
    level_size,
    numbered,
    weighted_level_size,
    window_places,
)

NAMES = (
    "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized", "GrayLevelVariance", "HighGrayLevelRunEmphasis",
    "LongRunEmphasis", "LongRunHighGrayLevelEmphasis", "LongRunLowGrayLevelEmphasis", "LowGrayLevelRunEmphasis", "RunEntropy",
    "RunLengthNonUniformity", "RunLengthNonUniformityNormalized", "RunPercentage", "RunVariance", "ShortRunEmphasis",
    "ShortRunHighGrayLevelEmphasis", "ShortRunLowGrayLevelEmphasis",
)  # fmt: skip
ORDER = np.array((2, 3, 7, 11, 1, 15, 14, 10, 9, 4, 5, 6, 8, 0, 13, 12))  # where each stands in level_size's


@kernel
def window_runs(
    flat: LevelArray,
    centres: IntArray,
    shape: IntArray,
    radius: IntArray,
    n_levels: int,
    offsets: IntArray,
    merged: bool,
    weights: FloatArray,
    every_direction: bool,
    order: IntArray,
    out: FloatArray,
) -> None:
    """out (centres, len(order)) : of the window around every centre. order : as for
    :func:`~radpipe.features._kernels.window_zones.window_zones`; :data:`ORDER` for :data:`NAMES`.

    flat : grey levels of a bordered box of ``shape`` (z, y, x), flattened; 0 outside. radius : (3,) of the window, 0 along the
    axis of force2D. offsets : (n, 3) of distance 1, one of each opposite pair, those that point forward in memory.
    merged : whether the directions' matrices are added first, or the features averaged over directions. weights : of each direction
    in that sum, or empty where all count the same. A direction in which no line of the window meets two voxels is left out unless
    ``every_direction``; NaN where none is left.
    """
    source, target, steps = window_places(shape, radius, offsets)
    most = source.size
    longest = 2 * max(radius[0], radius[1], radius[2]) + 1
    n_directions = steps.size
    weighted = merged and weights.size > 0
    room = most * n_directions if merged else most
    cube = np.zeros(target[0] + target[most - 1] + 1, np.int32)
    so_far = np.zeros(cube.size, np.int32)
    filled = np.empty(most + 1, np.int64)
    kind = np.empty(room + 1, np.int32)
    size = np.empty(room + 1, np.int32)
    weight = np.empty(room + 1 if weighted else 0)
    code = np.empty(room, np.int32)
    number = np.zeros(n_levels + 1, np.int32)
    tone = np.empty(min(most, n_levels) + 1, np.int64)
    by_level = np.zeros(tone.size, np.int32)
    by_size = np.zeros(longest + 1, np.int32)
    cells = np.zeros(by_level.size * by_size.size, np.int32)
    weight_of_level = np.zeros(tone.size if weighted else 0)
    weight_of_size = np.zeros(by_size.size)
    weight_of_cell = np.zeros(cells.size if weighted else 0)
    inverse = inverse_squares(max(n_levels, longest))
    bits = bits_of_one_more(int(room))
    values = np.empty(17)
    mean = np.empty(17)
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
        for f in range(17):
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
            if not (touching or every_direction) and not _line_meets_two(
                cube, target, filled, int(n), radius, offsets, direction, steps[direction]
            ):
                found = first
            if weighted:
                for t in range(first, found):
                    weight[t] = weights[direction]
            if merged and direction + 1 < n_directions:
                continue
            if found:
                if weighted:
                    weighted_level_size(
                        kind, size, weight, int(found), tone, code, weight_of_level, weight_of_size, weight_of_cell, values
                    )
                else:
                    level_size(kind, size, int(found), int(distinct), tone, inverse, bits, code, by_level, by_size, cells, values)
                for f in range(17):
                    mean[f] += values[f]
                used += 1
                found = 0
        for f in range(order.size):
            out[row, f] = mean[order[f]] / used


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
