"""A recursive filter of order four along many lines at once: the passes of a Gaussian and its derivatives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radpipe.features._kernels._jit import FloatArray, kernel

_ABREAST = 64  # lines that go through together: their history stays in the cache


@kernel
def recursive_pass(lines: FloatArray, c: FloatArray, start: int, stop: int) -> NDArray[np.float32]:
    """(stop - start, m) float32: the sum of a forward and a backward pass along the first axis, from start to stop.

    lines : (n >= 4, m) float64. c : (20,), weights of the input forward (4) and backward (4), of the four outputs before (4), and
    these for the outputs before the first one, forward (4) and backward (4): beyond its ends a line goes on as it ends.
    Operations and their order are those of ITK's RecursiveSeparableImageFilter, so the bits are, too.
    """
    n, m = lines.shape
    result = np.empty((stop - start, m), np.float32)
    forward = np.empty((n, _ABREAST))
    backward = np.empty((n, _ABREAST))
    n0, n1, n2, n3, m1, m2, m3, m4, d1, d2, d3, d4 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9], c[10], c[11]
    end = n - 1
    for first in range(0, m, _ABREAST):
        width = min(_ABREAST, m - first)
        for i in range(4):
            for k in range(width):
                edge = lines[0, first + k]
                x1, x2, x3 = lines[max(i - 1, 0), first + k], lines[max(i - 2, 0), first + k], lines[max(i - 3, 0), first + k]
                y1 = forward[i - 1, k] * d1 if i > 0 else edge * c[12]
                y2 = forward[i - 2, k] * d2 if i > 1 else edge * c[13]
                y3 = forward[i - 3, k] * d3 if i > 2 else edge * c[14]
                forward[i, k] = lines[i, first + k] * n0 + x1 * n1 + x2 * n2 + x3 * n3 - (y1 + y2 + y3 + edge * c[15])
        for i in range(4, n):
            for k in range(width):
                x = lines[i, first + k] * n0 + lines[i - 1, first + k] * n1 + lines[i - 2, first + k] * n2
                x += lines[i - 3, first + k] * n3
                y = forward[i - 1, k] * d1 + forward[i - 2, k] * d2 + forward[i - 3, k] * d3 + forward[i - 4, k] * d4
                forward[i, k] = x - y
        for j in range(4):
            i = end - j
            for k in range(width):
                edge = lines[end, first + k]
                x1, x2 = lines[min(i + 1, end), first + k], lines[min(i + 2, end), first + k]
                x3, x4 = lines[min(i + 3, end), first + k], lines[min(i + 4, end), first + k]
                y1 = backward[i + 1, k] * d1 if j > 0 else edge * c[16]
                y2 = backward[i + 2, k] * d2 if j > 1 else edge * c[17]
                y3 = backward[i + 3, k] * d3 if j > 2 else edge * c[18]
                backward[i, k] = x1 * m1 + x2 * m2 + x3 * m3 + x4 * m4 - (y1 + y2 + y3 + edge * c[19])
        for i in range(end - 4, start - 1, -1):
            for k in range(width):
                x = lines[i + 1, first + k] * m1 + lines[i + 2, first + k] * m2 + lines[i + 3, first + k] * m3
                x += lines[i + 4, first + k] * m4
                y = backward[i + 1, k] * d1 + backward[i + 2, k] * d2 + backward[i + 3, k] * d3 + backward[i + 4, k] * d4
                backward[i, k] = x - y
        for i in range(start, stop):
            for k in range(width):
                result[i - start, first + k] = forward[i, k] + backward[i, k]
    return result
