"""GLSZM: connected zones of one grey level."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import IntArray, LevelArray, kernel


@kernel
def zones(levels: LevelArray, where: IntArray, offsets: IntArray, not_beside_left: IntArray) -> tuple[IntArray, IntArray]:
    """(level, size) of every connected zone, int64 each. offsets : half of the neighbourhood, those that come earlier in memory.

    Union-find in memory order; the root of a zone is its first voxel. The last offset is the nearest in memory ("left"). Where
    the voxel to the left is of the same level, it is joined already to every earlier neighbour of that level that touches it,
    so only those that do not touch it are looked at. not_beside_left : the offsets of these.
    """
    n = where.size
    number = np.empty(levels.size, np.int32)  # read only at voxels of the region that were passed already
    parent = np.empty(n, np.int32)
    all_steps = offsets.astype(np.uint64)  # unsigned: see pair_counts
    few_steps = not_beside_left.astype(np.uint64)
    to_left = all_steps[offsets.size - 1]
    for k in range(n):
        voxel = np.uint64(where[k])
        level = levels[voxel]
        number[voxel] = k
        parent[k] = k
        root = np.int32(k)
        joined = levels[voxel - to_left] == level
        if joined:
            root = _root(parent, np.int32(number[voxel - to_left]))
            parent[k] = root
        for step in few_steps if joined else all_steps:
            neighbour = voxel - step
            if levels[neighbour] == level:
                other = _root(parent, np.int32(number[neighbour]))
                if other < root:
                    parent[root] = other
                    root = other
                elif root < other:
                    parent[other] = root
    size = np.zeros(n, np.int64)
    count = 0
    for k in range(n):
        root = _root(parent, np.int32(parent[k]))
        if size[root] == 0:
            count += 1
        size[root] += 1
    zone_level = np.empty(count, np.int64)
    zone_size = np.empty(count, np.int64)
    place = 0
    for k in range(n):
        if size[k]:
            zone_level[place] = levels[where[k]]
            zone_size[place] = size[k]
            place += 1
    return zone_level, zone_size


@kernel
def _root(parent: LevelArray, k: np.int32) -> np.int32:
    """The first voxel of k's zone, as far as it is known; every second step on the way is shortened."""
    here = np.uint32(k)
    while parent[here] != np.int32(here):
        parent[here] = parent[np.uint32(parent[here])]
        here = np.uint32(parent[here])
    return np.int32(here)
