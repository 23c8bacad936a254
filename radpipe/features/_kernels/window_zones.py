"""GLSZM of every voxel's window."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from radpipe.features._kernels._jit import FloatArray, IntArray, LevelArray, kernel
from radpipe.features._kernels.window_cells import (
    bits_of_one_more,
    bits_set,
    inverse_squares,
    level_size,
    numbered,
    window_places,
)

NAMES = (
    "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized", "GrayLevelVariance", "HighGrayLevelZoneEmphasis",
    "LargeAreaEmphasis", "LargeAreaHighGrayLevelEmphasis", "LargeAreaLowGrayLevelEmphasis", "LowGrayLevelZoneEmphasis",
    "SizeZoneNonUniformity", "SizeZoneNonUniformityNormalized", "SmallAreaEmphasis", "SmallAreaHighGrayLevelEmphasis",
    "SmallAreaLowGrayLevelEmphasis", "ZoneEntropy", "ZonePercentage", "ZoneVariance",
)  # fmt: skip
Codes: TypeAlias = NDArray[np.uint16]
ORDER = np.array((2, 3, 7, 11, 1, 15, 14, 10, 4, 5, 0, 13, 12, 9, 6, 8))  # where each stands in level_size's


@kernel
def window_zones(
    flat: LevelArray,
    centres: IntArray,
    shape: IntArray,
    radius: IntArray,
    n_levels: int,
    offsets: IntArray,
    order: IntArray,
    out: FloatArray,
) -> None:
    """out (centres, len(order)) : of the window around every centre, NaN where nothing is in it. order : which of
    :func:`~radpipe.features._kernels.window_cells.level_size`'s numbers; :data:`ORDER` for :data:`NAMES`.

    flat, shape, radius : as for :func:`~radpipe.features._kernels.window_runs.window_runs`. offsets : (n, 3) of distance 1, one
    of each opposite pair, those that point forward in memory; at most 13.

    A window of radius 1 is one word of bits, a voxel each, and its zones grow in it (:func:`_zones_of_bits`). In larger ones,
    which earlier neighbours of a voxel are of its level is found once for all windows, as one bit each; a window takes off
    those beyond its border, and joins what is left (union-find in memory order, the root of a zone is its first voxel).
    """
    if max(radius[0], radius[1], radius[2]) <= 1:
        _zones_of_bits(flat, centres, shape, radius, n_levels, order, out)
        return
    source, _, _ = window_places(shape, radius, offsets)
    most = source.size
    n_offsets = len(offsets)
    if centres.size == 0:
        return
    start = stop = centres[0]
    for centre in centres:
        start = min(start, centre)
        stop = max(stop, centre)
    start += source[0]
    alike = _alike(flat, start, stop + source[most - 1] + 1, shape, offsets)
    allowed = np.zeros(most, np.int64)
    back = np.empty(n_offsets, np.int64)
    back_of = np.zeros(37, np.int64)  # of a single bit; the powers of 2 differ modulo 37
    apart_of = np.zeros(
        37, np.int64
    )  # of a neighbour: those that do not touch it; the others of its level are joined to it already
    for b in range(n_offsets):
        back[b] = (offsets[b, 0] * (2 * radius[1] + 1) + offsets[b, 1]) * (2 * radius[2] + 1) + offsets[b, 2]
        back_of[(1 << b) % 37] = back[b]
        for c in range(n_offsets):
            far = False
            for axis in range(3):
                far |= abs(offsets[b, axis] - offsets[c, axis]) > 1
            if far:
                apart_of[(1 << b) % 37] |= 1 << c
    k = 0
    for z in range(2 * radius[0] + 1):
        for y in range(2 * radius[1] + 1):
            for x in range(2 * radius[2] + 1):
                for b in range(n_offsets):
                    fits = z >= offsets[b, 0] and 0 <= y - offsets[b, 1] <= 2 * radius[1]
                    if fits and 0 <= x - offsets[b, 2] <= 2 * radius[2]:
                        allowed[k] |= 1 << b
                k += 1
    parent = np.empty(most, np.int32)
    count = np.empty(most, np.int32)
    level = np.empty(most + 1, np.int32)
    size = np.empty(most + 1, np.int32)
    kind = np.empty(most, np.int32)
    code = np.empty(most, np.int32)
    number = np.zeros(n_levels + 1, np.int32)
    tone = np.empty(min(most, n_levels) + 1, np.int64)
    by_level = np.zeros(tone.size, np.int32)
    by_size = np.zeros(most + 1, np.int32)
    cells = np.zeros(by_level.size * by_size.size, np.int32)
    inverse = inverse_squares(max(n_levels, most))
    bits = bits_of_one_more(most)
    values = np.empty(17)
    for row in range(centres.size):
        corner = centres[row] - start
        for k in range(most):
            root = k
            parent[k] = k
            count[k] = 1
            touching = int(alike[np.uint64(corner + source[k])] & allowed[k])
            while touching:
                place = np.uint64(touching & -touching) % np.uint64(37)
                other = _root(parent, k - back_of[place])
                touching &= apart_of[place]
                if other != root:
                    low = min(other, root)
                    high = max(other, root)
                    parent[high] = low
                    count[low] += count[high]
                    root = low
        found = 0
        for k in range(most):  # without a branch, which no processor could predict
            here = flat[np.uint64(centres[row] + source[k])]
            level[found] = here
            size[found] = count[k]
            found += (parent[k] == k) & (here != 0)
        distinct = 0
        for t in range(found):
            own = numbered(level[t], number, tone, int(distinct))
            distinct = max(distinct, own)
            kind[t] = own
        for k in range(1, distinct + 1):
            number[np.uint64(tone[k])] = 0
        level_size(kind, size, int(found), int(distinct), tone, inverse, bits, code, by_level, by_size, cells, values)
        for f in range(order.size):
            out[row, f] = values[order[f]]


@kernel
def _zones_of_bits(
    flat: LevelArray, centres: IntArray, shape: IntArray, radius: IntArray, n_levels: int, order: IntArray, out: FloatArray
) -> None:
    """:func:`window_zones` of windows of radius 1. Voxel (z, y, x) of a window is bit 16 z + 4 y + x: what a shift carries over
    the window's border falls on bits that no voxel has."""
    source, _, _ = window_places(shape, radius, np.zeros((0, 3), np.int64))
    most = source.size
    bit = np.empty(most, np.int64)
    k = 0
    for z in range(2 * radius[0] + 1):
        for y in range(2 * radius[1] + 1):
            for x in range(2 * radius[2] + 1):
                bit[k] = 1 << (16 * z + 4 * y + x)
                k += 1
    number = np.zeros(n_levels + 1, np.int32)
    tone = np.empty(min(most, n_levels) + 1, np.int64)
    of_level = np.zeros(tone.size, np.int64)
    kind = np.empty(most, np.int32)
    size = np.empty(most, np.int32)
    code = np.empty(most, np.int32)
    by_level = np.zeros(tone.size, np.int32)
    by_size = np.zeros(most + 1, np.int32)
    cells = np.zeros(by_level.size * by_size.size, np.int32)
    inverse = inverse_squares(max(n_levels, most))
    bits = bits_of_one_more(most)
    values = np.empty(17)
    for row in range(centres.size):
        distinct = 0
        for k in range(most):
            own = numbered(flat[np.uint64(centres[row] + source[k])], number, tone, int(distinct))
            distinct = max(distinct, own)
            of_level[np.uint64(own)] |= bit[k]
        found = 0
        for k in range(1, distinct + 1):
            left = of_level[np.uint64(k)]
            of_level[np.uint64(k)] = 0
            number[np.uint64(tone[np.uint64(k)])] = 0
            while left:
                zone = left & -left
                if zone != left:  # else the only voxel that is left of the level
                    zone = _grown(zone, left)
                    grown = _grown(zone, left)
                    while grown != zone:
                        zone = grown
                        grown = _grown(zone, left)
                left ^= zone
                kind[found] = k
                size[found] = bits_set(zone)
                found += 1
        of_level[0] = 0
        level_size(kind, size, int(found), int(distinct), tone, inverse, bits, code, by_level, by_size, cells, values)
        for f in range(order.size):
            out[row, f] = values[order[f]]


@kernel
def _grown(zone: int, within: int) -> int:
    """The bits of a zone and of all its 26 neighbours that are ``within``."""
    line = zone | (zone << 1) | (zone >> 1)
    plane = line | (line << 4) | (line >> 4)
    return (plane | (plane << 16) | (plane >> 16)) & within


@kernel
def _alike(flat: LevelArray, start: int, stop: int, shape: IntArray, offsets: IntArray) -> Codes:
    """uint16 (stop - start,) : bit b where a voxel and the one at minus offsets[b] are of one level, which is not 0."""
    found = np.zeros(stop - start, np.uint16)
    for b in range(len(offsets)):
        step = (offsets[b, 0] * shape[1] + offsets[b, 1]) * shape[2] + offsets[b, 2]
        bit = np.uint16(1 << b)
        first = max(start, step)
        here = np.uint64(first)  # unsigned, and no branch: a loop the compiler makes vectors of
        before = np.uint64(first - step)
        into = np.uint64(first - start)
        for k in range(stop - first):
            level = flat[here + np.uint64(k)]
            same = (level != 0) & (level == flat[before + np.uint64(k)])
            found[into + np.uint64(k)] |= bit if same else np.uint16(0)
    return found


@kernel
def _root(parent: LevelArray, k: int) -> int:
    """The first voxel of k's zone, as far as it is known; every second step on the way is shortened."""
    here = np.uint64(k)
    while np.uint64(parent[here]) != here:
        parent[here] = parent[np.uint64(parent[here])]
        here = np.uint64(parent[here])
    return int(parent[here])
