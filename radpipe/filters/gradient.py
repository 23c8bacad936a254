"""Gradient: how steeply intensities change, by ITK's GradientMagnitudeImageFilter (central differences)."""
# mypy: disallow-untyped-calls=False
# (SimpleITK has no type hints)

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

from radpipe.filters.scene import ImageType, Response, Scene
from radpipe.filters.settings import FilterSettings


def respond(scene: Scene, settings: FilterSettings) -> Iterator[Response]:
    """The filter looks one voxel ahead and back, so the box with a margin of one has all it needs."""
    part, inside = scene.around(1)
    image = sitk.GetImageFromArray(np.ascontiguousarray(part))
    image.SetSpacing(scene.spacing_mm[::-1])
    filter_ = sitk.GradientMagnitudeImageFilter()
    filter_.SetNumberOfThreads(1)
    filter_.SetUseImageSpacing(settings.gradientUseSpacing)
    response = filter_.Execute(image)  # kept by name while its view is read
    yield "gradient", np.asarray(sitk.GetArrayViewFromImage(response)[inside][scene.mask])


def _told(prefix: str, settings: FilterSettings) -> str:
    return f"the gradient's magnitude (per {'mm' if settings.gradientUseSpacing else 'voxel'})"


GRADIENT = ImageType(lambda settings: ["gradient"], respond, _told, keeps_unit=False)
