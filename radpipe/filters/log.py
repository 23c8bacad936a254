"""LoG: Laplacian of Gaussian, by ITK's recursive Gaussian (Deriche 1993), along one axis after the other.

ITK adds the second derivatives along x, y and z, each smoothed along the two other axes, in float32, each times one over
the squared spacing of its axis. A recursive filter reads whole lines, however far: a margin, even of 40 voxels, changes last
digits, and with them grey levels. So every pass reads whole lines, but only the region's box is kept along an axis that is done.
"""
# mypy: disallow-untyped-calls=False
# (SimpleITK has no type hints)

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from radpipe.errors import RadpipeError
from radpipe.filters.scene import ImageType, Response, Scene
from radpipe.filters.settings import FilterSettings
from radpipe.typing import Volume

LEAST_VOXELS = 4
_CHUNK_VOXELS = 4_000_000


def prefixes(settings: FilterSettings) -> list[str]:
    return [f"log-sigma-{str(sigma).replace('.', '-')}-mm-3D" for sigma in settings.sigma]


def respond(scene: Scene, settings: FilterSettings) -> Iterator[Response]:
    """RadpipeError where the image has fewer voxels along an axis than the filter needs: 4, and sigma / spacing + 1."""
    for prefix, sigma in zip(prefixes(settings), settings.sigma, strict=True):
        for size, spacing in zip(scene.voxels.shape, scene.spacing_mm, strict=True):
            needed = max(LEAST_VOXELS, math.ceil(sigma / spacing) + 1)
            if size < needed:
                z, y, x = scene.voxels.shape
                raise RadpipeError(
                    f"imageType LoG with sigma {sigma} mm needs an image of at least {needed} voxels along every axis; "
                    f"this one has {x} x {y} x {z} (x, y, z).",
                    hint="Leave LoG out of imageType for images of few slices, or use a smaller sigma or padDistance: more.",
                    kind="image_too_small",
                )
        yield prefix, laplacian(scene, sigma)[scene.mask]


def laplacian(scene: Scene, sigma_mm: float) -> NDArray[np.float32]:
    """Scale-normalised Laplacian of Gaussian in the region's box."""
    total: NDArray[np.float32] | None = None
    for axis in (2, 1, 0):  # x first, as ITK counts
        part = _along(scene, scene.voxels, axis, sigma_mm, 2).astype(np.float32, copy=False)
        for other in (2, 1, 0):
            if other != axis:
                part = _along(scene, part, other, sigma_mm, 0)
        scaled = part * np.float64(1 / (scene.spacing_mm[axis] * scene.spacing_mm[axis]))  # in float64, as ITK
        total = scaled.astype(np.float32) if total is None else (total + scaled).astype(np.float32)
    assert total is not None
    return total


def _along(scene: Scene, voxels: Volume, axis: int, sigma_mm: float, order: int) -> Volume:
    """Derivative of the order (0 smooths) of whole lines along the axis, cut to the box along it; a few lines at a time."""
    filter_ = sitk.RecursiveGaussianImageFilter()
    filter_.SetNumberOfThreads(1)
    filter_.SetNormalizeAcrossScale(True)
    filter_.SetSigma(sigma_mm)
    filter_.SetOrder(order)
    filter_.SetDirection(2 - axis)
    across = 1 if axis == 0 else 0
    keep = [slice(None)] * 3
    keep[axis] = scene.box[axis]
    shape = list(voxels.shape)
    shape[axis] = scene.box[axis].stop - scene.box[axis].start
    result: Volume | None = None
    step = max(1, _CHUNK_VOXELS * voxels.shape[across] // voxels.size)
    for start in range(0, voxels.shape[across], step):
        lines = [slice(None)] * 3
        lines[across] = slice(start, start + step)
        image = sitk.GetImageFromArray(np.ascontiguousarray(voxels[tuple(lines)]))
        image.SetSpacing(scene.spacing_mm[::-1])
        response = filter_.Execute(image)  # kept by name while its view is read
        done = sitk.GetArrayViewFromImage(response)[tuple(keep)]
        if result is None:
            result = np.empty(shape, done.dtype)
        result[tuple(lines)] = done
    assert result is not None
    return result


def _told(prefix: str, settings: FilterSettings) -> str:
    sigma = settings.sigma[prefixes(settings).index(prefix)]
    return f"the Laplacian of Gaussian of {sigma:g} mm"


LOG = ImageType(prefixes, respond, _told)
