"""GLRLM: how long grey levels run on in a straight line."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, IntArray, LevelArray, kernel
from radpipe.features._kernels.cells import count_codes, occurring, parted
from radpipe.features._kernels.levelsize import level_size_features


@kernel
def run_counts(
    levels: LevelArray, where: LevelArray, offset: int, n_levels: int, longest: int, length: LevelArray
) -> tuple[IntArray, IntArray, IntArray, bool]:
    """(level, length, count) of every kind of run along ``offset``; whether two voxels of the region touch along it.

    Voxels come in memory order, so a voxel's predecessor has its length already; a run is told at its last voxel. Written
    without a branch on the levels, which no processor could predict.
    offset : above 0. length : room of the size of levels, whole numbers of any value.
    """
    width = longest + 1
    touching = 0
    small = (n_levels + 1) * width <= 4 * where.size + 65536
    table = np.zeros((n_levels + 1) * width if small else 0, np.int64)
    codes = np.empty(0 if small else where.size + 1, np.int64)
    found = 0
    step = np.uint64(offset)  # numba asks of every signed index whether it counts from the end; that costs more than the rest
    for place in where:
        voxel = np.uint64(place)
        level = levels[voxel]
        before = levels[voxel - step]
        so_far = np.int32(1) + length[voxel - step] * np.int32(before == level)
        length[voxel] = so_far
        touching |= before
        last = levels[voxel + step] != level
        code = np.int64(level) * width + so_far
        if small:
            table[np.uint64(code)] += last
        else:
            codes[found] = code
            found += last
    if small:
        kinds, counts = occurring(table)
    else:
        kinds, counts = count_codes(codes[:found], (n_levels + 1) * width)
    level_of, length_of = parted(kinds, width)
    return level_of, length_of, counts, touching != 0


@kernel
def all_directions(
    levels: LevelArray, where: LevelArray, steps: IntArray, n_levels: int, longest: int
) -> tuple[FloatArray, IntArray]:
    """((directions, 16) :func:`level_size_features` of every direction; 1 where two voxels of the region touch along it)."""
    out = np.empty((steps.size, 16))
    touching = np.zeros(steps.size, np.int64)
    room = np.zeros(levels.size, np.int32)
    for direction in range(steps.size):
        level, length, counts, touch = run_counts(levels, where, steps[direction], n_levels, longest, room)
        touching[direction] = touch
        row = level_size_features(level.astype(np.float64), length.astype(np.float64), counts.astype(np.float64))
        for k in range(16):  # numba compiles an assignment of whole rows for seconds
            out[direction, k] = row[k]
    return out, touching
