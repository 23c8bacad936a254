"""Moran's I and Geary's C of a region, exactly, without going over all pairs of voxels.

Both are sums over pairs of voxels of a weight (one over their distance) times a product of something of the one and something of
the other. The weight depends on the offset only, so such a sum is one over frequencies of the Fourier transforms of the
region's box, padded to twice its size, and of the weights of all offsets: n log n steps. A few frequencies along x are looked at
at a time, so that nothing of eight times the box's size is ever held: all takes about twice the box as float64.
Moran 1950, doi:10.1093/biomet/37.1-2.17; Geary 1954, doi:10.2307/2986645.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from radpipe.features.ibsi import sums
from radpipe.features.ibsi.statistics import mean_square
from radpipe.features.region import bounding_box
from radpipe.typing import BoolVolume, FloatArray, Volume

# Frequencies along x at a time: this share of them, about 50 batches, takes less memory than the region's box.
_SHARE, _LEAST_ABREAST = 50, 2
ComplexArray: TypeAlias = NDArray[np.complex128]


def autocorrelation(voxels: Volume, mask: BoolVolume, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
    """(Moran's I, Geary's C) of the intensities in the mask. voxels, mask : (z, y, x).

    NaN, NaN where the region is one voxel or has one intensity. Intensities are scaled to mean 0 and variance 1 first, which
    changes neither and keeps the transform's rounding small.
    """
    box = bounding_box(mask)
    inside = mask[box]
    n, mean, deviation, spread = _spread(voxels[box][inside].astype(np.float64, copy=False))
    if deviation == 0.0:
        return math.nan, math.nan
    field = np.zeros(inside.shape)
    for scaled, plane, of_plane in zip(field, voxels[box], inside, strict=True):
        scaled[of_plane] = (plane[of_plane].astype(np.float64, copy=False) - mean) / deviation
    total, squares, products = _pair_sums(field, inside, spacing_mm)
    moran = n / total * products / spread
    # Sum of w (a - b)^2 = 2 (sum of w a^2 - sum of w a b), the weights being symmetric.
    geary = (n - 1) / total * (squares - products) / spread
    return moran, geary


def _spread(values: FloatArray) -> tuple[int, float, float, float]:
    """(n, mean, standard deviation, sum of the scaled values squared); a deviation of 0 where they are one value or all equal."""
    n, mean = values.size, float(values.mean())
    if n < 2 or float(values.min()) == float(values.max()):
        return n, mean, 0.0, 0.0
    deviation = math.sqrt(mean_square(sums.less(values, mean), n))
    if deviation == 0.0:
        return n, mean, 0.0, 0.0
    return n, mean, deviation, sums.total(lambda piece: np.square((values[piece] - mean) / deviation), n)


def _pair_sums(field: FloatArray, inside: BoolVolume, spacing_mm: tuple[float, float, float]) -> tuple[float, float, float]:
    """Over all ordered pairs of voxels a, b of the weight, of the weight times b squared, and of the weight times a times b.

    By Parseval each is a sum over frequencies of W A conj(B). field : (z, y, x) values, 0 outside; inside : where there are any.
    """
    z, y, x = inside.shape
    depth, height, along_x = 2 * fft.next_fast_len(z), 2 * fft.next_fast_len(y), 2 * x
    abreast = max(_LEAST_ABREAST, x // _SHARE)
    found = np.zeros(3)
    for start in range(0, x + 1, abreast):
        frequencies = np.arange(start, min(start + abreast, x + 1))
        # Whole turns are left out before the angle is made, so that no digit of it is lost.
        turns = np.outer(np.arange(x), frequencies) % along_x * (2.0 * math.pi / along_x)
        cosine, sine = np.cos(turns), np.sin(turns)

        def transformed(planes: Iterable[FloatArray], cosine: FloatArray = cosine, sine: FloatArray = sine) -> ComplexArray:
            spectrum = np.zeros((cosine.shape[1], depth, height), np.complex128)
            for index, plane in enumerate(planes):
                spectrum[:, index, :y].real = (plane @ cosine).T
                spectrum[:, index, :y].imag = (plane @ -sine).T
            spectrum[:, :z] = fft.fft(spectrum[:, :z], axis=2, overwrite_x=True)
            return np.asarray(fft.fft(spectrum, axis=1, overwrite_x=True))

        # Offsets go both ways along x; of two opposite frequencies one is looked at.
        both = np.where(np.arange(x) == 0, 1.0, 2.0)[:, None] * cosine
        both *= np.where(frequencies % x == 0, 1.0, 2.0) / (depth * height * along_x)
        octant = np.stack([(plane @ both).T for plane in _inverse_distances(inside.shape, spacing_mm)], axis=1)
        weights = _both_ways(_both_ways(octant, depth, 1), height, 2)
        everywhere = transformed(plane.astype(np.float64) for plane in inside)
        found[0] += _weighted(weights, everywhere, everywhere)
        found[1] += _weighted(weights, everywhere, transformed(np.square(plane) for plane in field))
        del everywhere
        centred = transformed(iter(field))
        found[2] += _weighted(weights, centred, centred)
    total, squares, products = (float(value) for value in found)
    return total, squares, products


def _weighted(weights: FloatArray, a: ComplexArray, b: ComplexArray) -> float:
    """Sum of the weights times the real part of a conj(b)."""
    product = a.real * b.real
    product += a.imag * b.imag
    return float(np.vdot(weights, product))


def _inverse_distances(box: tuple[int, ...], spacing_mm: tuple[float, float, float]) -> Iterator[FloatArray]:
    """1 / distance in mm of every offset of no negative component, plane by plane (y, x); 0 for no offset."""
    z, y, x = ((np.arange(size) * step) ** 2.0 for size, step in zip(box, spacing_mm, strict=True))
    for index, through in enumerate(z):
        squared = y[:, None] + through + x
        if index == 0:
            squared[0, 0] = np.inf
        np.sqrt(squared, out=squared)
        yield np.reciprocal(squared, out=squared)


def _both_ways(half: FloatArray, length: int, axis: int) -> FloatArray:
    """Transform along the axis of what is given from offset 0 on, is the same for negative offsets, and has period ``length``, an
    even number: real, and the same for negative frequencies."""
    spectrum = fft.dct(half, 1, n=length // 2 + 1, axis=axis)
    there = np.arange(length)
    return np.asarray(np.take(spectrum, np.minimum(there, length - there), axis=axis))
