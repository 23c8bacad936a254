"""GLCM maps with weightingNorm: one matrix a window, its directions weighted by distance and added first.

Weights are no whole numbers, so sums run over the window's cells: as many as its levels squared, at most a window's voxels squared.
"""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import Bytes, FloatArray, IntArray, LevelArray, kernel
from radpipe.features._kernels.cooccurrence import EPS
from radpipe.features._kernels.window_cooccurrence import ranks
from radpipe.features._kernels.window_eigenvalue import MOST_STEPS, apart, largest_left, start_weights

_LEAST_GAP = 1e-8
_MOST_DOUBT = 1e-9  # what EPS may change in a cell's share before MCC feels it


@kernel
def window_glcm_weighted(
    flat: LevelArray,
    centres: IntArray,
    window: IntArray,
    first: LevelArray,
    second: LevelArray,
    starts: IntArray,
    weights: FloatArray,
    n_levels: int,
    symmetric: bool,
    with_mcc: bool,
    out: FloatArray,
    doubtful: Bytes,
) -> None:
    """As :func:`window_glcm`, of the one matrix that is the sum over directions of weights[direction] times its counts.

    doubtful[k] : 1 where PyRadiomics' value is rounding, or its eps counts: such a window is to be done over in its own order.
    """
    size = window.size
    distinct = min(size, n_levels)
    rank_of = np.full(n_levels + 1, -1, np.int32)
    rank = np.empty(size, np.int32)
    level = np.empty(distinct + 1, np.int64)
    joint = np.empty((distinct, distinct))
    px = np.empty(distinct)
    py = np.empty(distinct)
    sums = np.zeros(2 * n_levels + 1)
    differences = np.zeros(n_levels + 1)
    nodes = 2 * distinct
    edge_a = np.empty(distinct * distinct, np.int32)
    edge_b = np.empty(distinct * distinct, np.int32)
    strength = np.empty(distinct * distinct)
    node_of = np.empty(nodes, np.int32)
    known = np.empty(nodes)
    parent = np.empty(2 * nodes, np.int32)
    start = start_weights(nodes)
    room = np.empty(4 * nodes + 2 * MOST_STEPS)
    acc = np.empty(24)
    for k in range(centres.size):
        doubtful[k] = 0
        found = ranks(flat, centres[k], window, rank_of, rank, level)
        joint[:found, :found] = 0.0
        total = 0.0
        for direction in range(starts.size - 1):
            weight = weights[direction]
            for pair in range(starts[direction], starts[direction + 1]):
                a = rank[first[pair]]
                b = rank[second[pair]]
                if a < 0 or b < 0:
                    continue
                joint[a, b] += weight
                total += weight
                if symmetric:
                    joint[b, a] += weight
                    total += weight
        if not total > 0.0:
            for feature in range(24):
                if feature != 19 or with_mcc:
                    out[k, feature] = np.nan
            continue
        acc[:] = 0.0
        lowest = level[0]
        px[:found] = 0.0
        py[:found] = 0.0
        mean_x = 0.0
        mean_y = 0.0
        for a in range(found):
            for b in range(found):
                p = joint[a, b] / total
                joint[a, b] = p
                if p == 0.0:
                    continue
                px[a] += p
                py[b] += p
                mean_x += p * level[a]
                mean_y += p * level[b]
                gap = abs(level[b] - level[a])
                square = np.float64(gap) * gap
                differences[gap] += p
                sums[level[a] + level[b] - 2 * lowest] += p
                acc[0] += p * level[a] * level[b]
                acc[4] += p * square
                acc[6] += p * gap
                acc[9] += p / (1.0 + gap)
                acc[10] += p / (1.0 + square)
                acc[11] += p / (1.0 + square / (np.float64(n_levels) * n_levels))
                acc[12] += p / (1.0 + np.float64(gap) / n_levels)
                if gap:
                    acc[15] += p / square
                acc[17] += p * p
                acc[18] -= p * np.log2(p + EPS)
                acc[20] = max(acc[20], p)
        rows = 0
        columns = 0
        entropy_x = 0.0
        entropy_y = 0.0
        for a in range(found):
            if px[a] > 0.0:
                rows += 1
                entropy_x -= px[a] * np.log2(px[a] + EPS)
            if py[a] > 0.0:
                columns += 1
                entropy_y -= py[a] * np.log2(py[a] + EPS)
        variance_x = 0.0
        variance_y = 0.0
        covariance = 0.0
        cross = 0.0
        independent = 0.0
        strongest = 0.0
        for a in range(found):
            for b in range(found):
                both = px[a] * py[b]
                if both > 0.0:
                    independent -= both * np.log2(both + EPS)
                p = joint[a, b]
                if p == 0.0:
                    continue
                strongest = max(strongest, EPS / both)
                x = level[a] - mean_x
                y = level[b] - mean_y
                variance_x += p * x * x
                variance_y += p * y * y
                covariance += p * x * y
                both_ways = x + y
                acc[3] += p * both_ways * both_ways
                acc[2] += p * both_ways * both_ways * both_ways
                acc[1] += p * both_ways * both_ways * both_ways * both_ways
                cross -= p * np.log2(both + EPS)
                acc[8] += p * (abs(level[b] - level[a]) - acc[6]) ** 2
                gap = abs(level[b] - level[a])
                if differences[gap] > 0.0:
                    acc[7] -= differences[gap] * np.log2(differences[gap] + EPS)
                    differences[gap] = 0.0
                place = level[a] + level[b] - 2 * lowest
                if sums[place] > 0.0:
                    acc[22] -= sums[place] * np.log2(sums[place] + EPS)
                    sums[place] = 0.0
        one_level = rows == 1 and columns == 1
        if one_level:
            acc[5] = 1.0
        else:
            acc[5] = covariance / (np.sqrt(variance_x) * np.sqrt(variance_y) + EPS)
            most_bits = max(entropy_x, entropy_y)
            acc[13] = (acc[18] - cross) / most_bits
            information = independent - acc[18]
            acc[14] = np.sqrt(1.0 - np.exp(-2.0 * information)) if information > 0.0 else 0.0
            if information < _LEAST_GAP or rows == 1 or columns == 1:
                doubtful[k] = 1
        acc[16] = mean_x
        acc[21] = mean_x + mean_y
        acc[23] = variance_x
        if with_mcc and not (one_level or rows == 1 or columns == 1):
            if strongest > _MOST_DOUBT:
                doubtful[k] = 1
            else:
                acc[19] = _correlation(
                    joint, px, py, found, symmetric, edge_a, edge_b, strength, node_of, known, parent, start, room
                )
        for feature in range(24):
            if feature != 19 or with_mcc:
                out[k, feature] = acc[feature]


@kernel
def _correlation(
    joint: FloatArray,
    px: FloatArray,
    py: FloatArray,
    found: int,
    symmetric: bool,
    edge_a: LevelArray,
    edge_b: LevelArray,
    strength: FloatArray,
    node_of: LevelArray,
    known: FloatArray,
    parent: LevelArray,
    start: FloatArray,
    room: FloatArray,
) -> float:
    """MCC of the matrix of probabilities."""
    nodes = int(np.int64(0))  # of this type at once: what it calls would be compiled for the constant 0, too
    for a in range(found):
        if px[a] > 0.0:
            node_of[a] = nodes
            known[nodes] = np.sqrt(px[a])
            nodes += 1
    rows = nodes
    if not symmetric:
        for b in range(found):
            if py[b] > 0.0:
                node_of[found + b] = nodes
                known[nodes] = np.sqrt(py[b])
                nodes += 1
    edges = int(np.int64(0))
    for a in range(found):
        for b in range(a if symmetric else 0, found):
            if joint[a, b] > 0.0:
                edge_a[edges] = node_of[a]
                edge_b[edges] = node_of[b + (0 if symmetric else found)]
                strength[edges] = joint[a, b] / (known[edge_a[edges]] * known[edge_b[edges]])
                edges += 1
    if apart(edge_a, edge_b, edges, nodes, symmetric, parent):
        return 1.0
    return float(min(1.0, largest_left(edge_a, edge_b, strength, edges, known, rows, nodes, start, room)))
