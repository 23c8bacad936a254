"""Image and mask -> voxels and region as the filters and families see them: normalise, resample, check, resegment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import EmptyRoiError, FileProblem, GeometryError
from radpipe.features.parameters import ImageSettings
from radpipe.features.region import Box, bounding_box, check_size
from radpipe.typing import BoolVolume, Volume


@dataclass(frozen=True)
class Loaded:
    """voxels : (z, y, x), normalised and resampled. region : the mask on the same grid. inside : the region after
    resegmentation (``region`` itself without one). box : where that lies. grid : of all three. interpolated : whether the image
    was resampled."""

    voxels: Volume
    region: BoolVolume
    inside: BoolVolume
    box: Box
    grid: Grid
    interpolated: bool


def load(image: Image, mask: Mask, setting: ImageSettings) -> Loaded:
    """EmptyRoiError where the region is too small, FileProblem where intensities in it are not finite.

    The mask may lie on a grid of its own where the image is resampled; see :func:`radpipe.features.resample.resampled`.
    """
    interpolated = setting.interpolator is not None and setting.resampledPixelSpacing is not None
    if image.grid.shape != mask.grid.shape and not interpolated:
        raise GeometryError(
            f"the image has {image.grid.shape} voxels, the mask {mask.grid.shape} (z, y, x).",
            hint="Bring the mask to the image's grid.",
        )
    box = bounding_box(mask.voxels)
    if image.grid.shape == mask.grid.shape:
        refuse_undefined(image.voxels, mask.voxels, box)
    voxels, region, grid = image.voxels, mask.voxels, image.grid
    if setting.normalize:
        from radpipe.features.resample import normalised

        if not np.isfinite(voxels).all():
            raise FileProblem(
                "the image has NaN or infinite voxels; its mean is undefined.", hint="Mend the image, or set normalize: false."
            )
        voxels = normalised(voxels, setting.normalizeScale, setting.removeOutliers)
    if interpolated:
        from radpipe.features.resample import resampled

        voxels, region, grid = resampled(voxels, grid, region, mask.grid, setting)
        box = bounding_box(region)
        refuse_undefined(voxels, region, box)
    if setting.preCrop if not interpolated else grid == image.grid:
        # What filters see; where the new spacing is the old one PyRadiomics crops, too.
        voxels, region, grid = _cropped(voxels, region, grid, box, setting.padDistance)
        box = bounding_box(region)
    check_size(region, box, setting.minimumROIDimensions, setting.minimumROISize)
    inside = region
    if setting.resegmentRange is not None:
        inside = resegmented(voxels, region, box, setting)
        box = bounding_box(inside)
        check_size(inside, box, setting.minimumROIDimensions, setting.minimumROISize)
    return Loaded(voxels, region, inside, box, grid, interpolated)


def _cropped(voxels: Volume, region: BoolVolume, grid: Grid, box: Box, pad: int) -> tuple[Volume, BoolVolume, Grid]:
    """The box with ``pad`` voxels around it, as far as the image goes."""
    start = [max(side.start - pad, 0) for side in box]
    stop = [min(side.stop + pad, size) for side, size in zip(box, grid.shape, strict=True)]
    cut = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    z, y, x = (b - a for a, b in zip(start, stop, strict=True))
    return voxels[cut], region[cut], grid.cropped((start[0], start[1], start[2]), (z, y, x))


def refuse_undefined(voxels: Volume, region: BoolVolume, box: Box) -> None:
    """FileProblem where a voxel of the region, which lies in the box, is NaN or infinite."""
    if voxels.dtype.kind != "f":
        return
    values = voxels[box][region[box]]
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise FileProblem(
            f"{bad} of the region's {values.size} voxels are NaN or infinite.",
            hint="Mend the image, or cut these voxels from the mask.",
        )


def resegmented(voxels: Volume, region: BoolVolume, box: Box, setting: ImageSettings) -> BoolVolume:
    """The region without voxels outside resegmentRange; EmptyRoiError where fewer than two are left."""
    assert setting.resegmentRange is not None
    part = region[box].copy()
    values = voxels[box][part]
    bounds: list[Any] = sorted(setting.resegmentRange)
    if setting.resegmentMode == "relative":
        bounds = [values.max() * bound for bound in bounds]  # in the image's dtype, as PyRadiomics
    elif setting.resegmentMode == "sigma":
        mean, deviation = np.mean(values), np.std(values)
        bounds = [mean + deviation * bound for bound in bounds]
    keep = values >= bounds[0]
    if len(bounds) == 2:
        keep &= values <= bounds[1]
    left = int(np.count_nonzero(keep))
    if left <= 1:
        limits = " to ".join(f"{float(bound):g}" for bound in bounds)
        raise EmptyRoiError(
            f"resegmentRange ({setting.resegmentMode}; {limits}) leaves {left} of {values.size} voxels.",
            hint="Widen resegmentRange, or exclude the case.",
        )
    part[part] = keep
    result = np.zeros_like(region)
    result[box] = part
    return result
