"""Local intensity: the mean intensity in a sphere of 1 cm3 (IBSI 9ST6). The sphere takes voxels outside the region, too.

Frings 2014, doi:10.1148/radiol.14131012.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import fft

from radpipe.typing import BoolVolume, FloatArray

RADIUS_MM = 10.0 * (3.0 / (4.0 * math.pi)) ** (1.0 / 3.0)


def compute(voxels: FloatArray, mask: BoolVolume, spacing_mm: tuple[float, float, float]) -> dict[str, float]:
    """Both features. voxels : (z, y, x), the region's box with at least RADIUS_MM around it where the image goes so far.

    mask : (z, y, x), the intensity mask. Voxels beyond the image's edge, and those that are NaN or infinite, do not count.
    """
    values = voxels[mask]
    peaks = sphere_means(voxels, mask, spacing_mm)
    return {
        "LocalIntensityPeak": float(peaks[values == values.max()].max()),
        "GlobalIntensityPeak": float(peaks.max()),
    }


def sphere(spacing_mm: tuple[float, float, float]) -> BoolVolume:
    """(z, y, x) voxels whose centres lie within the radius of the middle one's."""
    reach = [math.floor(RADIUS_MM / size) for size in spacing_mm]
    axes = [np.arange(-n, n + 1) * size for n, size in zip(reach, spacing_mm, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return np.asarray(z * z + y * y + x * x <= RADIUS_MM**2)


def sphere_means(voxels: FloatArray, mask: BoolVolume, spacing_mm: tuple[float, float, float]) -> FloatArray:
    """(n,) mean intensity in the sphere around every voxel of the mask, in memory order.

    Intensities are taken relative to their middle, so that the transform's rounding is small against their spread.
    """
    kernel = sphere(spacing_mm).astype(np.float64)
    known = np.isfinite(voxels)
    middle = float(np.median(voxels[mask]))
    centred = np.where(known, voxels - middle, 0.0)
    shape = [fft.next_fast_len(n + k - 1, real=True) for n, k in zip(voxels.shape, kernel.shape, strict=True)]
    transformed = fft.rfftn(kernel, shape)
    cut = tuple(slice(k // 2, k // 2 + n) for n, k in zip(voxels.shape, kernel.shape, strict=True))
    totals = fft.irfftn(fft.rfftn(centred, shape) * transformed, shape)[cut][mask]
    counts = fft.irfftn(fft.rfftn(known.astype(np.float64), shape) * transformed, shape)[cut][mask]
    return np.asarray(middle + totals / np.rint(counts))
