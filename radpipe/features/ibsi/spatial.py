"""Moran's I and Geary's C of a region, exactly, without going over all pairs of voxels.

Both are sums over pairs of voxels of a weight (one over their distance) times a product of something of the one and something of
the other. The weight depends on the offset only, so the sum over the partners of every voxel is a convolution of the region's
box with the weights of all offsets, and a Fourier transform does it in n log n.
Moran 1950, doi:10.1093/biomet/37.1-2.17; Geary 1954, doi:10.2307/2986645.
"""

from __future__ import annotations

import math

import numpy as np
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
    weights = fft.rfftn(_inverse_distances(inside.shape, shape, spacing_mm), overwrite_x=True)

    def weighted_sums(of: FloatArray) -> FloatArray:
        """Of each voxel: the sum over all voxels of weight times ``of``."""
        field = np.zeros(inside.shape)
        field[inside] = of
        back = fft.irfftn(fft.rfftn(field, shape) * weights, shape)
        return np.asarray(back[tuple(slice(size) for size in inside.shape)][inside])

    partners = weighted_sums(np.ones(n))
    total = float(partners.sum())
    products = float(scaled @ weighted_sums(scaled))
    squares = float((scaled * scaled) @ partners)
    spread = float(scaled @ scaled)
    moran = n / total * products / spread
    # Sum of w (a - b)^2 = 2 (sum of w a^2 - sum of w a b), the weights being symmetric.
    geary = (n - 1) / total * (squares - products) / spread
    return moran, geary


def _inverse_distances(box: tuple[int, ...], shape: list[int], spacing_mm: tuple[float, float, float]) -> FloatArray:
    """(shape) 1 / distance in mm of every offset within the box, negative ones wrapped to the end; 0 for no offset."""
    squared = np.zeros(shape)
    for axis, (size, length, step) in enumerate(zip(box, shape, spacing_mm, strict=True)):
        offset = np.arange(length)
        offset = np.where(offset < size, offset, offset - length)
        along = (offset * step) ** 2.0
        squared += along.reshape([-1 if a == axis else 1 for a in range(3)])
    squared[0, 0, 0] = np.inf
    return np.asarray(1.0 / np.sqrt(squared))
