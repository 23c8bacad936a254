"""The part of an image that its feature maps look at. No numba: a process that only reads images asks this."""

from __future__ import annotations

from radpipe.core.image import Image, Mask
from radpipe.features.config import FeatureSettings
from radpipe.preprocessing.crop import bounding_box

Box = tuple[slice, slice, slice]
Triple = tuple[int, int, int]


def needed_part(image: Image, mask: Mask, settings: FeatureSettings) -> tuple[Image, Mask]:
    """The part of both that :func:`radpipe.features.maps.plan_maps` looks at; the whole where the settings look at all of it, or
    there is a mistake for it to find. mask : not empty."""
    margin = _reach(settings)
    if margin is None or image.grid.shape != mask.grid.shape:
        return image, mask
    low, high = (side.tolist() for side in bounding_box(mask.voxels))
    inside = (slice(low[0], high[0] + 1), slice(low[1], high[1] + 1), slice(low[2], high[2] + 1))
    box = padded(inside, mask.grid.shape, margin)
    z, y, x = (side.start for side in box)
    depth, height, width = (side.stop - side.start for side in box)
    part = image.grid.cropped((z, y, x), (depth, height, width))
    # Copies: a view would keep the whole.
    return Image(part, image.voxels[box].copy(), image.unit), Mask(part, mask.voxels[box].copy())


def _reach(settings: FeatureSettings) -> int | None:
    """How far around the region the settings look, voxels; None for everywhere."""
    if settings.engine != "radpipe":
        return None
    if settings.feature_set == "ibsi":
        own = settings.ibsi_parameters
        return own.kernel_radius if own.resample is None and own.filter is None else None
    parameters = settings.parameters
    setting = parameters.setting
    everywhere = setting.normalize or setting.preCrop or setting.resampledPixelSpacing is not None
    return None if everywhere or set(parameters.images) != {"Original"} else parameters.voxel.kernelRadius


def padded(box: Box, shape: Triple, margin: int) -> Box:
    """The box with a margin around it, as far as a volume of ``shape`` goes."""
    z, y, x = (slice(max(side.start - margin, 0), min(side.stop + margin, size)) for side, size in zip(box, shape, strict=True))
    return z, y, x
