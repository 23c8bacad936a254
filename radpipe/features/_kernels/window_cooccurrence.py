"""GLCM maps: the 24 features in the window around every voxel, at the cost of the window's pairs whatever the number of levels.

A window has few pairs (158 in 27 voxels over 13 directions), so nothing is done per cell of a matrix: sums run over pairs, and an
entropy grows with every pair by the difference of n log2 n. Where PyRadiomics' value is what rounding left (levels that are
independent of each other), its additions are done in its order.
"""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, IntArray, LevelArray, kernel
from radpipe.features._kernels.cooccurrence import EPS
from radpipe.features._kernels.window_eigenvalue import MOST_STEPS, apart, largest_left, start_weights

NAMES = (
    "Autocorrelation", "ClusterProminence", "ClusterShade", "ClusterTendency", "Contrast", "Correlation", "DifferenceAverage",
    "DifferenceEntropy", "DifferenceVariance", "Id", "Idm", "Idmn", "Idn", "Imc1", "Imc2", "InverseVariance", "JointAverage",
    "JointEnergy", "JointEntropy", "MCC", "MaximumProbability", "SumAverage", "SumEntropy", "SumSquares",
)  # fmt: skip
_LEAST_GAP = 1e-8  # HXY2 - HXY below which Imc2 is PyRadiomics' rounding


def window_pairs(radius: tuple[int, int, int], angles: IntArray) -> tuple[IntArray, LevelArray, LevelArray, IntArray]:
    """The window and its pairs, for :func:`window_glcm`.

    radius : of the window in (z, y, x), 0 along an axis that force2D leaves out. angles : (n, 3) offsets.
    Returns (offsets (voxels, 3) of the window's voxels in memory order; first and second voxel of every pair, int32, direction by
    direction; where each direction starts, (n + 1,)).
    """
    shape = tuple(2 * r + 1 for r in radius)
    offsets = np.argwhere(np.ones(shape, bool)) - np.asarray(radius)
    number = np.arange(offsets.shape[0]).reshape(shape)
    firsts, seconds, starts = [], [], [0]
    for angle in np.asarray(angles):
        here = tuple(slice(max(0, -step), max(0, size - max(0, step))) for step, size in zip(angle, shape, strict=True))
        there = tuple(slice(max(0, step), max(0, size - max(0, -step))) for step, size in zip(angle, shape, strict=True))
        inside = all(abs(step) < size for step, size in zip(angle, shape, strict=True))
        firsts.append(number[here].ravel() if inside else number[:0].ravel())
        seconds.append(number[there].ravel() if inside else number[:0].ravel())
        starts.append(starts[-1] + firsts[-1].size)
    first = np.concatenate(firsts).astype(np.int32)
    return offsets.astype(np.int64), first, np.concatenate(seconds).astype(np.int32), np.asarray(starts, np.int64)


@kernel
def directions_with_pairs(
    flat: LevelArray, centres: IntArray, window: IntArray, first: LevelArray, second: LevelArray, starts: IntArray
) -> IntArray:
    """(directions,), 1 for each direction that has a pair in the window of at least one centre."""
    found = np.zeros(starts.size - 1, np.int64)
    left = found.size
    for centre in centres:
        if left == 0:
            break
        for direction in range(found.size):
            if found[direction]:
                continue
            for pair in range(starts[direction], starts[direction + 1]):
                if flat[centre + window[first[pair]]] and flat[centre + window[second[pair]]]:
                    found[direction] = 1
                    left -= 1
                    break
    return found


@kernel
def window_glcm(
    flat: LevelArray,
    centres: IntArray,
    window: IntArray,
    first: LevelArray,
    second: LevelArray,
    starts: IntArray,
    n_levels: int,
    symmetric: bool,
    with_mcc: bool,
    single_level: bool,
    all_directions_needed: bool,
    out: FloatArray,
) -> None:
    """out[k] : the features in the order of NAMES in the window around centres[k], mean over the directions that have a pair there.

    flat : int32, bordered levels, 0 outside. centres : flat places. window : (voxels,), the window's voxels as steps in ``flat``.
    first, second, starts : from :func:`window_pairs`. n_levels : Ng of the whole region, the highest level.
    all_directions_needed : JointAverage is NaN where a direction has no pair, as in PyRadiomics (its other features leave such a
    direction out). single_level : whether the whole region is of one level; MCC is 1 then. with_mcc : MCC is left as it is in
    ``out`` otherwise. NaN where no two voxels of a window are a pair.
    """
    most = 1
    for direction in range(starts.size - 1):
        most = max(most, starts[direction + 1] - starts[direction])
    most = 2 * most + 2
    bits = np.empty(most)  # (n + 1) log2(n + 1) - n log2 n
    root = np.empty(most)
    root[0] = 0.0
    before = 0.0
    for n in range(1, most + 1):
        now = n * np.log2(np.float64(n))
        bits[n - 1] = now - before
        before = now
        if n < most:
            root[n] = np.sqrt(np.float64(n))
    of_difference = np.empty((n_levels, 5))  # what a pair adds to Id, Idm, Idmn, Idn, InverseVariance
    for k in range(n_levels):
        square = np.float64(k) * k
        of_difference[k, 0] = 1.0 / (1.0 + k)
        of_difference[k, 1] = 1.0 / (1.0 + square)
        of_difference[k, 2] = 1.0 / (1.0 + square / (np.float64(n_levels) * n_levels))
        of_difference[k, 3] = 1.0 / (1.0 + np.float64(k) / n_levels)
        of_difference[k, 4] = 1.0 / square if k else 0.0
    size = window.size
    distinct = min(size, n_levels)
    rank_of = np.full(n_levels + 1, -1, np.int32)
    rank = np.empty(size, np.int32)
    level = np.empty(distinct + 1, np.int32)
    joint = np.zeros(distinct * distinct, np.int32)
    of_row = np.zeros(distinct, np.int32)
    of_column = of_row if symmetric else np.zeros(distinct, np.int32)
    sums = np.zeros(2 * n_levels + 1, np.int32)
    differences = np.zeros(n_levels + 1, np.int32)
    nodes = 2 * distinct
    edge_a = np.empty(most, np.int32)
    edge_b = np.empty(most, np.int32)
    strength = np.empty(most)
    node_of = np.empty(nodes, np.int32)
    known = np.empty(nodes)
    parent = np.empty(2 * nodes, np.int32)
    room = np.empty(3 * nodes + 2 * MOST_STEPS)
    start = start_weights(nodes)
    acc = np.empty(24)
    for k in range(centres.size):
        found = ranks(flat, centres[k], window, rank_of, rank, level)
        lowest = level[0]
        acc[:] = 0.0
        used = 0
        imc2_used = 0
        for direction in range(starts.size - 1):
            n = 0
            s_x = 0
            s_y = 0
            s_xx = 0
            s_yy = 0
            s_xy = 0
            s_3 = 0
            s_4 = 0.0
            d_1 = 0
            d_2 = 0
            equal = 0
            energy = 0
            highest = 0
            bits_joint = 0.0
            bits_x = 0.0
            bits_y = 0.0
            bits_sum = 0.0
            bits_difference = 0.0
            of_0 = 0.0
            of_1 = 0.0
            of_2 = 0.0
            of_3 = 0.0
            of_4 = 0.0
            x_0 = 0
            y_0 = 0
            for pair in range(starts[direction], starts[direction + 1]):
                a = rank[np.uint32(first[np.uint64(pair)])]
                b = rank[np.uint32(second[np.uint64(pair)])]
                if a < 0 or b < 0:
                    continue
                l_a = np.int64(level[np.uint32(a)] - lowest)
                l_b = np.int64(level[np.uint32(b)] - lowest)
                if n == 0:
                    x_0 = l_a
                    y_0 = l_a if symmetric else l_b
                n += 1
                # Moments about the first pair: whole numbers, and nothing cancels.
                x = l_a - x_0
                y = l_b - y_0
                s_x += x
                s_y += y
                s_xx += x * x
                s_yy += y * y
                s_xy += x * y
                t = x + y
                s_3 += t * t * t
                s_4 += np.float64(t * t) * np.float64(t * t)
                d = np.uint64(abs(l_a - l_b))
                d_1 += np.int64(d)
                d_2 += np.int64(d) * np.int64(d)
                of_0 += of_difference[d, 0]
                of_1 += of_difference[d, 1]
                of_2 += of_difference[d, 2]
                of_3 += of_difference[d, 3]
                of_4 += of_difference[d, 4]
                count = differences[d]
                bits_difference += bits[np.uint32(count)]
                differences[d] = count + 1
                place = np.uint64(l_a + l_b)
                count = sums[place]
                bits_sum += bits[np.uint32(count)]
                sums[place] = count + 1
                count = of_row[np.uint32(a)]
                bits_x += bits[np.uint32(count)]
                of_row[np.uint32(a)] = count + 1
                count = of_column[np.uint32(b)]
                bits_y += bits[np.uint32(count)]
                of_column[np.uint32(b)] = count + 1
                if symmetric:
                    place = np.uint64(min(a, b) * found + max(a, b))
                else:
                    place = np.uint64(a * found + b)
                same = np.int64(a == b)
                count = joint[place]
                bits_joint += bits[np.uint32(count)]
                joint[place] = count + 1
                equal += same
                if symmetric:
                    energy += (2 + 2 * same) * (2 * np.int64(count) + 1)
                    highest = max(highest, (np.int64(count) + 1) * (1 + same))
                else:
                    energy += 2 * np.int64(count) + 1
                    highest = max(highest, np.int64(count) + 1)
            if n == 0:
                continue
            used += 1
            number = np.float64(n)
            share = 1.0 / number
            if symmetric:
                total = 2.0 * number
                mean = np.float64(s_x + s_y) / total
                square = np.float64((s_x + s_y) * (s_x + s_y))
                variance = (total * np.float64(s_xx + s_yy) - square) / (total * total)
                variance_y = variance
                covariance = (4.0 * number * np.float64(s_xy) - square) / (total * total)
                deviations = variance
                entropy_x = np.log2(total) - (bits_x + bits_y) / total
                entropy_y = entropy_x
                entropy = np.log2(number) + 1.0 - (bits_joint + equal) * share
            else:
                total = number
                mean = np.float64(s_x) * share
                variance = np.float64(n * s_xx - s_x * s_x) * share * share
                variance_y = np.float64(n * s_yy - s_y * s_y) * share * share
                covariance = np.float64(n * s_xy - s_x * s_y) * share * share
                deviations = np.sqrt(variance) * np.sqrt(variance_y)
                if deviations == 0.0 and (variance > 0.0 or variance_y > 0.0):
                    # PyRadiomics gives 1 where its mean of the one level is exact, and 0 (rounding over rounding) where not.
                    exact = _mean_is_exact(joint, found, level, number, variance == 0.0)
                    deviations = 0.0 if exact else 1.0
                entropy_x = np.log2(number) - bits_x * share
                entropy_y = np.log2(number) - bits_y * share
                entropy = np.log2(number) - bits_joint * share
            gap = entropy_x + entropy_y - entropy
            mean_sum = np.float64(s_x + s_y) * share
            square_sum = np.float64(s_xx + s_yy + 2 * s_xy)
            cube_sum = np.float64(s_3) * share
            tendency = (number * square_sum - np.float64((s_x + s_y) * (s_x + s_y))) * share * share
            second_moment = square_sum * share
            base_x = np.float64(x_0 + lowest)
            base_y = np.float64(y_0 + lowest)
            most_bits = max(entropy_x, entropy_y)
            one_level = variance == 0.0 and variance_y == 0.0
            acc[0] += (np.float64(s_xy) + base_x * np.float64(s_y) + base_y * np.float64(s_x)) * share + base_x * base_y
            acc[1] += np.float64(s_4) * share - mean_sum * (
                4.0 * cube_sum - mean_sum * (6.0 * second_moment - 3.0 * mean_sum * mean_sum)
            )
            acc[2] += cube_sum - mean_sum * (3.0 * second_moment - 2.0 * mean_sum * mean_sum)
            acc[3] += tendency
            acc[4] += np.float64(d_2) * share
            acc[5] += covariance / (deviations + EPS) if deviations != 0.0 else 1.0
            acc[6] += np.float64(d_1) * share
            acc[7] += np.log2(number) - bits_difference * share
            acc[8] += np.float64(n * d_2 - d_1 * d_1) * share * share
            acc[9] += of_0 * share
            acc[10] += of_1 * share
            acc[11] += of_2 * share
            acc[12] += of_3 * share
            acc[13] -= gap / most_bits if most_bits > 1e-12 else 0.0
            if one_level:
                imc2_used += 1
            elif gap > _LEAST_GAP:
                acc[14] += np.sqrt(1.0 - np.exp(-2.0 * gap))
                imc2_used += 1
            else:
                rounded = _rounding(joint, found, total, symmetric)
                if rounded == rounded:
                    acc[14] += rounded
                    imc2_used += 1
            acc[15] += of_4 * share
            acc[16] += mean + base_x
            acc[17] += np.float64(energy) / (total * total)
            acc[18] += entropy
            acc[20] += np.float64(highest) / total
            acc[21] += mean_sum + base_x + base_y
            acc[22] += np.log2(number) - bits_sum * share
            acc[23] += variance
            # Back to zero, and from the cells that are met, the edges.
            edges = 0
            for pair in range(starts[direction], starts[direction + 1]):
                a = rank[np.uint32(first[np.uint64(pair)])]
                b = rank[np.uint32(second[np.uint64(pair)])]
                if a < 0 or b < 0:
                    continue
                l_a = np.int64(level[np.uint32(a)] - lowest)
                l_b = np.int64(level[np.uint32(b)] - lowest)
                differences[np.uint64(abs(l_a - l_b))] = 0
                sums[np.uint64(l_a + l_b)] = 0
                low = a
                high = b
                if symmetric and a > b:
                    low = b
                    high = a
                place = np.uint64(low * found + high)
                count = joint[place]
                if count:
                    joint[place] = 0
                    edge_a[np.uint64(edges)] = low
                    edge_b[np.uint64(edges)] = high
                    strength[np.uint64(edges)] = count * 2 if symmetric and low == high else count
                    edges += 1
            if with_mcc and not one_level:
                acc[19] += _correlation(
                    edge_a,
                    edge_b,
                    strength,
                    edges,
                    of_row,
                    of_column,
                    found,
                    total,
                    symmetric,
                    root,
                    node_of,
                    known,
                    parent,
                    start,
                    room,
                )
            for a in range(found):
                of_row[a] = 0
                of_column[a] = 0
        if used == 0:
            for feature in range(24):
                if feature != 19 or with_mcc:
                    out[k, feature] = np.nan
        else:
            for feature in range(24):
                if feature != 19 or with_mcc:
                    out[k, feature] = acc[feature] / used
            if with_mcc and single_level:
                out[k, 19] = 1.0
            out[k, 14] = acc[14] / imc2_used if imc2_used else np.nan
            if all_directions_needed and used < starts.size - 1:
                out[k, 16] = np.nan


@kernel
def ranks(flat: LevelArray, centre: int, window: IntArray, rank_of: LevelArray, rank: LevelArray, level: LevelArray) -> int:
    """How many levels the window holds; level : these, ascending; rank : of every voxel, -1 outside. rank_of : -1 throughout."""
    found = 0
    for k in range(window.size):
        here = flat[np.uint64(centre + window[k])]
        rank[k] = here
        if here and rank_of[np.uint32(here)] < 0:
            rank_of[np.uint32(here)] = 0
            # Into its place among those found: they are few.
            place = found
            while place > 0 and level[place - 1] > here:
                level[place] = level[place - 1]
                place -= 1
            level[place] = here
            found += 1
    for k in range(found):
        rank_of[np.uint32(level[k])] = k
    for k in range(window.size):
        rank[k] = rank_of[np.uint32(rank[k])]
    for k in range(found):
        rank_of[np.uint32(level[k])] = -1
    return found


@kernel
def _correlation(
    edge_a: LevelArray,
    edge_b: LevelArray,
    strength: FloatArray,
    edges: int,
    of_row: LevelArray,
    of_column: LevelArray,
    found: int,
    total: float,
    symmetric: bool,
    root: FloatArray,
    node_of: LevelArray,
    known: FloatArray,
    parent: LevelArray,
    start: FloatArray,
    room: FloatArray,
) -> float:
    """MCC of one direction. strength : counts on the way in, entries of p / sqrt(px py) on the way out."""
    nodes = 0
    whole = np.sqrt(total)
    for a in range(found):
        if of_row[a]:
            node_of[a] = nodes
            known[nodes] = root[np.uint32(of_row[a])] / whole
            nodes += 1
    rows = nodes
    if not symmetric:
        for b in range(found):
            if of_column[b]:
                node_of[found + b] = nodes
                known[nodes] = root[np.uint32(of_column[b])] / whole
                nodes += 1
        if rows == 1 or nodes - rows == 1:
            return 0.0
    shift = np.int32(0 if symmetric else found)
    for edge in range(edges):
        edge_a[edge] = node_of[np.uint32(edge_a[edge])]
        edge_b[edge] = node_of[np.uint32(edge_b[edge] + shift)]
    if apart(edge_a, edge_b, edges, nodes, symmetric, parent):
        return 1.0
    trace = 0.0
    square = 0.0
    for edge in range(edges):
        a = np.uint32(edge_a[edge])
        b = np.uint32(edge_b[edge])
        entry = strength[edge] / (known[a] * known[b] * total)
        strength[edge] = entry
        if a == b:
            trace += entry
            square += entry * entry
        else:
            square += 2.0 * entry * entry
    if symmetric and rows <= 3:
        # One or two eigenvalues beside the 1: from the trace and the sum of squares.
        trace -= 1.0
        if rows == 2:
            return abs(trace)
        return 0.5 * (abs(trace) + np.sqrt(max(0.0, 2.0 * (square - 1.0) - trace * trace)))
    return min(1.0, largest_left(edge_a, edge_b, strength, edges, known, rows, nodes, start, room))


@kernel
def _count(joint: LevelArray, found: int, a: int, b: int, symmetric: bool) -> float:
    if not symmetric:
        return np.float64(joint[a * found + b])
    if a == b:
        return 2.0 * joint[a * found + b]
    return np.float64(joint[min(a, b) * found + max(a, b)])


@kernel
def _rounding(joint: LevelArray, found: int, total: float, symmetric: bool) -> float:
    """Imc2 by PyRadiomics' additions in PyRadiomics' order, for levels that are all but independent; may be NaN."""
    px = np.zeros(found)
    py = np.zeros(found)
    entropy = 0.0
    for a in range(found):
        for b in range(found):
            p = _count(joint, found, a, b, symmetric) / total
            px[a] += p
            py[b] += p
            if p > 0.0:
                entropy += p * np.log2(p + EPS)
    entropy_2 = 0.0
    for a in range(found):
        for b in range(found):
            both = px[a] * py[b]
            if both > 0.0:
                entropy_2 += both * np.log2(both + EPS)
    if entropy == entropy_2:
        return 0.0
    return np.sqrt(1.0 - np.e ** (-2.0 * (entropy - entropy_2)))


@kernel
def _mean_is_exact(joint: LevelArray, found: int, level: LevelArray, total: float, rows: bool) -> bool:
    """Whether PyRadiomics' mean of the one level that all pairs have on one side is that level to the last bit."""
    mean = 0.0
    only = 0.0
    for a in range(found):
        for b in range(found):
            count = joint[a * found + b]
            if count:
                only = np.float64(level[a] if rows else level[b])
                mean += only * (count / total)
    return mean == only
