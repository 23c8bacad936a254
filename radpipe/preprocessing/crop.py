"""The part of an image around its lesion, at one size for every case."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radpipe.core.image import Image, Mask
from radpipe.errors import EmptyRoiError


def crop_around(
    image: Image, mask: Mask, shape: tuple[int, int, int], *, mask_channel: bool = False, margin_mm: float = 0.0
) -> NDArray[np.float32]:
    """float32 (channels, z, y, x): the image around the centre of the mask's box; channel 1 is the mask, where asked for.

    shape : (z, y, x), voxels. The field of view is fixed: shape times the image's spacing, so a small lesion looks small.
    Where the box and ``margin_mm`` on each side do not fit, the view is widened by one factor on all axes until they do
    (the lesion then looks smaller, at its own proportions; image by linear, mask by nearest-neighbour interpolation).
    Beyond the scan's edge stands the image's minimum, and 0 in the mask. EmptyRoiError for an empty mask.
    """
    if image.voxels.shape != mask.voxels.shape:
        raise ValueError(f"image {image.voxels.shape} and mask {mask.voxels.shape} differ in shape")
    if not mask.voxels.any():
        raise EmptyRoiError("the mask is empty, so there is nothing to crop around.", hint="Draw the region again.")
    low, high = bounding_box(mask.voxels)
    spacing = np.asarray(image.grid.spacing_mm)
    wanted_mm = (high - low + 1) * spacing + 2 * margin_mm
    factor = max(1.0, float(np.max(wanted_mm / (np.asarray(shape) * spacing))))
    centre = (low + high) / 2
    floor = float(image.voxels.min())
    channels = [_view(image.voxels.astype(np.float32), centre, shape, factor, 1, floor)]
    if mask_channel:
        channels.append(_view(mask.voxels.astype(np.float32), centre, shape, factor, 0, 0.0))
    return np.stack(channels)


def bounding_box(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last index (z, y, x) of the True voxels; both belong to the box."""
    ranges = [
        np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis))) for axis in range(mask.ndim)
    ]
    return np.array([inside[0] for inside in ranges]), np.array([inside[-1] for inside in ranges])


def _view(
    voxels: NDArray[np.float32],
    centre: NDArray[np.float64],
    shape: tuple[int, int, int],
    factor: float,
    order: int,
    outside: float,
) -> NDArray[np.float32]:
    first = centre - (np.asarray(shape) - 1) / 2 * factor
    if factor > 1.0:
        # "grid-constant": a position between the last voxel and the outside is interpolated, not cut off.
        return ndimage.affine_transform(
            voxels, np.full(3, factor), first, output_shape=shape, order=order, mode="grid-constant", cval=outside
        )
    # Whole voxels, nothing interpolated; half a voxel goes down.
    start = [math.ceil(value - 0.5) for value in first]
    view = np.full(shape, outside, np.float32)
    source = tuple(slice(max(s, 0), max(0, min(s + n, size))) for s, n, size in zip(start, shape, voxels.shape, strict=True))
    target = tuple(slice(part.start - s, part.stop - s) for part, s in zip(source, start, strict=True))
    view[target] = voxels[source]
    return view
