"""Images and masks on another grid, by SimpleITK; the only file of this room that knows it."""

from __future__ import annotations

import math

import numpy as np
import SimpleITK as sitk

from radpipe.core.grid import Grid, Triple
from radpipe.core.image import Image, Mask
from radpipe.errors import EmptyRoiError
from radpipe.typing import Volume

_INTERPOLATORS = {"linear": sitk.sitkLinear, "bspline": sitk.sitkBSpline, "nearest": sitk.sitkNearestNeighbor}


def with_spacing(grid: Grid, spacing_mm: Triple) -> Grid:
    """The grid of another spacing (z, y, x) that covers ``grid`` and has the same centre (IBSI: align grid centres).

    Sizes are rounded up, so the new grid may reach beyond the old by less than half a new voxel on each side.
    """
    old, new = np.asarray(grid.spacing_mm), np.asarray(spacing_mm)
    # 1e-6 of a voxel: spacings come as float32, and 40 voxels must not become 41 for their rounding.
    shape = tuple(max(1, math.ceil(n * a / b - 1e-6)) for n, a, b in zip(grid.shape, old, new, strict=True))
    centre = (np.asarray(grid.shape) - 1) / 2
    first = centre - (np.asarray(shape) - 1) / 2 * new / old
    origin = grid.world_mm(first)
    return Grid(
        (shape[0], shape[1], shape[2]),
        (float(new[0]), float(new[1]), float(new[2])),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        grid.direction,
    )


def resample_image(image: Image, grid: Grid, interpolation: str = "linear") -> Image:
    """The image on ``grid``, in its own dtype; voxels outside the old grid take the nearest value of its edge.

    Each new voxel is interpolated at its centre: nothing is averaged over its volume, so an image made much coarser keeps
    the noise of the finer one (as in PyRadiomics and nnU-Net).
    """
    if image.grid == grid:
        return image
    return Image(grid, _resample(image.voxels, image.grid, grid, interpolation, beyond_edge=True), image.unit)


def resample_mask(mask: Mask, grid: Grid) -> Mask:
    """The mask on ``grid`` by nearest neighbour, empty outside the old grid. EmptyRoiError where no voxel is left."""
    if mask.grid == grid:
        return mask
    voxels = _resample(mask.voxels.astype(np.uint8), mask.grid, grid, "nearest", beyond_edge=False).astype(bool)
    if mask.voxels.any() and not voxels.any():
        raise EmptyRoiError(
            f"the region ({int(mask.voxels.sum())} voxels) vanishes at {_mm(grid.spacing_mm[::-1])} mm (x, y, z).",
            hint="Choose a finer preprocessing.spacing_mm.",
        )
    return Mask(grid, voxels)


def _mm(spacing: Triple) -> str:
    return " x ".join(f"{value:g}" for value in spacing)


def _resample(voxels: Volume, old: Grid, new: Grid, interpolation: str, *, beyond_edge: bool) -> Volume:
    source = sitk.GetImageFromArray(np.ascontiguousarray(voxels))
    source.SetSpacing(old.spacing_mm[::-1])
    source.SetOrigin(old.origin_mm)
    source.SetDirection(old.direction)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(new.shape[::-1])
    resampler.SetOutputSpacing(new.spacing_mm[::-1])
    resampler.SetOutputOrigin(new.origin_mm)
    resampler.SetOutputDirection(new.direction)
    resampler.SetInterpolator(_INTERPOLATORS[interpolation])
    resampler.SetUseNearestNeighborExtrapolator(beyond_edge)
    return sitk.GetArrayFromImage(resampler.Execute(source))
