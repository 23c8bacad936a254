"""Shape of the mask: 14 features of PyRadiomics (IBSI morphology, HCUG), and three it no longer recommends."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from radpipe.features._kernels.diameter import longest, plane_diameters, row_ends
from radpipe.features._kernels.mesh import count_cubes, surface_and_volume
from radpipe.typing import BoolVolume, FloatArray, IntArray


def compute(mask: BoolVolume, spacing_mm: tuple[float, float, float]) -> dict[str, float]:
    """Every feature of the family. mask : (z, y, x), cropped to the region; spacing_mm : (z, y, x)."""
    bordered = np.pad(mask, 1).astype(np.uint8)
    spacing = np.asarray(spacing_mm, np.float64)
    area, volume = surface_and_volume(count_cubes(bordered), spacing)
    in_slice, in_column, in_row, anywhere = diameters(bordered, spacing)
    least, minor, major = principal_variances(mask, spacing)
    ball = (36.0 * math.pi * volume**2) ** (1.0 / 3.0)
    return {
        "Elongation": math.sqrt(minor / major),
        "Flatness": math.sqrt(least / major),
        "LeastAxisLength": 4.0 * math.sqrt(least),
        "MajorAxisLength": 4.0 * math.sqrt(major),
        "Maximum2DDiameterColumn": in_column,
        "Maximum2DDiameterRow": in_row,
        "Maximum2DDiameterSlice": in_slice,
        "Maximum3DDiameter": anywhere,
        "MeshVolume": volume,
        "MinorAxisLength": 4.0 * math.sqrt(minor),
        "Sphericity": ball / area,
        "SurfaceArea": area,
        "SurfaceVolumeRatio": area / volume,
        "VoxelVolume": float(np.count_nonzero(mask)) * float(np.prod(spacing)),
        "Compactness1": volume / (area**1.5 * math.sqrt(math.pi)),
        "Compactness2": 36.0 * math.pi * volume**2 / area**3,
        "SphericalDisproportion": area / ball,
    }


def diameters(bordered: NDArray[np.uint8], spacing: FloatArray) -> tuple[float, float, float, float]:
    """Longest distance, mm, between surface points of one slice, one (x, z) plane, one (y, z) plane, and at all.

    bordered : (z, y, x) uint8 with a border of zeros.
    """
    along_x, along_y = row_ends(bordered)
    z_mm, y_mm, x_mm = spacing
    in_slice, by_z = plane_diameters(along_x, y_mm, x_mm)
    in_column, by_y = plane_diameters(np.ascontiguousarray(along_x.transpose(1, 0, 2)), z_mm, x_mm)
    in_row, by_x = plane_diameters(np.ascontiguousarray(along_y.transpose(1, 0, 2)), z_mm, y_mm)
    # A corner of the hull is a corner of every section it lies in, so only points found in all three ways can be ends.
    sides = np.array([2 * size for size in bordered.shape])
    found = (by_z, by_y[:, [1, 0, 2]], by_x[:, [1, 2, 0]])
    places = [np.unique((points[:, 0] * sides[1] + points[:, 1]) * sides[2] + points[:, 2]) for points in found]
    both = np.intersect1d(places[0], places[1], assume_unique=True)
    corners = np.stack(np.unravel_index(np.intersect1d(both, places[2], assume_unique=True), tuple(sides)), axis=1)
    anywhere = longest(corners * 0.5 * spacing)
    return math.sqrt(in_slice), math.sqrt(in_column), math.sqrt(in_row), math.sqrt(anywhere)


def principal_variances(mask: BoolVolume, spacing: FloatArray) -> tuple[float, ...]:
    """Eigenvalues of the covariance of the voxels' places, ascending, mm2 (one for each axis of the mask).

    Moments of indices are whole numbers, kept exact by counting voxels plane by plane, so that no digit is lost to
    centring. A negative rounding error is 0.
    """
    n = int(np.count_nonzero(mask))
    axes = range(mask.ndim)
    index = [np.arange(size, dtype=np.int64) for size in mask.shape]
    sums = [int(_counts(mask, (a,)) @ index[a]) for a in axes]
    covariance = np.empty((mask.ndim, mask.ndim))
    for a in axes:
        for b in axes:
            if a == b:
                products = int(_counts(mask, (a,)) @ index[a] ** 2)
            else:
                low, high = min(a, b), max(a, b)
                products = int(index[low] @ _counts(mask, (low, high)) @ index[high])
            covariance[a, b] = (n * products - sums[a] * sums[b]) / n**2 * spacing[a] * spacing[b]
    return tuple(float(max(value, 0.0)) for value in np.linalg.eigvalsh(covariance))


def _counts(mask: BoolVolume, kept: tuple[int, ...]) -> IntArray:
    return np.asarray(mask.sum(axis=tuple(axis for axis in range(mask.ndim) if axis not in kept), dtype=np.int64))
