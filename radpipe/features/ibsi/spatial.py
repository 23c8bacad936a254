"""Moran's I and Geary's C of a region, exactly, without going over all pairs of voxels.

Both are sums over pairs of voxels of a weight (one over their distance) times a product of something of the one and something of
the other. The weight depends on the offset only, so such a sum is one over frequencies of the Fourier transforms of the
region's box, padded to twice its size, and of the weights of all offsets: n log n steps.
Moran 1950, doi:10.1093/biomet/37.1-2.17; Geary 1954, doi:10.2307/2986645.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from radpipe.features.region import bounding_box
from radpipe.typing import BoolVolume, FloatArray


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
    shape = [fft.next_fast_len(2 * size - 1, real=True) for size in inside.shape]
    # Weights are the same for an offset and its opposite, so their transform is real.
    weights = fft.rfftn(_inverse_distances(inside.shape, shape, spacing_mm), overwrite_x=True).real.copy()
    weights *= 2.0 / math.prod(shape)
    weights[..., 0] *= 0.5  # a real transform keeps one of each two opposite frequencies, but these have none
    if shape[2] % 2 == 0:
        weights[..., -1] *= 0.5

    def transformed(of: FloatArray) -> NDArray[np.complex128]:
        field = np.zeros(inside.shape)
        field[inside] = of
        return np.asarray(fft.rfftn(field, shape))

    # Sum over pairs of w a b = sum over frequencies of W A conj(B) (Parseval).
    everywhere = transformed(np.ones(n))
    total = float(np.vdot(weights, everywhere.real**2 + everywhere.imag**2))
    squared = transformed(scaled * scaled)
    squares = float(np.vdot(weights, squared.real * everywhere.real + squared.imag * everywhere.imag))
    del squared, everywhere
    centred = transformed(scaled)
    products = float(np.vdot(weights, centred.real**2 + centred.imag**2))
    spread = float(scaled @ scaled)
    moran = n / total * products / spread
    # Sum of w (a - b)^2 = 2 (sum of w a^2 - sum of w a b), the weights being symmetric.
    geary = (n - 1) / total * (squares - products) / spread
    return moran, geary


def _inverse_distances(box: tuple[int, ...], shape: list[int], spacing_mm: tuple[float, float, float]) -> FloatArray:
    """(shape) 1 / distance in mm of every offset within the box, negative ones wrapped to the end; 0 for no offset.

    Offsets longer than the box get the weight of its end; no two voxels lie so far apart.
    """
    squared = np.zeros(box)
    for axis, (size, step) in enumerate(zip(box, spacing_mm, strict=True)):
        squared += ((np.arange(size) * step) ** 2.0).reshape([-1 if a == axis else 1 for a in range(3)])
    squared[0, 0, 0] = np.inf
    offsets = [
        np.minimum(np.minimum(np.arange(length), length - np.arange(length)), size - 1)
        for size, length in zip(box, shape, strict=True)
    ]
    return np.asarray((1.0 / np.sqrt(squared))[np.ix_(*offsets)])
