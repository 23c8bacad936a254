"""The second largest eigenvalue of PyRadiomics' Q, for the maximal correlation coefficient, by Lanczos' method on the cells."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, IntArray, kernel
from radpipe.features._kernels.cells import scaled

_EPS = np.spacing(1.0)
_MOST_STEPS = 120


@kernel
def second_eigenvalue(i: IntArray, j: IntArray, p: FloatArray, n_levels: int) -> tuple[float, float]:
    """(eigenvalue; how far it may be off). i, j : (cells,), levels from 1. p : (cells,), sums to 1.

    Q(a, b) = sum over k of p(a, k) p(b, k) / (px(a) py(k) + eps). Without eps Q is similar to G = S S', symmetric, with
    S = p / sqrt(px py), whose largest eigenvalue is 1 with the eigenvector sqrt(px). Lanczos (with full
    reorthogonalisation, and kept away from sqrt(px)) finds the next one; eps is put back by a Rayleigh quotient with Q
    itself, whose error is of second order. Cost: the non-zero cells and a few dozen vectors, never Ng x Ng x Ng.
    """
    px = np.zeros(n_levels)
    py = np.zeros(n_levels)
    for c in range(p.size):
        px[i[c] - 1] += p[c]
        py[j[c] - 1] += p[c]
    s = np.empty(p.size)
    strongest = 0.0
    for c in range(p.size):
        both = px[i[c] - 1] * py[j[c] - 1]
        s[c] = p[c] / np.sqrt(both)
        strongest = max(strongest, _EPS / both)
    n = 0
    for level in range(n_levels):
        if px[level] > 0.0:
            n += 1
    if n < 2:
        return 0.0, 1.0
    steps = min(n - 1, _MOST_STEPS)
    first = np.empty(n_levels)
    for level in range(n_levels):
        first[level] = np.sqrt(px[level])
    first = scaled(first, np.sqrt(_dot(first, first)))
    basis = np.empty((steps, n_levels))
    diagonal = np.empty(steps)
    beside = np.empty(steps)
    # A start near the usual answer (levels in order), with something of every other direction in it.
    vector = np.empty(n_levels)
    for level in range(n_levels):
        vector[level] = first[level] * ((level + 0.5) / n_levels + 0.3 * ((level * 7919 + 13) % 101) / 101.0)
    _remove(vector, first)
    _remove(vector, first)
    length = np.sqrt(_dot(vector, vector))
    if length < 1e-14:
        return 0.0, 1.0
    vector = scaled(vector, length)
    value = 0.0
    following = 0.0
    residual = 1.0
    used = 0
    weights = np.zeros(1)
    for step in range(steps):
        for level in range(n_levels):
            basis[step, level] = vector[level]
        used = step + 1
        middle = np.zeros(n_levels)
        for c in range(p.size):
            middle[j[c] - 1] += s[c] * vector[i[c] - 1]
        image = np.zeros(n_levels)
        for c in range(p.size):
            image[i[c] - 1] += s[c] * middle[j[c] - 1]
        diagonal[step] = _dot(image, vector)
        for _ in range(2):
            _remove(image, first)
            for k in range(used):
                _remove(image, basis[k])
        beside[step] = np.sqrt(_dot(image, image))
        done = beside[step] < 1e-14 or used == steps
        if done or used % 4 == 0:
            value, following, weights = _largest(diagonal[:used], beside[:used])
            residual = beside[step] * abs(weights[used - 1])
            if done or residual < 1e-9:
                break
        vector = scaled(image, beside[step])
    ritz = np.zeros(n_levels)
    for k in range(used):
        for level in range(n_levels):
            ritz[level] += weights[k] * basis[k, level]
    # u' sqrt(px) Q u / sqrt(px), cell by cell.
    left = np.zeros(n_levels)
    right = np.zeros(n_levels)
    for c in range(p.size):
        a = i[c] - 1
        b = j[c] - 1
        root = np.sqrt(px[a])
        left[b] += ritz[a] * root * p[c] / (px[a] * py[b] + _EPS)
        right[b] += p[c] * ritz[a] / root
    # eps changes a cell's share by up to `strongest`. That counts in full where eigenvalues fall together, as they do near 1
    # where levels stand apart from all others; elsewhere the quotient leaves its square over the gap.
    doubt = strongest
    if value < 1.0 - 1e-6 and value - following > strongest:
        doubt = strongest * strongest / (value - following)
    if used < n - 1 and beside[used - 1] < 1e-14:
        doubt = 1.0  # the vectors closed in on themselves early: an eigenvalue may not have been seen
    return _dot(left, right), max(residual, doubt)


@kernel
def _dot(a: FloatArray, b: FloatArray) -> float:
    total = 0.0
    for k in range(a.size):
        total += a[k] * b[k]
    return total


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
