"""GLRLM: how long grey levels run on in a straight line."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import IntArray, LevelArray, kernel


@kernel
def run_codes(levels: LevelArray, where: IntArray, offset: int, longest: int) -> tuple[IntArray, bool]:
    """((level - 1) * longest + length - 1 of every run along ``offset``; whether two voxels of the region touch along it).

    A run starts at a voxel whose predecessor is of another level or outside; from there it is walked to its end.
    """
    codes = np.empty(where.size, np.int64)
    found = 0
    touching = False
    for voxel in where:
        level = levels[voxel]
        before = levels[voxel - offset]
        if before:
            touching = True
            if before == level:
                continue
        length = 1
        ahead = voxel + offset
        while levels[ahead] == level:
            length += 1
            ahead += offset
        codes[found] = (level - 1) * longest + length - 1
        found += 1
    return codes[:found], touching
