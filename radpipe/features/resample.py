"""Normalising and resampling as PyRadiomics does them: the same SimpleITK filters with the same arguments.

The only file of this room that knows SimpleITK. The whole image goes through: a B-spline's coefficients depend on all
of it, and on whole numbers the last bit decides which way a voxel is rounded.
"""
# mypy: disallow-untyped-calls=False
# (SimpleITK has no type hints)

from __future__ import annotations

from typing import cast

import numpy as np
import SimpleITK as sitk

from radpipe.core.grid import Grid
from radpipe.errors import EmptyRoiError
from radpipe.features.parameters import ImageSettings
from radpipe.typing import BoolVolume, FloatArray, Volume


def normalised(voxels: Volume, scale: float, outliers: float | None) -> Volume:
    """Whole image to mean 0 and standard deviation 1 (n - 1), clipped at +-outliers, times scale. (z, y, x) in and out."""
    normalise = sitk.NormalizeImageFilter()
    normalise.SetNumberOfThreads(1)
    array = sitk.GetArrayFromImage(normalise.Execute(sitk.GetImageFromArray(_readable(voxels))))
    if outliers is not None:
        array[array > outliers] = outliers
        array[array < -outliers] = -outliers
    return cast(Volume, array * scale)


def resampled(
    voxels: Volume, grid: Grid, mask: BoolVolume, mask_grid: Grid, setting: ImageSettings
) -> tuple[Volume, BoolVolume, Grid]:
    """Image and mask on PyRadiomics' grid: aligned to the mask's corner, cut to the region's box plus padDistance.

    grid, mask_grid : of the image and of the mask, which may differ; each is read on its own, and the mask's decides. Axes along
    which the region is one voxel keep the mask's spacing; where nothing changes, neither does the image.
    Image dtype is kept. EmptyRoiError where no voxel of the region is hit by the new grid.
    """
    assert setting.resampledPixelSpacing is not None
    image_itk, mask_itk = to_itk(voxels, grid), to_itk(mask.astype(np.uint32), mask_grid)
    old = np.array(mask_itk.GetSpacing())
    new = np.array(setting.resampledPixelSpacing, float)
    new = np.where(new == 0, old, new)
    start, size = _box(mask_itk)
    new = np.where(size != 1, new, old)
    if np.allclose(image_itk.GetSpacing(), new):
        return voxels, mask if mask_grid == grid else _as_image(image_itk, mask_itk, setting), grid
    ratio = old / new
    low = np.floor((start - 0.5) * ratio - setting.padDistance)
    high = np.ceil((start + size - 0.5) * ratio + setting.padDistance)
    last = np.ceil(np.array(mask_itk.GetSize()) * ratio) - 1
    low = np.where(low < 0, 0, low)
    high = np.where(high > last, last, high)
    filter_ = sitk.ResampleImageFilter()
    filter_.SetNumberOfThreads(1)
    filter_.SetOutputSpacing(new.tolist())
    filter_.SetOutputDirection(mask_itk.GetDirection())
    filter_.SetSize(np.array(high - low + 1, dtype=int).tolist())
    origin = np.array(0.5 * (new - old) / old) + low / ratio
    filter_.SetOutputOrigin(mask_itk.TransformContinuousIndexToPhysicalPoint(origin.tolist()))
    filter_.SetOutputPixelType(image_itk.GetPixelID())
    filter_.SetInterpolator(_interpolator(setting.interpolator))
    image_out = filter_.Execute(image_itk)
    filter_.SetOutputPixelType(mask_itk.GetPixelID())
    filter_.SetInterpolator(sitk.sitkNearestNeighbor)
    mask_out = filter_.Execute(mask_itk)
    region = _region(mask_out, setting)
    array = sitk.GetArrayFromImage(image_out)
    x, y, z = image_out.GetSpacing()
    return array, region, Grid(array.shape, (z, y, x), image_out.GetOrigin(), image_out.GetDirection())


def _as_image(image: sitk.Image, mask: sitk.Image, setting: ImageSettings) -> BoolVolume:
    """The mask on the image's grid by nearest neighbours."""
    filter_ = sitk.ResampleImageFilter()
    filter_.SetNumberOfThreads(1)
    filter_.SetReferenceImage(image)
    filter_.SetInterpolator(sitk.sitkNearestNeighbor)
    return _region(filter_.Execute(mask), setting)


def _region(mask: sitk.Image, setting: ImageSettings) -> BoolVolume:
    region = sitk.GetArrayFromImage(mask) == 1
    if not region.any():
        raise EmptyRoiError(
            f"no voxel of the region is left at {setting.resampledPixelSpacing} mm (x, y, z).",
            hint="Use a smaller resampledPixelSpacing, or exclude the case.",
        )
    return cast(BoolVolume, region)


def _box(mask: sitk.Image) -> tuple[FloatArray, FloatArray]:
    """(first index, size) of the region's box in x, y, z."""
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.SetNumberOfThreads(1)
    statistics.Execute(mask)
    if 1 not in statistics.GetLabels():
        raise EmptyRoiError("the region is empty.", hint="Check the mask file and its label.")
    box = np.array(statistics.GetBoundingBox(1), np.float64)
    return box[:3], box[3:]


def _interpolator(name: str | int | None) -> int:
    assert name is not None
    return cast(int, getattr(sitk, name)) if isinstance(name, str) else name


def to_itk(voxels: Volume, grid: Grid) -> sitk.Image:
    """(z, y, x) voxels in a dtype ITK has -> a SimpleITK image on the grid."""
    image = sitk.GetImageFromArray(_readable(voxels))
    z, y, x = grid.spacing_mm
    image.SetSpacing((x, y, z))
    image.SetOrigin(grid.origin_mm)
    image.SetDirection(grid.direction)
    return image


def _readable(voxels: Volume) -> Volume:
    """In a dtype ITK has: native byte order, no bool or half precision."""
    if voxels.dtype == bool:
        return voxels.astype(np.uint8)
    if voxels.dtype == np.float16:
        return voxels.astype(np.float32)
    return voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
