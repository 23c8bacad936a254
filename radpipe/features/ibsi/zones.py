"""Connected zones of one grey level: their size, and how near they come to the region's border."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from radpipe.features._kernels._jit import LevelArray
from radpipe.features._kernels.zone_distances import ShortArray, zone_distances
from radpipe.features.region import Levels
from radpipe.typing import BoolVolume, IntArray


@dataclass(frozen=True)
class Zones:
    """(zones,) each, in order of the zones' first voxels. distance : the least of its voxels'. begin : (z,) number of zones whose
    first voxel lies in each plane."""

    level: ShortArray
    size: LevelArray
    distance: ShortArray
    begin: IntArray

    @property
    def plane(self) -> IntArray:
        """(zones,) index of the plane of the first voxel, from 0."""
        return np.repeat(np.arange(self.begin.size), self.begin)


def find_zones(levels: Levels, offsets: IntArray, distance: ShortArray) -> Zones:
    """offsets : (n, 3), one of each opposite pair, forward in memory. distance : (voxels,) of the region's voxels in memory
    order, from 1."""
    _, y, x = levels.shape
    level, size, nearest, begin = zone_distances(levels.flat, levels.where, levels.steps(offsets), distance, y * x)
    border = (levels.shape[0] - levels.box[0]) // 2
    return Zones(level, size, nearest, begin[border : begin.size - border])


def border_distance(morphological: BoolVolume, *, by_plane: bool) -> ShortArray:
    """(z, y, x) steps along the axes from every voxel of the mask to the outside of it, the image's edge included: 1 at the border.
    int16, or int32 where the mask is too long for that.

    by_plane : within each plane across z only. Such a distance is the least over one axis of that plus the steps along the
    next, so one axis is done after the other, there and back, a plane at a time.
    """
    kind = np.int16 if max(morphological.shape) < np.iinfo(np.int16).max else np.int32
    steps = np.where(morphological, kind(np.iinfo(kind).max), kind(0))
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


def _from_edges(plane: ShortArray) -> None:
    """(rows, columns), in place: the least over each row of the value there plus the steps to it; 0 beyond both ends."""
    n = plane.shape[1]
    place = np.arange(1, n + 1, dtype=plane.dtype)
    for there, step in ((plane, place), (plane[:, ::-1], place)):
        # Least of (value - place), so far, plus the place.
        nearest = np.minimum(np.minimum.accumulate(there - step, axis=1), 0)
        nearest += step
        np.minimum(there, nearest, out=there)
