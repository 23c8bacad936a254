"""GLDM and NGTDM of every voxel's window, from one pass over the neighbours."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, IntArray, LevelArray, kernel
from radpipe.features._kernels.window_cells import (
    bits_of_one_more,
    bits_set,
    inverse_squares,
    level_size,
    numbered,
    window_places,
)

GLDM_NAMES = (
    "DependenceEntropy", "DependenceNonUniformity", "DependenceNonUniformityNormalized", "DependenceVariance",
    "GrayLevelNonUniformity", "GrayLevelVariance", "HighGrayLevelEmphasis", "LargeDependenceEmphasis",
    "LargeDependenceHighGrayLevelEmphasis", "LargeDependenceLowGrayLevelEmphasis", "LowGrayLevelEmphasis",
    "SmallDependenceEmphasis", "SmallDependenceHighGrayLevelEmphasis", "SmallDependenceLowGrayLevelEmphasis",
)  # fmt: skip
_BITS = 63  # of a word that is never negative
_WORDS = 2  # a window of radius 2; in larger ones, looking at all neighbours at a time is as fast
NGTDM_NAMES = ("Busyness", "Coarseness", "Complexity", "Contrast", "Strength")
GLDM_ORDER = np.array((9, 4, 5, 8, 2, 7, 11, 1, 15, 14, 10, 0, 13, 12))  # where each stands in level_size's


@kernel
def window_neighbourhood(
    flat: LevelArray,
    centres: IntArray,
    shape: IntArray,
    radius: IntArray,
    n_levels: int,
    offsets: IntArray,
    alpha: int,
    order: IntArray,
    lonely: bool,
    gldm: FloatArray,
    ngtdm: FloatArray,
) -> None:
    """gldm (centres, len(order)), ngtdm (centres, 5) : of the window around every centre; NaN where nothing is in it. A table of no
    rows is left out. order : as for :func:`~radpipe.features._kernels.window_zones.window_zones`; :data:`GLDM_ORDER` for
    :data:`GLDM_NAMES`. ngtdm holds :data:`NGTDM_NAMES`.

    flat, shape, radius : as for :func:`~radpipe.features._kernels.window_runs.window_runs`. offsets : (n, 3) to all neighbours,
    in both directions; one that reaches past the window finds nothing there. alpha : gldm_a.
    lonely : whether voxels without a neighbour in the window count in NGTDM, as with PyRadiomics; where not, they are left out of
    both tables, so one of the two is to be asked for at a time.
    """
    with_gldm = len(gldm) > 0
    with_ngtdm = len(ngtdm) > 0
    source, target, steps = window_places(shape, radius, offsets)
    most = source.size
    by_bits = with_gldm and alpha == 0 and most <= _WORDS * _BITS
    near_bits = np.zeros((most if by_bits else 0, _WORDS), np.int64)
    bit = np.zeros((len(near_bits), _WORDS), np.int64)
    if by_bits:
        _neighbours_as_bits(radius, offsets, bit, near_bits)
    of_level = np.zeros((min(most, n_levels) + 1, _WORDS), np.int64)
    place_of = np.empty(most + 1, np.int64)
    n_steps = 0
    for b in range(len(offsets)):
        if steps[b]:
            steps[n_steps] = steps[b]
            n_steps += 1
    near = np.int32(min(alpha, n_levels))
    outside = np.int32(-1 - n_levels)  # further from every level than near
    first = target[0]
    span = (target[most - 1] - first) // 32 * 32 + 32  # whole vectors; what lies between and behind the window's rows is not used
    cube = np.empty(2 * first + span, np.int32)
    for place in range(cube.size):
        cube[place] = outside
    dependent = np.empty(span, np.int32)
    total = np.empty(span, np.int32)
    around = np.empty(span, np.int32)
    kind = np.empty(most + 1, np.int32)
    size = np.empty(most + 1, np.int32)
    difference = np.empty(most + 1)
    code = np.empty(most, np.int32)
    number = np.zeros(n_levels + 1, np.int32)
    tone = np.empty(min(most, n_levels) + 1, np.int64)
    by_level = np.zeros(tone.size, np.int32)
    by_size = np.zeros(n_steps + 2, np.int32)
    cells = np.zeros(by_level.size * by_size.size, np.int32)
    share = np.empty(tone.size)
    spread = np.empty(tone.size)
    inverse = inverse_squares(max(n_levels, n_steps + 1))
    bits = bits_of_one_more(most)
    values = np.empty(17)
    for row in range(centres.size):
        for k in range(most):
            here = flat[np.uint64(centres[row] + source[k])]
            cube[np.uint64(target[k])] = here if here else outside
        if with_gldm and not by_bits:
            for v in range(span):
                dependent[v] = 1
            for s in range(n_steps):
                start = np.uint64(first + steps[s])
                for v in range(span):
                    gap = np.int32(cube[np.uint64(first) + np.uint64(v)] - cube[start + np.uint64(v)])
                    dependent[v] += np.int32(abs(gap) <= near)
        if with_ngtdm:
            for v in range(span):
                total[v] = 0
                around[v] = 0
            for s in range(n_steps):
                start = np.uint64(first + steps[s])
                for v in range(span):
                    other = cube[start + np.uint64(v)]
                    total[v] += max(other, np.int32(0))
                    around[v] += np.int32(other > 0)
        n = 0
        distinct = 0
        for k in range(most):
            here = max(cube[np.uint64(target[k])], np.int32(0))
            if not lonely:
                here *= min(around[np.uint64(target[k] - first)], 1)
            own = numbered(here, number, tone, int(distinct))
            distinct = max(distinct, own)
            kind[n] = own
            inner = np.uint64(target[k] - first)
            if by_bits:
                of_level[np.uint64(own), 0] |= bit[k, 0]
                of_level[np.uint64(own), 1] |= bit[k, 1]
                place_of[n] = k
            elif with_gldm:
                size[n] = dependent[inner]
            if with_ngtdm:
                # without a neighbour total is 0 and the level is multiplied by 0
                difference[n] = abs(here - total[inner] / max(around[inner], 1)) * min(around[inner], 1)
            n += here != 0
        if by_bits:
            for t in range(n):
                same = of_level[np.uint64(kind[t])]
                beside = near_bits[np.uint64(place_of[t])]
                size[t] = 1 + bits_set(beside[0] & same[0]) + bits_set(beside[1] & same[1])
            for k in range(distinct + 1):
                of_level[k, 0] = 0
                of_level[k, 1] = 0
        for k in range(1, distinct + 1):
            number[np.uint64(tone[k])] = 0
        if with_gldm:
            level_size(kind, size, int(n), int(distinct), tone, inverse, bits, code, by_level, by_size, cells, values)
            for f in range(order.size):
                gldm[row, f] = values[order[f]]
        if with_ngtdm:
            _tones(kind, difference, int(n), tone, int(distinct), share, spread, ngtdm[row])


@kernel
def _neighbours_as_bits(radius: IntArray, offsets: IntArray, bit: IntArray, near: IntArray) -> None:
    """Of every voxel of the window, in memory order: bit (voxels, words), its own; near, those of its neighbours. 0 before."""
    rows = 2 * radius[1] + 1
    columns = 2 * radius[2] + 1
    for k in range(len(near)):
        bit[k, k // _BITS] = 1 << (k % _BITS)
        for b in range(len(offsets)):
            z = k // (rows * columns) + offsets[b, 0]
            y = k // columns % rows + offsets[b, 1]
            x = k % columns + offsets[b, 2]
            if 0 <= z <= 2 * radius[0] and 0 <= y < rows and 0 <= x < columns:
                other = (z * rows + y) * columns + x
                near[k, other // _BITS] |= 1 << (other % _BITS)


@kernel
def _tones(
    kind: LevelArray,
    difference: FloatArray,
    n: int,
    tone: IntArray,
    distinct: int,
    p: FloatArray,
    s: FloatArray,
    out: FloatArray,
) -> None:
    """The five of :data:`NGTDM_NAMES`, of n voxels. tone : the level of each kind, 1 .. distinct. p, s : room of tone's size.

    Sums over pairs of levels that are made of whole numbers are taken apart, and are exact; Busyness keeps PyRadiomics' sum of
    |i p(i) - j p(j)|, which is 0, or not, by rounding.
    """
    if n == 0:
        out[:] = np.nan
        return
    for k in range(1, distinct + 1):
        p[k] = 0.0
        s[k] = 0.0
    for t in range(n):
        own = np.uint64(kind[t])
        p[own] += 1.0
        s[own] += difference[t]
    sum_ci = sum_cii = sum_i = sum_ii = all_differences = weighted = 0.0
    for k in range(1, distinct + 1):
        i = float(tone[k])
        count = p[k]
        sum_i += i
        sum_ii += i * i
        sum_ci += count * i
        sum_cii += count * i * i
        all_differences += s[k]
        p[k] = count / n
        weighted += p[k] * s[k]
    busy = 0.0
    complexity = 0.0
    for a in range(2, distinct + 1):
        for b in range(1, a):
            busy += abs(p[a] * float(tone[a]) - p[b] * float(tone[b]))
            complexity += abs(tone[a] - tone[b]) * (p[a] * s[a] + p[b] * s[b]) / (p[a] + p[b])
    voxels = float(n)
    variance = (voxels * sum_cii - sum_ci * sum_ci) / (voxels * voxels)
    strength = (distinct * sum_cii - 2.0 * sum_ci * sum_i + voxels * sum_ii) / voxels
    out[0] = weighted / (2.0 * busy) if busy != 0.0 else 0.0
    out[1] = 1.0 / weighted if weighted != 0.0 else 1e6
    out[2] = 2.0 * complexity / voxels
    out[3] = 2.0 * variance * all_differences / voxels / (distinct * (distinct - 1.0)) if distinct > 1 else 0.0
    out[4] = 2.0 * strength / all_differences if all_differences != 0.0 else 0.0
