"""GLCM maps: the 24 features in the window around every voxel, at the cost of the window's pairs whatever the number of levels.

A window has few pairs (158 in 27 voxels over 13 directions), so nothing is done per cell of a matrix: sums run over pairs, and an
entropy grows with every pair by the difference of n log2 n. Where PyRadiomics' value is what rounding left (levels that are
independent of each other), its additions are done in its order.
"""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, IntArray, LevelArray, kernel
from radpipe.features._kernels.cooccurrence import EPS
from radpipe.features._kernels.window_cells import bits_of_one_more
from radpipe.features._kernels.window_eigenvalue import MOST_STEPS, apart, largest_left, start_weights

NAMES = (
    "Autocorrelation", "ClusterProminence", "ClusterShade", "ClusterTendency", "Contrast", "Correlation", "DifferenceAverage",
    "DifferenceEntropy", "DifferenceVariance", "Id", "Idm", "Idmn", "Idn", "Imc1", "Imc2", "InverseVariance", "JointAverage",
    "JointEnergy", "JointEntropy", "MCC", "MaximumProbability", "SumAverage", "SumEntropy", "SumSquares",
)  # fmt: skip
WHOLE, PARTS = 14, 11
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
    flat_counts: bool,
    out: FloatArray,
) -> None:
    """out[k] : the features in the order of NAMES in the window around centres[k], mean over the directions that have a pair there.

    flat : int32, bordered levels, 0 outside. centres : flat places. window : (voxels,), the window's voxels as steps in ``flat``.
    first, second, starts : from :func:`window_pairs`. n_levels : Ng of the whole region, the highest level.
    all_directions_needed : JointAverage is NaN where a direction has no pair, as in PyRadiomics (its other features leave such a
    direction out). single_level : whether the whole region is of one level; MCC is 1 then. with_mcc : MCC is NaN otherwise. flat_counts :
    whether a direction whose pairs are all of one level has a Correlation (1) and an Imc1 (0), as with PyRadiomics; where not, it is
    left out of those two. NaN where no two voxels of a window are a pair.
    """
    most = 2
    for direction in range(starts.size - 1):
        most = max(most, 2 * (starts[direction + 1] - starts[direction]) + 2)
    bits = bits_of_one_more(int(most))
    of_difference = shares_of_difference(n_levels)
    distinct = min(window.size, n_levels)
    rank_of = np.full(n_levels + 1, -1, np.int32)
    rank = np.empty(window.size, np.int32)
    level = np.empty(distinct + 1, np.int64)
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
    start = start_weights(nodes)
    room = np.empty(4 * nodes + 2 * MOST_STEPS)
    whole = np.empty(WHOLE, np.int64)
    parts = np.empty(PARTS)
    acc = np.empty(25)
    out[:] = np.nan
    for k in range(centres.size):
        found = ranks(flat, centres[k], window, rank_of, rank, level)
        acc[:] = 0.0
        used = 0
        varying = 0
        for direction in range(starts.size - 1):
            here = first[starts[direction] : starts[direction + 1]]
            there = second[starts[direction] : starts[direction + 1]]
            n = sum_pairs(
                here,
                there,
                rank,
                level,
                found,
                symmetric,
                bits,
                of_difference,
                joint,
                of_row,
                of_column,
                sums,
                differences,
                whole,
                parts,
            )
            if n == 0:
                continue
            used += 1
            varied = add_direction(n, symmetric, level, found, joint, whole, parts, acc)
            varying += varied
            edges = put_back(here, there, rank, level, found, symmetric, joint, sums, differences, edge_a, edge_b, strength)
            if with_mcc and varied:
                acc[19] += _correlation(
                    edge_a, edge_b, strength, edges, of_row, of_column, found, n, symmetric, node_of, known, parent, start, room
                )
            of_row[:found] = 0
            of_column[:found] = 0
        if used:
            for feature in range(24):
                out[k, feature] = acc[feature] / used
            out[k, 14] = acc[14] / acc[24]  # Imc2, over the directions where it is a number
            if all_directions_needed and used < starts.size - 1:
                out[k, 16] = np.nan
            if not flat_counts:
                out[k, 5] = (acc[5] - (used - varying)) / varying
                out[k, 13] = acc[13] / varying
        if not with_mcc:
            out[k, 19] = np.nan
        elif single_level:
            out[k, 19] = 1.0


@kernel
def shares_of_difference(n_levels: int) -> FloatArray:
    """(Ng, 5) : what a pair of levels so far apart adds to Id, Idm, Idmn, Idn and InverseVariance."""
    shares = np.zeros((n_levels, 5))
    for k in range(n_levels):
        gap = np.float64(k)
        shares[k, 0] = 1.0 / (1.0 + gap)
        shares[k, 1] = 1.0 / (1.0 + gap * gap)
        shares[k, 2] = 1.0 / (1.0 + gap * gap / (n_levels * n_levels))
        shares[k, 3] = 1.0 / (1.0 + gap / n_levels)
        if k > 0:
            shares[k, 4] = 1.0 / (gap * gap)
    return shares


@kernel
def sum_pairs(
    first: LevelArray,
    second: LevelArray,
    rank: LevelArray,
    level: IntArray,
    found: int,
    symmetric: bool,
    bits: FloatArray,
    of_difference: FloatArray,
    joint: LevelArray,
    of_row: LevelArray,
    of_column: LevelArray,
    sums: LevelArray,
    differences: LevelArray,
    whole: IntArray,
    parts: FloatArray,
) -> int:
    """How many pairs of one direction lie in the window; their sums in ``whole`` and ``parts``, in the order that is read by
    :func:`add_direction`. joint, of_row, of_column (the same array where symmetric), sums, differences : counts, 0 before.

    Moments are taken about the levels of the first pair: they are whole numbers, and nothing cancels.
    """
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
    equal = np.int64(0)
    energy = 0
    energy_equal = 0
    highest = np.int64(0)
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
    twice = 1 if symmetric else 0
    for pair in range(first.size):
        a = np.int64(rank[np.uint32(first[pair])])
        b = np.int64(rank[np.uint32(second[pair])])
        if a < 0 or b < 0:
            continue
        l_a = level[np.uint64(a)]
        l_b = level[np.uint64(b)]
        if n == 0:
            x_0 = l_a
            y_0 = l_a if symmetric else l_b
        n += 1
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
        gap = abs(l_a - l_b)
        d_1 += gap
        d_2 += gap * gap
        d = np.uint64(gap)
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
        count = of_row[np.uint64(a)]
        bits_x += bits[np.uint32(count)]
        of_row[np.uint64(a)] = count + 1
        count = of_column[np.uint64(b)]
        bits_y += bits[np.uint32(count)]
        of_column[np.uint64(b)] = count + 1
        swap = twice * (a > b) * (a - b)
        place = np.uint64((a - swap) * found + b + swap)
        count = joint[place]
        bits_joint += bits[np.uint32(count)]
        joint[place] = count + 1
        same = np.int64(a == b)
        equal += same
        energy += 2 * count + 1
        energy_equal += same * (2 * count + 1)
        highest = max(highest, (count + 1) * (1 + same * twice))
    whole[0] = s_x
    whole[1] = s_y
    whole[2] = s_xx
    whole[3] = s_yy
    whole[4] = s_xy
    whole[5] = s_3
    whole[6] = d_1
    whole[7] = d_2
    whole[8] = equal
    whole[9] = energy
    whole[10] = energy_equal
    whole[11] = highest
    whole[12] = x_0
    whole[13] = y_0
    parts[0] = s_4
    parts[1] = bits_joint
    parts[2] = bits_x
    parts[3] = bits_sum
    parts[4] = bits_difference
    parts[5] = of_0
    parts[6] = of_1
    parts[7] = of_2
    parts[8] = of_3
    parts[9] = of_4
    parts[10] = bits_y
    return n


@kernel
def add_direction(
    n: int,
    symmetric: bool,
    level: IntArray,
    found: int,
    joint: LevelArray,
    whole: IntArray,
    parts: FloatArray,
    acc: FloatArray,
) -> bool:
    """Add the features of a direction's n pairs to acc[:24], but MCC; 1 to acc[24] where Imc2 is a number. Whether levels differ."""
    share = 1.0 / n
    s_x, s_y, s_xx, s_yy, s_xy = whole[0], whole[1], whole[2], whole[3], whole[4]
    base_x, base_y = np.float64(whole[12]), np.float64(whole[13])
    both = s_x + s_y
    square_sum = s_xx + s_yy + 2 * s_xy
    # Variances in whole numbers, so that none is a little above or below 0.
    if symmetric:
        total = 2.0 * n
        mean = both / total
        variance_x = (2 * n * (s_xx + s_yy) - both * both) / (total * total)
        variance_y = variance_x
        covariance = (4 * n * s_xy - both * both) / (total * total)
        deviations = variance_x
        most_bits = np.log2(total) - (parts[2] + parts[10]) / total
        entropies = 2.0 * most_bits
        entropy = np.log2(total) - (parts[1] + whole[8]) * share
        energy = 2.0 * (whole[9] + whole[10]) / (total * total)
    else:
        total = 1.0 * n
        mean = s_x * share
        variance_x = (n * s_xx - s_x * s_x) / (total * total)
        variance_y = (n * s_yy - s_y * s_y) / (total * total)
        covariance = (n * s_xy - s_x * s_y) / (total * total)
        deviations = np.sqrt(variance_x) * np.sqrt(variance_y)
        if deviations == 0.0 and variance_x + variance_y > 0.0:
            # PyRadiomics gives 1 where its mean of the one level is exact, and 0 (rounding over rounding) where not.
            deviations = 0.0 if _mean_is_exact(joint, found, level, total, variance_x == 0.0) else 1.0
        entropy = np.log2(total) - parts[1] * share
        entropy_x = np.log2(total) - parts[2] * share
        entropy_y = np.log2(total) - parts[10] * share
        entropies = entropy_x + entropy_y
        most_bits = max(entropy_x, entropy_y)
        energy = whole[9] / (total * total)
    varied = variance_x + variance_y > 0.0
    information = entropies - entropy
    mean_sum = both * share
    cube = whole[5] * share
    second_moment = square_sum * share
    acc[0] += (s_xy + base_x * s_y + base_y * s_x) * share + base_x * base_y
    acc[1] += parts[0] * share - mean_sum * (4.0 * cube - mean_sum * (6.0 * second_moment - 3.0 * mean_sum * mean_sum))
    acc[2] += cube - mean_sum * (3.0 * second_moment - 2.0 * mean_sum * mean_sum)
    acc[3] += (n * square_sum - both * both) * share * share
    acc[4] += whole[7] * share
    acc[5] += covariance / (deviations + EPS) if deviations != 0.0 else 1.0
    acc[6] += whole[6] * share
    acc[7] += np.log2(1.0 * n) - parts[4] * share
    acc[8] += (n * whole[7] - whole[6] * whole[6]) * share * share
    for k in range(4):
        acc[9 + k] += parts[5 + k] * share
    acc[15] += parts[9] * share
    if varied:
        acc[13] -= information / most_bits
        imc2 = (
            np.sqrt(1.0 - np.exp(-2.0 * information)) if information > _LEAST_GAP else _rounding(joint, found, total, symmetric)
        )
        if imc2 == imc2:
            acc[14] += imc2
            acc[24] += 1.0
    else:
        acc[24] += 1.0
    acc[16] += mean + base_x
    acc[17] += energy
    acc[18] += entropy
    acc[20] += whole[11] / total
    acc[21] += mean_sum + base_x + base_y
    acc[22] += np.log2(1.0 * n) - parts[3] * share
    acc[23] += variance_x
    return bool(varied)


@kernel
def put_back(
    first: LevelArray,
    second: LevelArray,
    rank: LevelArray,
    level: IntArray,
    found: int,
    symmetric: bool,
    joint: LevelArray,
    sums: LevelArray,
    differences: LevelArray,
    edge_a: LevelArray,
    edge_b: LevelArray,
    strength: FloatArray,
) -> int:
    """Set the counts of :func:`sum_pairs` back to 0; how many cells there were, their ranks in edge_a and edge_b, counts in strength."""
    twice = 1 if symmetric else 0
    edges = 0
    for pair in range(first.size):
        a = np.int64(rank[np.uint32(first[pair])])
        b = np.int64(rank[np.uint32(second[pair])])
        if a < 0 or b < 0:
            continue
        l_a = level[np.uint64(a)]
        l_b = level[np.uint64(b)]
        differences[np.uint64(abs(l_a - l_b))] = 0
        sums[np.uint64(l_a + l_b)] = 0
        swap = twice * (a > b) * (a - b)
        place = np.uint64((a - swap) * found + b + swap)
        count = joint[place]
        if count:
            joint[place] = 0
            edge_a[edges] = a - swap
            edge_b[edges] = b + swap
            strength[edges] = count * (1 + np.int64(a == b) * twice)
            edges += 1
    return edges


@kernel
def ranks(flat: LevelArray, centre: int, window: IntArray, rank_of: LevelArray, rank: LevelArray, level: IntArray) -> int:
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
    n: int,
    symmetric: bool,
    node_of: LevelArray,
    known: FloatArray,
    parent: LevelArray,
    start: FloatArray,
    room: FloatArray,
) -> float:
    """MCC of one direction's n pairs. strength : counts on the way in, entries of p / sqrt(px py) on the way out."""
    nodes = int(np.int64(0))  # of this type at once: what it calls would be compiled for the constant 0, too
    for a in range(found):
        if of_row[a]:
            node_of[a] = nodes
            nodes += 1
    rows = nodes
    shift = int(np.int64(0))
    if not symmetric:
        shift = found
        for b in range(found):
            if of_column[b]:
                node_of[found + b] = nodes
                nodes += 1
        if rows == 1 or nodes - rows == 1:
            return 0.0
    if edges < nodes - 1:
        return 1.0  # too few to hold all levels together, as in most windows of many levels
    for edge in range(edges):
        edge_a[edge] = node_of[np.uint32(edge_a[edge])]
        edge_b[edge] = node_of[np.uint32(edge_b[edge] + shift)]
    if apart(edge_a, edge_b, edges, nodes, symmetric, parent):
        return 1.0
    total = 2.0 * n if symmetric else 1.0 * n
    for a in range(found):
        if of_row[a]:
            known[node_of[a]] = np.sqrt(of_row[a] / total)
        if not symmetric and of_column[a]:
            known[node_of[found + a]] = np.sqrt(of_column[a] / total)
    trace = 0.0
    square = 0.0
    for edge in range(edges):
        a = edge_a[edge]
        b = edge_b[edge]
        entry = strength[edge] / (known[a] * known[b] * total)
        strength[edge] = entry
        square += entry * entry
        if a == b:
            trace += entry
        else:
            square += entry * entry
    if symmetric and rows <= 3:
        # One or two eigenvalues beside the 1: from the trace and the sum of squares.
        trace -= 1.0
        if rows == 2:
            return float(abs(trace))
        return float(0.5 * (abs(trace) + np.sqrt(max(0.0, 2.0 * (square - 1.0) - trace * trace))))
    return float(min(1.0, largest_left(edge_a, edge_b, strength, edges, known, rows, nodes, start, room)))


@kernel
def _count(joint: LevelArray, found: int, a: int, b: int, symmetric: bool) -> float:
    if not symmetric:
        return float(joint[a * found + b])
    if a == b:
        return float(2.0 * joint[a * found + b])
    return float(joint[min(a, b) * found + max(a, b)])


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
    return float(np.sqrt(1.0 - np.e ** (-2.0 * (entropy - entropy_2))))


@kernel
def _mean_is_exact(joint: LevelArray, found: int, level: IntArray, total: float, rows: bool) -> bool:
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
