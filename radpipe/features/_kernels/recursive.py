"""A recursive filter of order four along many lines at once: the passes of a Gaussian and its derivatives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radpipe.features._kernels._jit import FloatArray, kernel

_ABREAST = 64  # lines that go through together: their history stays in the cache


@kernel
def recursive_pass(
    data: FloatArray, c: FloatArray, start: int, out: NDArray[np.float32], planes: tuple[int, int], columns: tuple[int, int]
) -> None:
    """The sum of a forward and a backward pass along the middle axis, from ``start`` on as far as ``out`` goes.

    data : (a, n >= 4, b), C-contiguous, float32 or float64. c : (20,), weights of the input forward (4) and backward (4), of the
    four outputs before (4), and these for the outputs before the first one, forward (4) and backward (4): beyond its ends a line goes
    on as it ends. out : (a, stop - start, b), filled where planes (first, last + 1) and columns say. Operations and their order are
    those of ITK's RecursiveSeparableImageFilter, so the bits are, too.
    """
    n = data.shape[1]
    stop = start + out.shape[1]
    lines = np.empty((n, _ABREAST))
    forward = np.empty((n, _ABREAST))
    backward = np.empty((n, _ABREAST))
    along = data.shape[2] == 1  # the lines lie one after the other: what goes abreast are planes
    low, high = planes if along else columns
    for plane in range(0 if along else planes[0], 1 if along else planes[1]):
        for first in range(low, high, _ABREAST):
            width = min(_ABREAST, high - first)
            for i in range(n):
                row = lines[i]
                if along:
                    for k in range(width):
                        row[k] = data[first + k, i, 0]
                else:
                    source = data[plane, i, first : first + width]
                    for k in range(width):
                        row[k] = source[k]
            _forward(lines, c, forward, width)
            _backward(lines, c, backward, start, width)
            for i in range(start, stop):
                ahead, back = forward[i], backward[i]
                if along:
                    for k in range(width):
                        out[first + k, i - start, 0] = ahead[k] + back[k]
                else:
                    found = out[plane, i - start, first : first + width]
                    for k in range(width):
                        found[k] = ahead[k] + back[k]


@kernel
def _forward(lines: FloatArray, c: FloatArray, forward: FloatArray, width: int) -> None:
    """lines, forward : (n, lines abreast); the outputs of the forward pass."""
    n0, n1, n2, n3, d1, d2, d3, d4 = c[0], c[1], c[2], c[3], c[8], c[9], c[10], c[11]
    for i in range(4):
        for k in range(width):
            edge = lines[0, k]
            w1, w2, w3 = lines[max(i - 1, 0), k], lines[max(i - 2, 0), k], lines[max(i - 3, 0), k]
            z1 = forward[i - 1, k] * d1 if i > 0 else edge * c[12]
            z2 = forward[i - 2, k] * d2 if i > 1 else edge * c[13]
            z3 = forward[i - 3, k] * d3 if i > 2 else edge * c[14]
            forward[i, k] = lines[i, k] * n0 + w1 * n1 + w2 * n2 + w3 * n3 - (z1 + z2 + z3 + edge * c[15])
    for i in range(4, len(lines)):
        x0, x1, x2, x3 = lines[i], lines[i - 1], lines[i - 2], lines[i - 3]
        own, y1, y2, y3, y4 = forward[i], forward[i - 1], forward[i - 2], forward[i - 3], forward[i - 4]
        for k in range(width):
            x = x0[k] * n0 + x1[k] * n1 + x2[k] * n2
            x += x3[k] * n3
            y = y1[k] * d1 + y2[k] * d2 + y3[k] * d3 + y4[k] * d4
            own[k] = x - y


@kernel
def _backward(lines: FloatArray, c: FloatArray, backward: FloatArray, start: int, width: int) -> None:
    """The outputs of the backward pass, from the end to ``start``."""
    m1, m2, m3, m4, d1, d2, d3, d4 = c[4], c[5], c[6], c[7], c[8], c[9], c[10], c[11]
    end = len(lines) - 1
    for j in range(4):
        i = end - j
        for k in range(width):
            edge = lines[end, k]
            w1, w2 = lines[min(i + 1, end), k], lines[min(i + 2, end), k]
            w3, w4 = lines[min(i + 3, end), k], lines[min(i + 4, end), k]
            z1 = backward[i + 1, k] * d1 if j > 0 else edge * c[16]
            z2 = backward[i + 2, k] * d2 if j > 1 else edge * c[17]
            z3 = backward[i + 3, k] * d3 if j > 2 else edge * c[18]
            backward[i, k] = w1 * m1 + w2 * m2 + w3 * m3 + w4 * m4 - (z1 + z2 + z3 + edge * c[19])
    for i in range(end - 4, start - 1, -1):
        x1, x2, x3, x4 = lines[i + 1], lines[i + 2], lines[i + 3], lines[i + 4]
        own, y1, y2, y3, y4 = backward[i], backward[i + 1], backward[i + 2], backward[i + 3], backward[i + 4]
        for k in range(width):
            x = x1[k] * m1 + x2[k] * m2 + x3[k] * m3
            x += x4[k] * m4
            y = y1[k] * d1 + y2[k] * d2 + y3[k] * d3 + y4[k] * d4
            own[k] = x - y
