"""Longest distances between the points where the surface cuts the voxel grid.

The points are the middles of all faces between a voxel inside and one outside, in doubled indices so that they are
whole numbers. The two ends of a longest distance are corners of the hull of every plane section they lie in, so
points that are not are dropped plane by plane, with whole-number arithmetic; what is left is measured pair by pair.
"""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import Bytes, FloatArray, IntArray, LevelArray, kernel


@kernel
def row_ends(mask: Bytes) -> tuple[LevelArray, LevelArray]:
    """First and last surface point on every line: of x on each (z, y), and of y on each (z, x).

    mask : (z, y, x) uint8 with a border of zeros. Both (., ., 2) int32, -1 where a line has none.
    """
    depth, height, width = mask.shape
    along_x = np.full((2 * depth, 2 * height, 2), -1, np.int32)
    along_y = np.full((2 * depth, 2 * width, 2), -1, np.int32)
    for z in range(depth - 1):
        for y in range(height - 1):
            for x in range(width - 1):
                here = mask[z, y, x]
                if here != mask[z + 1, y, x]:
                    _extend(along_x, 2 * z + 1, 2 * y, 2 * x)
                    _extend(along_y, 2 * z + 1, 2 * x, 2 * y)
                if here != mask[z, y + 1, x]:
                    _extend(along_x, 2 * z, 2 * y + 1, 2 * x)
                    _extend(along_y, 2 * z, 2 * x, 2 * y + 1)
                if here != mask[z, y, x + 1]:
                    _extend(along_x, 2 * z, 2 * y, 2 * x + 1)
                    _extend(along_y, 2 * z, 2 * x + 1, 2 * y)
    return along_x, along_y


@kernel
def _extend(ends: LevelArray, plane: int, line: int, place: int) -> None:
    if ends[plane, line, 0] < 0:
        ends[plane, line, 0] = place
        ends[plane, line, 1] = place
    else:
        ends[plane, line, 0] = min(ends[plane, line, 0], place)
        ends[plane, line, 1] = max(ends[plane, line, 1], place)


@kernel
def hull_of_rows(ends: LevelArray) -> IntArray:
    """Corners of the convex hull of the points (row, ends[row]): (n, 2) int64.

    ends : (rows, 2) int32, -1 where a row is empty. Two chains over rows in order (Andrew 1979).
    """
    n = 0
    for row in range(ends.shape[0]):
        if ends[row, 0] >= 0:
            n += 1
    chain = np.empty((2 * n, 2), np.int64)
    size = 0
    for side in range(2):
        start = size
        for row in range(ends.shape[0]):
            if ends[row, 0] < 0:
                continue
            r = row
            c = np.int64(ends[row, side])
            while size - start >= 2:
                turn = (chain[size - 1, 0] - chain[size - 2, 0]) * (c - chain[size - 2, 1]) - (
                    chain[size - 1, 1] - chain[size - 2, 1]
                ) * (r - chain[size - 2, 0])
                if (side == 0 and turn > 0) or (side == 1 and turn < 0):
                    break
                size -= 1
            chain[size, 0] = r
            chain[size, 1] = c
            size += 1
    return chain[:size]


@kernel
def plane_diameters(ends: LevelArray, row_mm: float, column_mm: float) -> tuple[float, IntArray]:
    """(longest squared distance within any plane, mm2; hull corners of all planes (n, 3) int64: plane, row, column).

    ends : (planes, rows, 2) int32, doubled indices.
    """
    planes = ends.shape[0]
    best = 0.0
    kept = np.empty((0, 3), np.int64)
    total = 0
    for plane in range(planes):
        corners = hull_of_rows(ends[plane])
        n = corners.shape[0]
        if n == 0:
            continue
        if total + n > kept.shape[0]:
            larger = np.empty((2 * (total + n), 3), np.int64)
            for k in range(total):
                for axis in range(3):
                    larger[k, axis] = kept[k, axis]
            kept = larger
        for k in range(n):
            kept[total, 0] = plane
            kept[total, 1] = corners[k, 0]
            kept[total, 2] = corners[k, 1]
            total += 1
        for k in range(n):
            a = corners[k, 0] * 0.5 * row_mm
            b = corners[k, 1] * 0.5 * column_mm
            for m in range(k):
                da = a - corners[m, 0] * 0.5 * row_mm
                db = b - corners[m, 1] * 0.5 * column_mm
                best = max(best, da * da + db * db)
    return best, kept[:total]


def longest(points: FloatArray) -> float:
    """The longest squared distance between two of the points, mm2. points : (n, 3) float64, mm.

    A few hops, each to the point farthest from the last, come close to it. Then points far from the middle are measured first,
    and a pair whose distances from the middle cannot add up to the best is not measured.
    """
    middle = (points.min(axis=0) + points.max(axis=0)) / 2.0
    radius = np.sqrt(((points - middle) ** 2).sum(axis=1))
    start = int(radius.argmax())
    widest = float(radius[start])
    best = 0.0
    for _ in range(4):
        away = ((points - points[start]) ** 2).sum(axis=1)
        start = int(away.argmax())
        if away[start] <= best:
            break
        best = float(away[start])
    # What cannot reach the best with any partner is left out before anything is sorted.
    kept = np.flatnonzero(radius >= (np.sqrt(best) - widest) * (1.0 - 1e-12))
    kept = kept[np.argsort(-radius[kept])]
    return float(_longest(points[kept], radius[kept], best))


@kernel
def _longest(points: FloatArray, radius: FloatArray, best: float) -> float:
    """``best``, or the longer squared distance between two of the points. radius : their distances from one place, descending."""
    for p in range(radius.size):
        reach = np.sqrt(best) * (1.0 - 1e-12)
        if radius[0] + radius[p] < reach:
            break
        for q in range(p):
            if radius[p] + radius[q] < reach:
                break
            d0 = points[p, 0] - points[q, 0]
            d1 = points[p, 1] - points[q, 1]
            d2 = points[p, 2] - points[q, 2]
            best = max(best, d0 * d0 + d1 * d1 + d2 * d2)
    return best
