"""Gradient: how steeply intensities change, by ITK's GradientMagnitudeImageFilter (central differences)."""
# mypy: disallow-untyped-calls=False
# (SimpleITK has no type hints)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from radpipe.filters.scene import ImageType, Response, Scene
from radpipe.filters.settings import FilterSettings
from radpipe.typing import Volume

_CHUNK_VOXELS = 200_000


def respond(scene: Scene, settings: FilterSettings) -> Iterator[Response]:
    """The filter looks one voxel ahead and back, so a few planes of the box with a margin of one have all they need."""
    z, y, x = scene.box
    result: Volume = np.empty(0)
    found = 0
    step = max(1, _CHUNK_VOXELS // (scene.mask.shape[1] * scene.mask.shape[2]))
    for start in range(0, len(scene.mask), step):
        mask = scene.mask[start : start + step]
        planes = slice(z.start + start, z.start + start + len(mask))
        part, inside = replace(scene, box=(planes, y, x), mask=mask).around(1)
        image = sitk.GetImageFromArray(np.ascontiguousarray(part))
        image.SetSpacing(scene.spacing_mm[::-1])
        filter_ = sitk.GradientMagnitudeImageFilter()
        filter_.SetNumberOfThreads(1)
        filter_.SetUseImageSpacing(settings.gradientUseSpacing)
        response = filter_.Execute(image)  # kept by name while its view is read
        values = sitk.GetArrayViewFromImage(response)[inside][mask]
        if not result.size:
            result = np.empty(scene.values.size, values.dtype)
        result[found : found + values.size] = values
        found += values.size
    yield "gradient", result


def _told(prefix: str, settings: FilterSettings) -> str:
    return f"the gradient's magnitude (per {'mm' if settings.gradientUseSpacing else 'voxel'})"


GRADIENT = ImageType(lambda settings: ["gradient"], respond, _told, keeps_unit=False)
