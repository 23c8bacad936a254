"""Gradient: how steeply intensities change, as ITK's GradientMagnitudeImageFilter has it: central differences, an image that goes on
as it ends, float64 up to the last step, float32 from there. Operations and their order are ITK's, so the bits are, too; and a few
planes at a time are all that is held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from radpipe.filters.scene import ImageType, Response, Scene
from radpipe.filters.settings import FilterSettings
from radpipe.typing import FloatArray, Volume

_CHUNK_VOXELS = 50_000


def respond(scene: Scene, settings: FilterSettings) -> Iterator[Response]:
    """One response, in float32."""
    z, y, x = scene.box
    result = np.empty(scene.values.size, np.float32)
    found = 0
    step = max(1, _CHUNK_VOXELS // (scene.mask.shape[1] * scene.mask.shape[2]))
    for start in range(0, len(scene.mask), step):
        mask = scene.mask[start : start + step]
        planes = slice(z.start + start, z.start + start + len(mask))
        part, inside = replace(scene, box=(planes, y, x), mask=mask).around(1)
        missing = [(1 - side.start, 1 - (size - side.stop)) for side, size in zip(inside, part.shape, strict=True)]
        if any(any(ends) for ends in missing):
            part = np.pad(part, missing, "edge")
        values = magnitude(part, scene.spacing_mm if settings.gradientUseSpacing else (1.0, 1.0, 1.0))[mask]
        result[found : found + values.size] = values
        found += values.size
    yield "gradient", result


def magnitude(voxels: Volume, spacing: tuple[float, float, float]) -> FloatArray:
    """(z - 2, y - 2, x - 2), per unit of the spacing: the outermost voxels are only looked at."""
    total = np.zeros([size - 2 for size in voxels.shape])
    for axis in (2, 1, 0):  # x first, as ITK counts
        ahead, back = [slice(1, -1)] * 3, [slice(1, -1)] * 3
        ahead[axis], back[axis] = slice(2, None), slice(0, -2)
        half = np.float64(0.5 * (1 / spacing[axis]))
        with np.errstate(invalid="ignore", over="ignore"):  # holes in the image
            difference = voxels[tuple(back)] * -half
            difference += voxels[tuple(ahead)] * half
            difference *= difference
            total += difference
    return np.sqrt(total, out=total)


def _told(prefix: str, settings: FilterSettings) -> str:
    return f"the gradient's magnitude (per {'mm' if settings.gradientUseSpacing else 'voxel'})"


GRADIENT = ImageType(lambda settings: ["gradient"], respond, _told, keeps_unit=False)
