"""One pass of an undecimated wavelet transform along one axis of an image that is taken to be periodic."""

from __future__ import annotations

import numpy as np

from radpipe.features._kernels._jit import FloatArray, kernel


@kernel
def periodic_pass(data: FloatArray, taps: FloatArray, start: int, stop: int) -> FloatArray:
    """(a, stop - start, b): data convolved with the taps along its middle axis, from start to stop, in the taps' dtype.

    data : (a, n, b), C-contiguous, float64 or float32 as the taps; n at least the number of taps. The terms are added in the order
    in which PyWavelets' swt adds them, so the bits are its own where the compiler leaves products and sums apart.
    """
    depth, n, abreast = data.shape
    out = np.zeros((depth, stop - start, abreast), taps.dtype)
    half = taps.size // 2
    # Where no term lies beyond either end.
    low = min(max(start, taps.size - 1 - half), stop)
    high = max(min(stop, n - half), low)
    for i in range(depth):
        if abreast == 1:  # along the rows themselves: place after place abreast
            line = data[i, :, 0]
            wanted = out[i, low - start : high - start, 0]
            for j in range(taps.size):
                tap = taps[j]
                source = line[low + half - j : high + half - j]
                for k in range(wanted.size):
                    wanted[k] += tap * source[k]
        for place in range(start, stop):
            if abreast == 1 and low <= place < high:
                continue
            row = out[i, place - start]
            ahead = place + half
            wrapped = ahead - n + 1  # terms that have come round to the beginning, which are added first, from there on
            for term in range(taps.size):
                if term < wrapped:
                    tap = taps[wrapped - 1 - term]
                    source = data[i, term]
                else:
                    tap = taps[term]
                    source = data[i, ahead - term if ahead >= term else ahead - term + n]
                for k in range(abreast):
                    row[k] += tap * source[k]
    return out
