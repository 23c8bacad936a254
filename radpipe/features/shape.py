"""Shape of the mask: 14 features of PyRadiomics (IBSI morphology, HCUG), and three it no longer recommends."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from radpipe.features._kernels.diameter import longest, plane_diameters, row_ends
from radpipe.features._kernels.mesh import count_cubes, moments, surface_and_volume
from radpipe.typing import BoolVolume, FloatArray


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
    in_slice, corners = plane_diameters(along_x, y_mm, x_mm)
    in_column, _ = plane_diameters(np.ascontiguousarray(along_x.transpose(1, 0, 2)), z_mm, x_mm)
    in_row, _ = plane_diameters(np.ascontiguousarray(along_y.transpose(1, 0, 2)), z_mm, y_mm)
    anywhere = longest(corners * 0.5 * spacing)  # the two ends are corners of the slices they lie in
    return math.sqrt(in_slice), math.sqrt(in_column), math.sqrt(in_row), math.sqrt(anywhere)


def principal_variances(mask: BoolVolume, spacing: FloatArray) -> tuple[float, float, float]:
    """Eigenvalues of the covariance of the voxels' places, ascending, mm2. mask : (z, y, x).

    Moments of indices are whole numbers and kept exact, so that no digit is lost to centring. A negative rounding error is 0.
    """
    n, *sums = (int(value) for value in moments(np.ascontiguousarray(mask).view(np.uint8)))
    places = {(0, 0): 3, (1, 1): 4, (2, 2): 5, (0, 1): 6, (0, 2): 7, (1, 2): 8}
    covariance = np.empty((3, 3))
    for (a, b), place in places.items():
        covariance[a, b] = covariance[b, a] = (n * sums[place] - sums[a] * sums[b]) / n**2 * spacing[a] * spacing[b]
    least, middle, most = (float(max(value, 0.0)) for value in np.linalg.eigvalsh(covariance))
    return least, middle, most
