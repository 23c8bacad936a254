"""Connected zones of one grey level: their size, and how near they come to the region's border."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radpipe.features._kernels._jit import LevelArray
from radpipe.features._kernels.zone_distances import zone_distances
from radpipe.features.region import Levels
from radpipe.typing import BoolVolume, IntArray


@dataclass(frozen=True)
class Zones:
    """(zones,) int32 each, in order of the zones' first voxels. plane : index of the plane of the first voxel, from 0.
    distance : the least of its voxels'."""

    level: LevelArray
    size: LevelArray
    distance: LevelArray
    plane: LevelArray


def find_zones(levels: Levels, offsets: IntArray, distance: NDArray[np.integer[Any]]) -> Zones:
    """offsets : (n, 3), one of each opposite pair, forward in memory. distance : (voxels,) of the region's voxels in memory
    order, from 1."""
    level, size, nearest, first = zone_distances(
        levels.flat, levels.where, levels.steps(offsets), distance.astype(np.int32, copy=False)
    )
    first //= levels.shape[1] * levels.shape[2]
    first -= _border(levels)
    return Zones(level, size, nearest, first)


def _border(levels: Levels) -> int:
    return (levels.shape[0] - levels.box[0]) // 2


def border_distance(morphological: BoolVolume, *, by_plane: bool) -> NDArray[np.int32]:
    """(z, y, x) int32 steps along the axes from every voxel of the mask to the outside of it, the image's edge included: 1 at the
    border.

    by_plane : within each plane across z only. Such a distance is the least over one axis of that plus the steps along the
    next, so one axis is done after the other, there and back, a plane at a time.
    """
    far = sum(morphological.shape) + 1
    steps = np.where(morphological, np.int32(far), np.int32(0))
    for plane in steps:
        _from_edges(plane)
        _from_edges(plane.T)
    if not by_plane:
        # Outside the image all is 0.
        for through in (steps, steps[::-1]):
            np.minimum(through[0], 1, out=through[0])
            for before, plane in itertools.pairwise(through):
                np.minimum(plane, before + 1, out=plane)
    return steps


def _from_edges(plane: NDArray[np.int32]) -> None:
    """(rows, columns), in place: the least over each row of the value there plus the steps to it; 0 beyond both ends."""
    n = plane.shape[1]
    place = np.arange(1, n + 1, dtype=np.int32)
    for there, step in ((plane, place), (plane[:, ::-1], place)):
        # Least of (value - place), so far, plus the place.
        nearest = np.minimum(np.minimum.accumulate(there - step, axis=1), 0)
        nearest += step
        np.minimum(there, nearest, out=there)
