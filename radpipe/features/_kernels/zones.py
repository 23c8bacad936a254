"""GLSZM: connected zones of one grey level."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import IntArray, LevelArray, kernel
from radpipe.features._kernels.cells import count_codes, occurring


@kernel
def zones(levels: LevelArray, where: LevelArray, offsets: IntArray, not_beside_left: IntArray) -> tuple[LevelArray, LevelArray]:
    """(level, size) of every connected zone, int32 each. offsets : half of the neighbourhood, those that come earlier in memory.

    not_beside_left : see :func:`linked`.
    """
    parent, count, _ = _sized(levels, where, offsets, not_beside_left)
    zone_level = np.empty(count, np.int32)
    zone_size = np.empty(count, np.int32)
    found = 0
    for place in where:
        voxel = np.uint64(place)
        if parent[voxel] < 0:
            zone_level[found] = levels[voxel]
            zone_size[found] = -parent[voxel]
            found += 1
    return zone_level, zone_size


@kernel
def zone_cells(
    levels: LevelArray, where: LevelArray, offsets: IntArray, not_beside_left: IntArray, n_levels: int
) -> tuple[IntArray, IntArray, int]:
    """(codes, counts, the largest size): the zones' matrix as its cells; a code is (level - 1) * largest + size - 1, ascending."""
    parent, count, largest = _sized(levels, where, offsets, not_beside_left)
    limit = n_levels * largest
    small = limit <= where.size // 2 + 65536
    table = np.zeros(limit if small else 0, np.int64)
    codes = np.empty(0 if small else count, np.int64)
    found = 0
    for place in where:
        voxel = np.uint64(place)
        if parent[voxel] < 0:
            code = np.int64(levels[voxel] - 1) * largest - parent[voxel] - 1
            if small:
                table[code] += 1
            else:
                codes[found] = code
                found += 1
    if small:
        cells, counts = occurring(table)
    else:
        cells, counts = count_codes(codes, limit)
    return cells, counts, largest


@kernel
def _sized(levels: LevelArray, where: LevelArray, offsets: IntArray, not_beside_left: IntArray) -> tuple[LevelArray, int, int]:
    """(at the first voxel of every zone minus its size, elsewhere in the region 0 or more; number of zones; the largest size)."""
    parent = linked(levels, where, offsets, not_beside_left)
    # A root comes before all others of its zone: from then on it holds the size, below zero, and its voxels lead to it.
    count = 0
    largest = 0
    for place in where:
        voxel = np.uint64(place)
        here = np.int32(parent[voxel])
        if here == place:
            parent[voxel] = -1
            count += 1
            largest = max(largest, 1)
        else:
            while parent[np.uint32(here)] >= 0:
                here = parent[np.uint32(here)]
            parent[voxel] = here
            parent[np.uint32(here)] -= 1
            largest = max(largest, -parent[np.uint32(here)])
    return parent, count, largest


@kernel
def linked(levels: LevelArray, where: LevelArray, offsets: IntArray, not_beside_left: IntArray) -> LevelArray:
    """(levels.size,) int32, for every voxel of the region an earlier one of its zone, or itself where it is the first; what stands
    elsewhere means nothing.

    Union-find in memory order. The last offset is taken first ("left", the nearest in memory). Where the voxel there is of the
    same level, it is joined already to every earlier neighbour of that level that touches it, so only those that do not touch it
    are looked at. not_beside_left : the offsets of these, or all.
    """
    parent = np.empty(levels.size, np.int32)  # read only at voxels of the region that were passed already
    all_steps = offsets.astype(np.uint64)  # unsigned: see pair_counts
    few_steps = not_beside_left.astype(np.uint64)
    to_left = all_steps[offsets.size - 1]
    for place in where:
        voxel = np.uint64(place)
        level = levels[voxel]
        root = np.int32(place)
        joined = levels[voxel - to_left] == level
        if joined:
            root = _root(parent, np.int32(parent[voxel - to_left]))
        parent[voxel] = root
        for step in few_steps if joined else all_steps:
            neighbour = voxel - step
            if levels[neighbour] == level:
                other = _root(parent, np.int32(parent[neighbour]))
                if other < root:
                    parent[np.uint32(root)] = other
                    root = other
                elif root < other:
                    parent[np.uint32(other)] = root
    return parent


@kernel
def _root(parent: LevelArray, voxel: np.int32) -> np.int32:
    """The first voxel of a voxel's zone, as far as it is known; every second step on the way is shortened."""
    here = np.uint32(voxel)
    while parent[here] != np.int32(here):
        parent[here] = parent[np.uint32(parent[here])]
        here = np.uint32(parent[here])
    return np.int32(here)
