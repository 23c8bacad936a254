"""The maximal correlation coefficient of one small matrix, as a list of edges between grey levels: a deflated iteration.

PyRadiomics takes the root of the second largest eigenvalue of Q(a, b) = sum over k of p(a, k) p(b, k) / (px(a) py(k)). With
S = p / sqrt(px py) that is the second largest singular value of S. The largest is 1, and its vectors are sqrt(px) and sqrt(py):
they are taken out of every step, and Lanczos' method finds the largest of what is left. A symmetric S is iterated on itself; of
another, rows and columns are nodes of their own, so that the matrix is [[0, S], [S', 0]].
"""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, LevelArray, kernel

MOST_STEPS = 160  # ends far earlier: some 10 steps at radius 1, 20 at radius 2
_RESIDUAL = 1e-13  # of the square: the eigenvalue is off by at most the root of it, and by about it over the gap


@kernel
def apart(first: LevelArray, second: LevelArray, edges: int, nodes: int, symmetric: bool, parent: LevelArray) -> bool:
    """Whether the coefficient is 1 for its graph alone: levels that fall into groups without a pair between them, or (symmetric
    only) into two groups with pairs only between them. parent : room for 2 * nodes."""
    for node in range(nodes):
        parent[node] = node
        parent[nodes + node] = 0  # odd where the way to the parent has an odd number of edges
    left = nodes
    odd = not symmetric
    for edge in range(edges):
        a = first[np.uint64(edge)]
        b = second[np.uint64(edge)]
        if a == b:
            odd = True
            continue
        side_a = np.int32(0)
        while parent[np.uint32(a)] != a:
            side_a ^= parent[np.uint32(nodes + a)]
            a = parent[np.uint32(a)]
        side_b = np.int32(0)
        while parent[np.uint32(b)] != b:
            side_b ^= parent[np.uint32(nodes + b)]
            b = parent[np.uint32(b)]
        if a != b:
            parent[np.uint32(b)] = a
            parent[np.uint32(nodes + b)] = side_a ^ side_b ^ 1
            left -= 1
        elif side_a == side_b:
            odd = True
        if odd and left == 1:
            return False
    return left > 1 or not odd


@kernel
def start_weights(n: int) -> FloatArray:
    """Numbers that stand in no simple relation to each other: an eigenvector must not be orthogonal to the first vector, and those
    of small matrices of counts are orthogonal to much that is drawn up by whole numbers."""
    weights = np.empty(n)
    for k in range(n):
        scattered = np.sin(12.9898 * (k + 1.0) * (k + 1.5)) * 43758.5453
        weights[k] = 0.6 * (scattered - np.floor(scattered))
    return weights


@kernel
def largest_left(
    first: LevelArray,
    second: LevelArray,
    strength: FloatArray,
    edges: int,
    known: FloatArray,
    rows: int,
    nodes: int,
    start: FloatArray,
    room: FloatArray,
) -> float:
    """The largest |eigenvalue| of the edges' symmetric matrix but for the known vectors'.

    first, second : int32, the nodes of an edge, each pair of nodes once. strength : what stands in the matrix.
    known : (nodes,), sqrt(px) on the first ``rows`` nodes, sqrt(py) on the others (none where the matrix is symmetric as it is);
    each part has length 1. start : from :func:`start_weights`. room : 3 * nodes + 2 * MOST_STEPS.
    """
    here = room[:nodes]
    before = room[nodes : 2 * nodes]
    image = room[2 * nodes : 3 * nodes]
    diagonal = room[3 * nodes : 3 * nodes + MOST_STEPS]
    beside = room[3 * nodes + MOST_STEPS : 3 * nodes + 2 * MOST_STEPS]  # squared
    for node in range(nodes):
        # Levels in order are near the usual answer; the rest is there so that no direction is missing, whatever its symmetry.
        here[node] = known[node] * (np.float64(node) / rows + start[node]) if node < rows else 0.0
        before[node] = 0.0
    _take_out(here, known, 0, rows)
    _take_out(here, known, 0, rows)
    length = 0.0
    for node in range(rows):
        length += here[node] * here[node]
    length = np.sqrt(length)
    if length < 1e-14:
        return 0.0
    for node in range(rows):
        here[node] /= length
    step_back = 0.0
    value = 0.0
    dimension = rows - 1 if rows == nodes else 2 * min(rows - 1, nodes - rows - 1)
    check = min(dimension, 6)
    for step in range(MOST_STEPS):
        for node in range(nodes):
            image[node] = -step_back * before[node]
        for edge in range(edges):
            a = np.uint32(first[np.uint64(edge)])
            b = np.uint32(second[np.uint64(edge)])
            weight = strength[np.uint64(edge)]
            image[a] += weight * here[b]
            if a != b:
                image[b] += weight * here[a]
        _take_out(image, known, 0, rows)
        if rows < nodes:
            _take_out(image, known, rows, nodes)
        along = 0.0
        for node in range(nodes):
            along += image[node] * here[node]
        square = 0.0
        for node in range(nodes):
            image[node] -= along * here[node]
            square += image[node] * image[node]
        diagonal[step] = along
        beside[step] = square
        used = step + 1
        over = square < _RESIDUAL  # the vectors close in on themselves; going on would be going on with rounding
        if over or used == check:
            value, share = _largest_root(diagonal, beside, used)
            if over or square * share < _RESIDUAL:
                return value
            check += 3 if used < 24 else 8
            if used < dimension < check:
                check = dimension
        step_back = np.sqrt(square)
        scale = 1.0 / step_back
        for node in range(nodes):
            before[node] = here[node]
            here[node] = image[node] * scale
    return value


@kernel
def _take_out(vector: FloatArray, known: FloatArray, start: int, stop: int) -> None:
    along = 0.0
    for node in range(start, stop):
        along += vector[node] * known[node]
    for node in range(start, stop):
        vector[node] -= along * known[node]


@kernel
def _largest_root(diagonal: FloatArray, beside: FloatArray, n: int) -> tuple[float, float]:
    """(largest |eigenvalue| of a symmetric tridiagonal matrix whose eigenvalues lie in -1 .. 1; the square of the last component
    of its unit vector). beside : squares of what stands off the diagonal."""
    value, share = _root_from_above(diagonal, beside, n, 1.0)
    # Nothing below -value as long as all leading minors of T + value are positive.
    two_back = 1.0
    one_back = 1.0
    for k in range(n):
        minor = (value + diagonal[k]) * one_back - (beside[k - 1] * two_back if k else 0.0)
        if minor < 0.0:
            return _root_from_above(diagonal, beside, n, -1.0)
        two_back = one_back
        one_back = minor
    return value, share


@kernel
def _root_from_above(diagonal: FloatArray, beside: FloatArray, n: int, sign: float) -> tuple[float, float]:
    """The largest eigenvalue of sign * T, by Laguerre's method from 1 downwards: it never steps past the root."""
    x = 1.0 + 1e-9
    share = 1.0
    for _ in range(60):
        p = 1.0
        p_before = 0.0
        d = 0.0  # first derivative
        d_before = 0.0
        c = 0.0  # second derivative
        c_before = 0.0
        for k in range(n):
            here = x - sign * diagonal[k]
            off = beside[k - 1] if k else 0.0
            c_next = here * c + 2.0 * d - off * c_before
            d_next = here * d + p - off * d_before
            p_next = here * p - off * p_before
            c_before = c
            d_before = d
            p_before = p
            c = c_next
            d = d_next
            p = p_next
        share = p_before / d if d > 0.0 else 1.0
        if not p > 0.0 or not d > 0.0:
            break
        g = d / p
        h = g * g - c / p
        step = n / (g + np.sqrt(max(0.0, (n - 1) * (n * h - g * g))))
        x -= step
        if step < 1e-11:
            break
    return max(x, 0.0), share
