"""Connected zones of one grey level, and how near each comes to a border."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from radpipe.features._kernels._jit import IntArray, LevelArray, kernel
from radpipe.features._kernels.zones import linked

ShortArray: TypeAlias = NDArray[Any]  # whole numbers, of 16 bits where they suffice


@kernel
def zone_distances(
    levels: LevelArray, where: LevelArray, offsets: IntArray, distance: ShortArray, plane_size: int
) -> tuple[ShortArray, LevelArray, ShortArray, IntArray]:
    """(level, size, least distance of every connected zone, in order of the first voxels; number of zones that begin in each plane).

    levels : flat, bordered, at most 32,767. where : places of the region's voxels in it, ascending. offsets : half of the
    neighbourhood, as distances back in memory. distance : (voxels,) of the region's voxels, int16 or int32, as the least ones
    are. plane_size : voxels of a plane, with its border.
    """
    parent = linked(levels, where, offsets, offsets)
    count = 0
    for place in where:
        count += parent[np.uint64(place)] == place
    zone_level = np.empty(count, np.int16)
    size = np.zeros(count, np.int32)
    nearest = np.empty(count, distance.dtype)
    begin = np.zeros(levels.size // plane_size, np.int64)
    found = 0
    # A root comes before all others of its zone: from then on it holds the zone's number, below zero.
    for k in range(where.size):
        here = where[k]
        if parent[np.uint32(here)] == here:
            parent[np.uint32(here)] = -1 - found
            zone_level[found] = levels[np.uint32(here)]
            nearest[found] = distance[k]
            begin[here // plane_size] += 1
            zone = found
            found += 1
        else:
            here = parent[np.uint32(here)]
            while parent[np.uint32(here)] >= 0:
                here = parent[np.uint32(here)]
            zone = -1 - parent[np.uint32(here)]
            parent[np.uint32(where[k])] = here
            nearest[zone] = min(nearest[zone], distance[k])
        size[zone] += 1
    return zone_level, size, nearest, begin
