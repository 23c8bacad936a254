"""GLSZM: connected zones of one grey level."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import IntArray, LevelArray, kernel


@kernel
def zones(levels: LevelArray, where: IntArray, offsets: IntArray) -> tuple[IntArray, IntArray]:
    """(level, size) of every connected zone, int64 each. offsets : half of the neighbourhood, those that come earlier in memory.

    Union-find in memory order; the root of a zone is its first voxel.
    """
    n = where.size
    number = np.empty(levels.size, np.int32)  # read only at voxels of the region that were passed already
    parent = np.empty(n, np.int32)
    for k in range(n):
        voxel = where[k]
        level = levels[voxel]
        number[voxel] = k
        parent[k] = k
        root = k
        for offset in offsets:
            neighbour = voxel - offset
            if levels[neighbour] == level:
                other = number[neighbour]
                while parent[other] != other:
                    parent[other] = parent[parent[other]]
                    other = parent[other]
                if other < root:
                    parent[root] = other
                    root = other
                elif root < other:
                    parent[other] = root
    size = np.zeros(n, np.int64)
    count = 0
    for k in range(n):
        root = parent[k]
        while parent[root] != root:
            root = parent[root]
        parent[k] = root
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
