"""Morphology: 25 features (IBSI HCUG), and four that have no consensus value. Zwanenburg 2020, doi:10.1148/radiol.2020191145.

Form comes from the morphological mask, intensities from the intensity mask. The surface is the marching-cubes mesh, whose points
are the middles of the edges between a voxel inside and one outside.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import ConvexHull

from radpipe.features._kernels.diameter import longest, plane_diameters, row_ends
from radpipe.features._kernels.mesh import count_cubes, surface_and_volume
from radpipe.features.ibsi.enclosing import ellipsoid_area, smallest_box, smallest_ellipsoid
from radpipe.features.ibsi.spatial import autocorrelation
from radpipe.features.ibsi.statistics import ratio
from radpipe.features.region import bounding_box
from radpipe.features.shape import principal_variances
from radpipe.typing import BoolVolume, FloatArray, Volume


def compute(
    voxels: Volume, morphological: BoolVolume, intensity: BoolVolume, spacing_mm: tuple[float, float, float]
) -> dict[str, float]:
    """Every feature of the family. voxels, morphological, intensity : (z, y, x); both masks hold a voxel at least.

    Undefined, hence NaN: principal axes of a single voxel, densities in a flat ellipsoid, the centre of mass where intensities
    add up to 0, spatial autocorrelation of a single voxel or intensity.
    """
    box = bounding_box(morphological)
    voxels, morphological, intensity = voxels[box], morphological[box], intensity[box]
    spacing = np.asarray(spacing_mm, np.float64)
    bordered = np.pad(morphological, 1).view(np.uint8)
    area, volume = surface_and_volume(count_cubes(bordered), spacing)
    along_x, _ = row_ends(bordered)
    _, corners = plane_diameters(along_x, float(spacing[1]), float(spacing[2]))
    points = corners * 0.5 * spacing
    del bordered, along_x, corners
    n = int(np.count_nonzero(morphological))
    least, minor, major = _principal_variances(morphological, spacing, n)
    ball = (36.0 * math.pi * volume**2) ** (1.0 / 3.0)
    shift, mean = _centre_shift(voxels, morphological, intensity, spacing)
    moran, geary = autocorrelation(voxels, intensity, spacing_mm)
    return {
        "VolumeMesh": volume,
        "VolumeVoxelCounting": n * float(np.prod(spacing)),
        "SurfaceAreaMesh": area,
        "SurfaceToVolumeRatio": area / volume,
        "Compactness1": volume / (area**1.5 * math.sqrt(math.pi)),
        "Compactness2": 36.0 * math.pi * volume**2 / area**3,
        "SphericalDisproportion": area / ball,
        "Sphericity": ball / area,
        "Asphericity": area / ball - 1.0,
        "CentreOfMassShift": shift,
        "Maximum3DDiameter": math.sqrt(longest(points)),
        "MajorAxisLength": 4.0 * math.sqrt(major),
        "MinorAxisLength": 4.0 * math.sqrt(minor),
        "LeastAxisLength": 4.0 * math.sqrt(least),
        "Elongation": math.sqrt(ratio(minor, major)),
        "Flatness": math.sqrt(ratio(least, major)),
        **_densities(points, area, volume, 2.0 * np.sqrt([major, minor, least])),
        "IntegratedIntensity": mean * volume,
        "MoransIIndex": moran,
        "GearysCMeasure": geary,
    }


def _principal_variances(mask: BoolVolume, spacing: FloatArray, n: int) -> tuple[float, float, float]:
    """Ascending, mm2, over n - 1; NaN for a single voxel."""
    if n == 1:
        return math.nan, math.nan, math.nan
    least, minor, major = (value * n / (n - 1) for value in principal_variances(mask, spacing))
    # A plane of voxels has no extent across; what eigenvalues leave of it is rounding.
    floor = 1e-12 * major
    return (least if least > floor else 0.0), (minor if minor > floor else 0.0), major


def _centre_shift(voxels: Volume, morphological: BoolVolume, intensity: BoolVolume, spacing: FloatArray) -> tuple[float, float]:
    """(distance of the intensity-weighted middle from the region's, mm; mean intensity). The distance is NaN where the
    intensities add up to 0."""
    values = voxels[intensity].astype(np.float64, copy=False)
    total, mean = float(values.sum()), float(values.mean())
    if total == 0.0:
        return math.nan, mean
    del values
    geometric = np.zeros(3)
    for axis, size in enumerate(morphological.shape):
        of_index = np.count_nonzero(morphological, axis=tuple({0, 1, 2} - {axis}))
        geometric[axis] = float(of_index @ np.arange(size)) / float(of_index.sum())
    rows, columns = (np.arange(size) - middle for size, middle in zip(voxels.shape[1:], geometric[1:], strict=True))
    weighted = np.zeros(3)
    for index, (plane, inside) in enumerate(zip(voxels, intensity, strict=True)):
        of_plane = np.where(inside, plane.astype(np.float64), 0.0)
        by_row = of_plane.sum(axis=1)
        weighted += (index - geometric[0]) * by_row.sum(), rows @ by_row, columns @ of_plane.sum(axis=0)
    return float(np.linalg.norm(weighted / total * spacing)), mean


def _densities(points: FloatArray, area: float, volume: float, semi_axes: FloatArray) -> dict[str, float]:
    """Mesh volume and area over those of boxes, ellipsoids and hull. points : (n, 3), mm, with every corner of the hull."""
    hull = ConvexHull(points)
    corners = points[hull.vertices]
    along_axes = np.ptp(points, axis=0)
    oriented = smallest_box(corners, hull.equations[:, :3])
    enclosing = smallest_ellipsoid(corners)
    a, b, c = semi_axes
    flat = not c > 0.0
    return {
        "VolumeDensityAxisAlignedBoundingBox": volume / float(np.prod(along_axes)),
        "AreaDensityAxisAlignedBoundingBox": area / _box_area(*along_axes),
        "VolumeDensityApproximateEnclosingEllipsoid": math.nan if flat else volume / _ellipsoid_volume(a, b, c),
        "AreaDensityApproximateEnclosingEllipsoid": math.nan if flat else area / ellipsoid_area(a, b, c),
        "VolumeDensityConvexHull": volume / float(hull.volume),
        "AreaDensityConvexHull": area / float(hull.area),
        "VolumeDensityOrientedMinimumBoundingBox": volume / math.prod(oriented),
        "AreaDensityOrientedMinimumBoundingBox": area / _box_area(*oriented),
        "VolumeDensityMinimumVolumeEnclosingEllipsoid": volume / _ellipsoid_volume(*enclosing),
        "AreaDensityMinimumVolumeEnclosingEllipsoid": area / ellipsoid_area(*enclosing),
    }


def _box_area(a: float, b: float, c: float) -> float:
    return 2.0 * float(a * b + a * c + b * c)


def _ellipsoid_volume(a: float, b: float, c: float) -> float:
    return 4.0 / 3.0 * math.pi * float(a * b * c)
