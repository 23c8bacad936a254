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
_RESIDUAL = 1e-12  # of the square: the eigenvalue is off by at most the root of it, and by about it over the gap


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

    first, second : int32, the nodes of an edge, each pair of nodes once. strength : what stands in the matrix. All three are used up.
    known : (nodes,), sqrt(px) on the first ``rows`` nodes, sqrt(py) on the others (none where the matrix is symmetric as it is);
    each part has length 1. start : from :func:`start_weights`. room : 4 * nodes + 2 * MOST_STEPS.
    """
    here = room[:nodes]
    before = room[nodes : 2 * nodes]
    image = room[2 * nodes : 3 * nodes]
    own = room[3 * nodes : 4 * nodes]
    diagonal = room[4 * nodes : 4 * nodes + MOST_STEPS]
    beside = room[4 * nodes + MOST_STEPS : 4 * nodes + 2 * MOST_STEPS]  # squared
    for node in range(nodes):
        # Levels in order are near the usual answer; the rest is there so that no direction is missing, whatever its symmetry.
        here[node] = known[node] * (np.float64(node) / rows + start[node]) if node < rows else 0.0
        before[node] = 0.0
        own[node] = 0.0
    between = 0
    for edge in range(edges):
        if first[edge] == second[edge]:
            own[first[edge]] = strength[edge]
        else:
            first[between] = first[edge]
            second[between] = second[edge]
            strength[between] = strength[edge]
            between += 1
    for _ in range(2):
        along = 0.0
        for node in range(rows):
            along += here[node] * known[node]
        for node in range(rows):
            here[node] -= along * known[node]
    square = 0.0
    for node in range(rows):
        square += here[node] * here[node]
    if square < 1e-28:
        return 0.0
    for node in range(rows):
        here[node] /= np.sqrt(square)
    step_back = 0.0
    before_rows = 0.0
    before_columns = 0.0
    value = 0.0
    sign = 1.0
    above = 1.0
    dimension = rows - 1 if rows == nodes else 2 * min(rows - 1, nodes - rows - 1)
    check = min(dimension, 12)
    for step in range(MOST_STEPS):
        for node in range(nodes):
            image[node] = own[node] * here[node]
        for edge in range(between):
            a = np.uint32(first[edge])
            b = np.uint32(second[edge])
            weight = strength[edge]
            image[a] += weight * here[b]
            image[b] += weight * here[a]
        # The known vectors' share of what will be left, not of the image: rounding in their direction would grow with every step.
        along = 0.0
        image_rows = 0.0
        image_columns = 0.0
        here_rows = 0.0
        here_columns = 0.0
        for node in range(rows):
            along += image[node] * here[node]
            image_rows += image[node] * known[node]
            here_rows += here[node] * known[node]
        for node in range(rows, nodes):
            along += image[node] * here[node]
            image_columns += image[node] * known[node]
            here_columns += here[node] * known[node]
        known_rows = image_rows - along * here_rows - step_back * before_rows
        known_columns = image_columns - along * here_columns - step_back * before_columns
        before_rows = here_rows
        before_columns = here_columns
        square = 0.0
        for node in range(nodes):
            part = known_rows if node < rows else known_columns
            left = image[node] - part * known[node] - along * here[node] - step_back * before[node]
            image[node] = left
            square += left * left
        diagonal[step] = along
        beside[step] = square
        used = step + 1
        over = square < _RESIDUAL  # the vectors close in on themselves; going on would be going on with rounding
        if over or used == check:
            value, share, sign = _largest_root(diagonal, beside, used, sign, above)
            if over or square * share < _RESIDUAL:
                return value
            above = value + 2.0 * np.sqrt(square * share)
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
def _largest_root(diagonal: FloatArray, beside: FloatArray, n: int, sign: float, above: float) -> tuple[float, float, float]:
    """(largest |eigenvalue| of a symmetric tridiagonal matrix T whose eigenvalues lie in -1 .. 1; the square of the last component of
    its unit vector; its sign). beside : squares of what stands off the diagonal. sign, above : a guess at its sign and a bound."""
    value, share = _root_from_above(diagonal, beside, n, sign, above)
    # Nothing is larger on the other side as long as all leading minors of value + sign * T are positive.
    two_back = 1.0
    one_back = value + sign * diagonal[0]
    for k in range(1, n):
        if one_back < 0.0:
            break
        minor = (value + sign * diagonal[k]) * one_back - beside[k - 1] * two_back
        two_back = one_back
        one_back = minor
    if one_back < 0.0:
        value, share = _root_from_above(diagonal, beside, n, -sign, 1.0)
        return value, share, -sign
    return value, share, sign


@kernel
def _root_from_above(diagonal: FloatArray, beside: FloatArray, n: int, sign: float, above: float) -> tuple[float, float]:
    """The largest eigenvalue of sign * T (at least 0), by Laguerre's method from ``above`` downwards: it never steps past the root.
    From 1 where there are eigenvalues above ``above``."""
    x = min(above, 1.0 + 1e-9)
    share = 1.0
    for turn in range(60):
        p_before = 1.0
        p = x - sign * diagonal[0]
        d_before = 0.0  # first derivative
        d = 1.0
        c_before = 0.0  # second derivative
        c = 0.0
        least = p
        for k in range(1, n):
            here = x - sign * diagonal[k]
            off = beside[k - 1]
            c_next = here * c + 2.0 * d - off * c_before
            d_next = here * d + p - off * d_before
            p_next = here * p - off * p_before
            c_before = c
            d_before = d
            p_before = p
            c = c_next
            d = d_next
            p = p_next
            least = min(least, p)
        if turn == 0 and x <= 1.0 and not least > 0.0:
            x = 1.0 + 1e-9
            continue
        share = p_before / d if d > 0.0 else 1.0
        if not p > 0.0 or not d > 0.0:
            break
        g = d / p
        h = g * g - c / p
        step = n / (g + np.sqrt(max(0.0, (n - 1) * (n * h - g * g))))
        x -= step
        if step < 1e-8:
            break
    return max(x, 0.0), share
