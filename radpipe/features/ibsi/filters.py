"""IBSI 2's filters within an extraction: after resampling and rounding, before the intensities are read from the region.

The region is that of the unfiltered image: range and outlier resegmentation judge its intensities, never the response's
(IBSI 2 reference manual, arXiv:2006.05470).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from radpipe.errors import ConfigError
from radpipe.features.ibsi.chosen import chosen_filters
from radpipe.features.ibsi.parameters import IbsiParameters
from radpipe.features.region import Box
from radpipe.filters.ibsi_common import Padding
from radpipe.filters.ibsi_registry import module_of
from radpipe.typing import FloatArray, Volume

Triple = tuple[float, float, float]
WHOLE: Box = (slice(None), slice(None), slice(None))


def prefixes(parameters: IbsiParameters) -> dict[str, str]:
    """Prefix of the columns -> what the response map is, in words; ``original`` where there is no filter."""
    chosen = chosen_filters(parameters.filter)
    if not chosen:
        return {"original": "the image itself"}
    return {module_of(name).prefix(settings): module_of(name).meaning(settings) for name, settings in chosen}


def reach_mm(parameters: IbsiParameters, spacing_mm: Triple) -> float | None:
    """How far around a region its responses depend on the image, mm; None: as far as that goes. spacing_mm : of the image as read."""
    if parameters.resample is not None:
        spacing_mm = parameters.resample.spacing_zyx(spacing_mm, parameters.dimension)
    far = 0.0
    for name, settings in chosen_filters(parameters.filter):
        reach = module_of(name).reach(settings, spacing_mm)
        if reach is None or settings.padding == "periodic":
            return None
        far = max(far, reach * max(spacing_mm[axis] for axis in settings.axes))
    return far


def responses(
    voxels: Volume, spacing_mm: Triple, parameters: IbsiParameters, box: Box = WHOLE
) -> Iterator[tuple[str, FloatArray]]:
    """(prefix, response) of every filter the parameters name; ("original", the voxels) where they name none.

    voxels : (z, y, x), resampled and rounded, of the whole image, or of the box and :func:`reach_mm` around it. box : the part of the
    response that is wanted; the same values as cut from that of the whole image. ConfigError: a filter cannot run on these
    voxels, or in 3D on planes that the parameters keep apart.
    """
    chosen = chosen_filters(parameters.filter)
    if not chosen:
        yield "original", voxels[box].astype(np.float64)
    for name, settings in chosen:
        if parameters.dimension == "2D" and settings.dimension == "3D":
            raise ConfigError(
                f"filter: {name} in 3D cannot be used with dimension 2D, which keeps the planes apart.",
                hint=f"Set dimension: 2D for {name}.",
            )
        module = module_of(name)
        around, inside = _needed(voxels.shape, box, module.reach(settings, spacing_mm), settings.axes, settings.padding)
        yield module.prefix(settings), np.ascontiguousarray(module.apply(voxels[around], settings, spacing_mm)[inside])


def _needed(shape: tuple[int, ...], box: Box, reach: int | None, axes: tuple[int, ...], padding: Padding) -> tuple[Box, Box]:
    """(the part of the image that the response on ``box`` depends on, where the box lies in it).

    A part that ends where the image ends is padded as the image is, except periodically: that looks at the other end.
    """
    around, inside = [], []
    for axis, (n, side) in enumerate(zip(shape, box, strict=True)):
        first, last, _ = side.indices(n)
        far = 0 if axis not in axes else n if reach is None or padding == "periodic" else reach
        # Filters want two voxels along every axis; where the image has one, they say so.
        start = max(0, min(first - far, n - 2) if axis in axes else first)
        stop = min(n, max(last + far, start + 2) if axis in axes else last)
        around.append(slice(start, stop))
        inside.append(slice(first - start, last - start))
    return (around[0], around[1], around[2]), (inside[0], inside[1], inside[2])
