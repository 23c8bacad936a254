"""Connected zones of one grey level: their size, and how near they come to the region's border.

Zones of all planes are found in one go by the connected components of a graph whose edges join neighbours of one level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_cdt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from radpipe.features.region import Levels
from radpipe.typing import BoolVolume, IntArray


@dataclass(frozen=True)
class Zones:
    """(zones,) int64 each. plane : index of the plane of the zone's first voxel, from 0. distance : the least of its voxels'."""

    level: IntArray
    size: IntArray
    distance: IntArray
    plane: IntArray


def find_zones(levels: Levels, offsets: IntArray, distance: IntArray) -> Zones:
    """offsets : (n, 3), one of each opposite pair. distance : (voxels,) of the region's voxels in memory order, from 1."""
    n = levels.where.size
    number = np.zeros(levels.flat.size, np.int32)
    number[levels.where] = np.arange(n, dtype=np.int32)
    own = levels.flat[levels.where]
    starts, ends = [], []
    for step in levels.steps(offsets):
        neighbour = levels.where + step
        alike = np.flatnonzero(levels.flat[neighbour] == own)
        starts.append(alike.astype(np.int32))
        ends.append(number[neighbour[alike]])
    start, end = np.concatenate(starts), np.concatenate(ends)
    graph = coo_array((np.ones(start.size, np.int8), (start, end)), shape=(n, n))
    count, label = connected_components(graph, directed=False)
    first = np.full(count, n, np.int64)
    np.minimum.at(first, label, np.arange(n))
    nearest = np.full(count, np.iinfo(np.int64).max, np.int64)
    np.minimum.at(nearest, label, distance)
    plane = levels.where[first] // (levels.shape[1] * levels.shape[2]) - _border(levels)
    return Zones(own[first].astype(np.int64), np.bincount(label, minlength=count), nearest, plane)


def _border(levels: Levels) -> int:
    return (levels.shape[0] - levels.box[0]) // 2


def border_distance(morphological: BoolVolume, *, by_plane: bool) -> IntArray:
    """(z, y, x) steps along the axes from every voxel of the mask to the outside of it, the image's edge included: 1 at the border.

    by_plane : within each plane across z only.
    """
    if not by_plane:
        return _city_block(np.pad(morphological, 1))[1:-1, 1:-1, 1:-1]
    # Planes one above the other, with a line of zeros between them: one image, and no way from plane to plane.
    z, y, x = morphological.shape
    stacked = np.pad(morphological, ((0, 0), (1, 1), (1, 1))).reshape(z * (y + 2), x + 2)
    return _city_block(stacked).reshape(z, y + 2, x + 2)[:, 1:-1, 1:-1]


def _city_block(mask: BoolVolume) -> IntArray:
    return np.asarray(distance_transform_cdt(mask, metric="taxicab"), dtype=np.int64)
