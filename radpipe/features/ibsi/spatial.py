"""Moran's I and Geary's C of a region, exactly, without going over all pairs of voxels.

Both are sums over pairs of voxels of a weight (one over their distance) times a product of something of the one and something of
the other. The weight depends on the offset only, so such a sum is one over frequencies of the Fourier transforms of the
region's box, padded to twice its size, and of the weights of all offsets: n log n steps. A few frequencies along x are looked at
at a time, so that nothing of eight times the box's size is ever held.
Moran 1950, doi:10.1093/biomet/37.1-2.17; Geary 1954, doi:10.2307/2986645.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from radpipe.features.region import bounding_box
from radpipe.typing import BoolVolume, FloatArray

_ABREAST = 4  # frequencies along x at a time
_LINES = 4096


def autocorrelation(voxels: FloatArray, mask: BoolVolume, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
    """(Moran's I, Geary's C) of the intensities in the mask. voxels, mask : (z, y, x).

    NaN, NaN where the region is one voxel or has one intensity. Intensities are scaled to mean 0 and variance 1 first, which
    changes neither and keeps the transform's rounding small.
    """
    box = bounding_box(mask)
    inside = mask[box]
    values = voxels[box][inside]
    n = values.size
    deviation = float(values.std())
    if n < 2 or float(values.min()) == float(values.max()) or deviation == 0.0:
        return math.nan, math.nan
    scaled = (values - values.mean()) / deviation
    total, squares, products = _pair_sums(scaled, inside, spacing_mm)
    spread = float(scaled @ scaled)
    moran = n / total * products / spread
    # Sum of w (a - b)^2 = 2 (sum of w a^2 - sum of w a b), the weights being symmetric.
    geary = (n - 1) / total * (squares - products) / spread
    return moran, geary


def _pair_sums(values: FloatArray, inside: BoolVolume, spacing_mm: tuple[float, float, float]) -> tuple[float, float, float]:
    """Over all ordered pairs of voxels a, b of the weight, of the weight times b squared, and of the weight times a times b.

    By Parseval each is a sum over frequencies of W A conj(B). values : (n,) of the voxels inside, in memory order.
    """
    z, y, x = inside.shape
    depth, height = (fft.next_fast_len(2 * size - 1) for size in (z, y))
    along_x = 2 * x
    weights = _inverse_distances(inside.shape, spacing_mm).reshape(z * y, x)
    field = np.zeros(inside.shape)
    field[inside] = values
    lines, ones = field.reshape(z * y, x), inside.reshape(z * y, x)
    sums = np.zeros(3)
    for start in range(0, x + 1, _ABREAST):
        frequencies = np.arange(start, min(start + _ABREAST, x + 1))
        # Whole turns are left out before the angle is made, so that no digit of it is lost.
        turns = np.outer(np.arange(x), frequencies) % along_x * (2.0 * math.pi / along_x)
        cosine, sine = np.cos(turns), np.sin(turns)

        def transformed(
            piece: Callable[[slice], FloatArray], cosine: FloatArray = cosine, sine: FloatArray = sine
        ) -> NDArray[np.complex128]:
            found = np.empty((z * y, cosine.shape[1]), np.complex128)
            for first in range(0, z * y, _LINES):
                part = slice(first, first + _LINES)
                of_part = piece(part)
                found[part].real, found[part].imag = of_part @ cosine, of_part @ -sine
            return np.asarray(fft.fft2(found.reshape(z, y, -1), (depth, height), axes=(0, 1)))

        # Offsets go both ways along x; of two opposite frequencies one is looked at.
        both = np.where(np.arange(x) == 0, 1.0, 2.0)[:, None] * cosine
        octant = (weights @ both).reshape(z, y, -1)
        spectrum = fft.fft2(_both_ways(_both_ways(octant, depth, 0), height, 1), axes=(0, 1)).real
        spectrum *= np.where(frequencies % x == 0, 1.0, 2.0) / (depth * height * along_x)
        everywhere = transformed(lambda part: ones[part].astype(np.float64))
        squared = transformed(lambda part: lines[part] ** 2)
        centred = transformed(lambda part: lines[part])
        sums += [
            np.vdot(spectrum, everywhere.real**2 + everywhere.imag**2),
            np.vdot(spectrum, squared.real * everywhere.real + squared.imag * everywhere.imag),
            np.vdot(spectrum, centred.real**2 + centred.imag**2),
        ]
    total, squares, products = (float(value) for value in sums)
    return total, squares, products


def _inverse_distances(box: tuple[int, ...], spacing_mm: tuple[float, float, float]) -> FloatArray:
    """(box) 1 / distance in mm of every offset of no negative component; 0 for no offset."""
    squared = np.zeros(box)
    for axis, (size, step) in enumerate(zip(box, spacing_mm, strict=True)):
        squared += ((np.arange(size) * step) ** 2.0).reshape([-1 if a == axis else 1 for a in range(3)])
    squared[0, 0, 0] = np.inf
    np.sqrt(squared, out=squared)
    return np.reciprocal(squared, out=squared)


def _both_ways(half: FloatArray, length: int, axis: int) -> FloatArray:
    """Offsets 0 .. size - 1 along the axis, then up to ``length`` the negative ones from the farthest on; 0 between them."""
    shape = list(half.shape)
    size = shape[axis]
    shape[axis] = length
    whole = np.zeros(shape)
    of_axis = np.moveaxis(whole, axis, 0)
    source = np.moveaxis(half, axis, 0)
    of_axis[:size] = source
    of_axis[length - size + 1 :] = source[:0:-1]
    return whole
