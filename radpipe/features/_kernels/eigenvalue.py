"""The second largest eigenvalue of PyRadiomics' Q, for the maximal correlation coefficient: of few levels by Householder's
reflections, of many by Lanczos' method on the cells."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from radpipe.features._kernels._jit import FloatArray, IntArray, kernel
from radpipe.features._kernels.cells import scaled

Places: TypeAlias = NDArray[np.uint64]
_EPS = np.spacing(1.0)
_MOST_STEPS = 120
_FEW = 48  # levels of which the whole matrix is worked on
_CLOSE = 3e-8  # against the root, which is MCC


def second_eigenvalue(i: IntArray, j: IntArray, p: FloatArray, n_levels: int) -> tuple[float, float]:
    """(eigenvalue; how far it may be off). i, j : (cells,), levels from 1. p : (cells,), sums to 1.

    Q(a, b) = sum over k of p(a, k) p(b, k) / (px(a) py(k) + eps). Without eps Q is similar to G = S S', symmetric, with
    S = p / sqrt(px py), whose largest eigenvalue is 1 with the eigenvector sqrt(px). The next one is found with that vector taken
    out; eps is put back by a Rayleigh quotient with Q itself, whose error is of second order.

    Not a kernel, and called by none: numba optimises whatever a kernel calls once more within it, and this is the longest to compile.
    """
    if n_levels <= _FEW or how_many_occur(i, j, n_levels) <= _FEW:
        return by_reflections(i, j, p, n_levels)
    return by_lanczos(i, j, p, n_levels)


@kernel
def how_many_occur(i: IntArray, j: IntArray, n_levels: int) -> int:
    """Levels, in rows or columns."""
    occurs = np.zeros(n_levels + 1, np.uint8)
    n = 0
    for c in range(i.size):
        n += 1 - occurs[i[c]]
        occurs[i[c]] = 1
        n += 1 - occurs[j[c]]
        occurs[j[c]] = 1
    return n


@kernel
def _similar(
    i: IntArray, j: IntArray, p: FloatArray, n_levels: int
) -> tuple[Places, Places, FloatArray, FloatArray, FloatArray, FloatArray, int, float]:
    """(row and column of each cell among the levels that occur, S's cells, unit vector along sqrt(px), px, py, rows that are not zero,
    the largest share by which eps changes a cell)."""
    # Levels that occur, from 0. Unsigned: numba asks of every signed index whether it counts from the end.
    occurs = np.zeros(n_levels + 1, np.uint8)
    for c in range(p.size):
        occurs[i[c]] = 1
        occurs[j[c]] = 1
    place = np.zeros(n_levels + 1, np.uint64)
    n = 0
    for level in range(n_levels + 1):
        place[level] = n
        if occurs[level]:
            n += 1
    row = np.empty(p.size, np.uint64)
    column = np.empty(p.size, np.uint64)
    px = np.zeros(n)
    py = np.zeros(n)
    for c in range(p.size):
        row[c] = place[i[c]]
        column[c] = place[j[c]]
        px[row[c]] += p[c]
        py[column[c]] += p[c]
    s = np.empty(p.size)
    strongest = 0.0
    for c in range(p.size):
        both = px[row[c]] * py[column[c]]
        s[c] = p[c] / np.sqrt(both)
        strongest = max(strongest, _EPS / both)
    rows = 0
    first = np.empty(n)
    for level in range(n):
        rows += px[level] > 0.0
        first[level] = np.sqrt(px[level])
    return row, column, s, scaled(first, np.sqrt(_dot(first, first))), px, py, rows, strongest


@kernel
def _with_eps(
    row: Places,
    column: Places,
    p: FloatArray,
    px: FloatArray,
    py: FloatArray,
    vector: FloatArray,
    value: float,
    following: float,
    residual: float,
    strongest: float,
) -> tuple[float, float]:
    """(u' Q u, with eps, of G's eigenvector ``vector`` and its eigenvalue ``value``; how far it may be off)."""
    # u' sqrt(px) Q u / sqrt(px), cell by cell.
    left = np.zeros(px.size)
    right = np.zeros(px.size)
    for c in range(p.size):
        a = row[c]
        b = column[c]
        root = np.sqrt(px[a])
        left[b] += vector[a] * root * p[c] / (px[a] * py[b] + _EPS)
        right[b] += p[c] * vector[a] / root
    # eps changes a cell's share by up to `strongest`. That counts in full where eigenvalues fall together, as they do near 1
    # where levels stand apart from all others; elsewhere the quotient leaves its square over the gap.
    doubt = strongest
    if value < 1.0 - 1e-6 and value - following > strongest:
        doubt = strongest * strongest / (value - following)
    return _dot(left, right), max(residual, doubt)


@kernel
def by_reflections(i: IntArray, j: IntArray, p: FloatArray, n_levels: int) -> tuple[float, float]:
    """:func:`second_eigenvalue` where few levels occur.

    Householder's reflections make a tridiagonal matrix of S S' without its first eigenvector (Golub and Van Loan, Matrix Computations,
    8.3.1). Sums run along rows, so that the processor takes several columns at once.
    """
    row, column, s, first, px, py, rows, strongest = _similar(i, j, p, n_levels)
    if rows < 2:
        return 0.0, 1.0
    n = first.size
    turned = np.zeros((n, n))  # S'
    for c in range(s.size):
        turned[column[c], row[c]] = s[c]
    matrix = np.empty((n, n))
    for a in range(n):
        own = matrix[a]
        for b in range(n):
            own[b] = -first[a] * first[b]
    for c in range(s.size):
        own = matrix[row[c]]
        other = turned[column[c]]
        share = s[c]
        for b in range(n):
            own[b] += share * other[b]
    diagonal = np.empty(n)
    beside = np.zeros(n)
    shares = np.zeros(n)
    across = np.empty(n)
    for k in range(n - 2):
        diagonal[k] = matrix[k, k]
        mirror = matrix[k]  # its own row is not read again, and keeps the reflection
        below = 0.0
        for b in range(k + 1, n):
            below += mirror[b] * mirror[b]
        if below < 1e-32:
            beside[k] = 0.0
            continue
        length = np.sqrt(below)
        beside[k] = -length if mirror[k + 1] > 0.0 else length
        mirror[k + 1] -= beside[k]
        share = -1.0 / (beside[k] * mirror[k + 1])  # 2 / v'v
        shares[k] = share
        for b in range(k + 1, n):
            across[b] = 0.0
        for a in range(k + 1, n):
            own = matrix[a]
            part = share * mirror[a]
            for b in range(k + 1, n):
                across[b] += part * own[b]
        along = 0.0
        for b in range(k + 1, n):
            along += across[b] * mirror[b]
        for b in range(k + 1, n):
            across[b] -= 0.5 * share * along * mirror[b]
        for a in range(k + 1, n):
            own = matrix[a]
            part = mirror[a]
            other_part = across[a]
            for b in range(k + 1, n):
                own[b] -= part * across[b] + other_part * mirror[b]
    diagonal[n - 2] = matrix[n - 2, n - 2]
    diagonal[n - 1] = matrix[n - 1, n - 1]
    beside[n - 2] = matrix[n - 2, n - 1]
    signs = np.ones(n)  # the tridiagonal solver wants what lies beside the diagonal above zero
    for k in range(n - 1):
        signs[k + 1] = -signs[k] if beside[k] < 0.0 else signs[k]
        beside[k] = abs(beside[k])
    value, following, vector = _largest(diagonal, beside)
    for b in range(n):
        vector[b] *= signs[b]
    for k in range(n - 3, -1, -1):
        if shares[k] == 0.0:
            continue
        mirror = matrix[k]
        along = 0.0
        for b in range(k + 1, n):
            along += mirror[b] * vector[b]
        for b in range(k + 1, n):
            vector[b] -= shares[k] * along * mirror[b]
    # Where the value is next to nothing the vector is that of rounding, and a little of `first`, whose eigenvalue is 1, would swamp it.
    for _ in range(2):
        _remove(vector, first)
        left = np.sqrt(_dot(vector, vector))
        if left < 0.5:
            return _with_eps(row, column, p, px, py, np.zeros(n), 0.0, 0.0, 0.0, strongest)
        vector = scaled(vector, left)
    return _with_eps(row, column, p, px, py, vector, value, following, 0.0, strongest)


@kernel
def by_lanczos(i: IntArray, j: IntArray, p: FloatArray, n_levels: int) -> tuple[float, float]:
    """:func:`second_eigenvalue` where many levels occur, by Lanczos' method with full reorthogonalisation. Cost: the cells and a few
    dozen vectors, never n x n x n."""
    row, column, s, first, px, py, rows, strongest = _similar(i, j, p, n_levels)
    if rows < 2:
        return 0.0, 1.0
    n = first.size
    steps = min(rows - 1, _MOST_STEPS)
    basis = np.empty((steps, n))
    diagonal = np.empty(steps)
    beside = np.empty(steps)
    # A start near the usual answer (levels in order), with something of every other direction in it.
    vector = np.empty(n)
    for level in range(n):
        vector[level] = first[level] * ((level + 0.5) / n + 0.3 * ((level * 7919 + 13) % 101) / 101.0)
    _remove(vector, first)
    _remove(vector, first)
    vector = scaled(vector, np.sqrt(_dot(vector, vector)))
    value = 0.0
    following = 0.0
    residual = 1.0
    used = 0
    weights = np.zeros(1)
    middle = np.empty(n)
    image = np.empty(n)
    for step in range(steps):
        used = step + 1
        for level in range(n):
            basis[step, level] = vector[level]
            middle[level] = 0.0
            image[level] = 0.0
        for c in range(s.size):
            middle[column[c]] += s[c] * vector[row[c]]
        for c in range(s.size):
            image[row[c]] += s[c] * middle[column[c]]
        diagonal[step] = _dot(image, vector)
        # What Lanczos' three terms leave is small against them: once more, and it stands across all before it.
        _remove(image, vector)
        if step:
            _remove(image, basis[step - 1])
        _remove(image, first)
        for k in range(used):
            _remove(image, basis[k])
        beside[step] = np.sqrt(_dot(image, image))
        done = beside[step] < 1e-14 or used == steps
        if done or used % 4 == 0:
            value, following, weights = _largest(diagonal[:used], beside[:used])
            residual = beside[step] * abs(weights[used - 1])
            if done or residual < _CLOSE * np.sqrt(max(value, 0.0)):
                break
        vector = scaled(image, beside[step])
    ritz = np.zeros(n)
    for k in range(used):
        for level in range(n):
            ritz[level] += weights[k] * basis[k, level]
    if used < rows - 1 and beside[used - 1] < 1e-14:
        residual = 1.0  # the vectors closed in on themselves early: an eigenvalue may not have been seen
    return _with_eps(row, column, p, px, py, ritz, value, following, residual, strongest)


@kernel
def _dot(a: FloatArray, b: FloatArray) -> float:
    one = two = three = four = 0.0  # four sums at once: each addition waits for the one before it
    end = a.size - a.size % 4
    for k in range(0, end, 4):
        one += a[k] * b[k]
        two += a[k + 1] * b[k + 1]
        three += a[k + 2] * b[k + 2]
        four += a[k + 3] * b[k + 3]
    for k in range(end, a.size):
        one += a[k] * b[k]
    return (one + two) + (three + four)


@kernel
def _remove(vector: FloatArray, unit: FloatArray) -> None:
    """Take the part along a unit vector out of the vector."""
    along = _dot(vector, unit)
    for k in range(vector.size):
        vector[k] -= along * unit[k]


@kernel
def _largest(diagonal: FloatArray, beside: FloatArray) -> tuple[float, float, FloatArray]:
    """(largest eigenvalue, the second, unit eigenvector of the largest) of a symmetric tridiagonal matrix.

    Bisection, then inverse iteration. beside : off the diagonal; its last value is not read.
    """
    n = diagonal.size
    bottom = diagonal[0]
    top = diagonal[0]
    for k in range(n):
        reach = (beside[k - 1] if k else 0.0) + (beside[k] if k < n - 1 else 0.0)
        bottom = min(bottom, diagonal[k] - reach)
        top = max(top, diagonal[k] + reach)
    top += 1e-15
    value = _bisect(diagonal, beside, bottom, top, 0, 64)
    following = _bisect(diagonal, beside, bottom, value, 1, 30) if n > 1 else 0.0
    vector = np.ones(n)
    pivots = np.empty(n)
    shift = value + 1e-14
    for _ in range(3):
        # (shift - T) x = vector; shift lies above every eigenvalue, so no pivoting is needed.
        pivots[0] = shift - diagonal[0]
        for k in range(1, n):
            factor = -beside[k - 1] / pivots[k - 1]
            pivots[k] = shift - diagonal[k] + factor * beside[k - 1]
            if pivots[k] <= 0.0:
                pivots[k] = 1e-300
            vector[k] -= factor * vector[k - 1]
        vector[n - 1] /= pivots[n - 1]
        for k in range(n - 2, -1, -1):
            vector[k] = (vector[k] + beside[k] * vector[k + 1]) / pivots[k]
        vector = scaled(vector, np.sqrt(_dot(vector, vector)))
    return value, following, vector


@kernel
def _bisect(diagonal: FloatArray, beside: FloatArray, low: float, high: float, rank: int, times: int) -> float:
    """The eigenvalue that ``rank`` others are above. Eigenvalues above x are the negative pivots of x - T."""
    for _ in range(times):
        middle = 0.5 * (low + high)
        if middle <= low or middle >= high:
            break
        above = 0
        pivot = middle - diagonal[0]
        if pivot < 0.0:
            above += 1
        for k in range(1, diagonal.size):
            if pivot == 0.0:
                pivot = 1e-300
            pivot = middle - diagonal[k] - beside[k - 1] * beside[k - 1] / pivot
            if pivot < 0.0:
                above += 1
        if above > rank:
            low = middle
        else:
            high = middle
    return high
