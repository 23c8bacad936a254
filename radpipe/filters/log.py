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
from dataclasses import replace
from functools import lru_cache, partial
from typing import TypeAlias

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from radpipe.errors import RadpipeError
from radpipe.filters.scene import ImageType, Response, Scene
from radpipe.filters.settings import FilterSettings
from radpipe.typing import FloatArray, Volume

LEAST_VOXELS = 4
_CHUNK_VOXELS = 1_000_000
_ADDED_VOXELS = 65_536
# Deriche's two waves: frequencies, dampings, and (cosine, sine) amplitudes for the Gaussian and its second derivative.
_FREQUENCIES, _DAMPINGS = (0.6681, 2.0787), (-1.3932, -1.3732)
Waves: TypeAlias = tuple[tuple[float, float], tuple[float, float]]
_SMOOTHING: Waves = ((1.3530, 1.8151), (-0.3531, 0.0902))
_SECOND_DERIVATIVE: Waves = ((-1.3563, 5.2318), (0.3446, -2.2355))


def prefixes(settings: FilterSettings) -> list[str]:
    return [f"log-sigma-{str(sigma).replace('.', '-')}-mm-3D" for sigma in settings.sigma]


def respond(scene: Scene, settings: FilterSettings) -> Iterator[Response]:
    """RadpipeError where the image has fewer voxels along an axis than the filter needs: 4, and sigma / spacing + 1."""
    scene = replace(scene, voxels=_floats(scene.voxels))  # once for all widths
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
    voxels = _floats(scene.voxels)
    total = np.empty(scene.mask.shape, np.float32)
    step = max(1, _ADDED_VOXELS // (scene.mask.shape[1] * scene.mask.shape[2]))
    for axis in (2, 1, 0):  # x first, as ITK counts
        part = _along(scene, voxels, axis, sigma_mm, 2)
        for other in (2, 1, 0):
            if other != axis:
                part = _along(scene, part, other, sigma_mm, 0)
        added = partial(_add, total, part, 1 / (scene.spacing_mm[axis] * scene.spacing_mm[axis]), axis == 2)
        scene.all_of([partial(added, slice(start, start + step)) for start in range(0, len(total), step)])
    return total


def _add(total: Volume, part: Volume, weight: float, first: bool, planes: slice) -> None:
    """Weighted and added in float64, kept in float32, as ITK."""
    scaled = part[planes] * np.float64(weight)
    if first:
        total[planes] = scaled
    else:
        np.add(total[planes], scaled, out=total[planes], dtype=np.float64, casting="same_kind")


def _floats(voxels: Volume) -> Volume:
    """C-contiguous, in float32 where that holds every value exactly, else float64."""
    exact = voxels.dtype == np.float32 or (voxels.dtype.kind in "iu" and voxels.dtype.itemsize <= 2)
    return np.ascontiguousarray(voxels, np.float32 if exact else np.float64)


def _along(scene: Scene, voxels: Volume, axis: int, sigma_mm: float, order: int) -> Volume:
    """Derivative of the order (0 smooths) of whole lines along the axis, cut to the box along it. voxels : C-contiguous, float."""
    side = scene.box[axis]
    before, after = voxels.shape[:axis], voxels.shape[axis + 1 :]
    result = np.empty((*before, side.stop - side.start, *after), np.float32)
    compiled = scene.recursive_pass
    if compiled is None:
        across = 1 if axis == 0 else 0
        step = max(1, _CHUNK_VOXELS * voxels.shape[across] // voxels.size)  # a few lines at a time
        for start in range(0, voxels.shape[across], step):
            lines = (slice(None),) * across + (slice(start, start + step),)
            result[lines] = _itk_pass(scene, voxels[lines], axis, sigma_mm, order)
        return result
    depth, abreast = math.prod(before), math.prod(after)
    weights = gaussian_weights(sigma_mm, scene.spacing_mm[axis], order)
    given, found = voxels.reshape(depth, -1, abreast), result.reshape(depth, -1, abreast)
    many = max(depth, abreast) if depth == 1 else depth
    step = math.ceil(many / scene.pieces)

    def some(start: int) -> None:
        part, whole = (start, min(start + step, many)), (0, 1 if depth == 1 else abreast)
        compiled(given, weights, side.start, found, *((whole, part) if depth == 1 else (part, whole)))

    scene.all_of([partial(some, start) for start in range(0, many, step)])
    return result


def _itk_pass(scene: Scene, voxels: Volume, axis: int, sigma_mm: float, order: int) -> Volume:
    filter_ = sitk.RecursiveGaussianImageFilter()
    filter_.SetNumberOfThreads(1)
    filter_.SetNormalizeAcrossScale(True)
    filter_.SetSigma(sigma_mm)
    filter_.SetOrder(order)
    filter_.SetDirection(2 - axis)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels))
    image.SetSpacing(scene.spacing_mm[::-1])
    response = filter_.Execute(image)  # kept by name while its view is read
    return np.array(sitk.GetArrayViewFromImage(response)[(slice(None),) * axis + (scene.box[axis],)])


@lru_cache(maxsize=256)
def gaussian_weights(sigma_mm: float, spacing_mm: float, order: int) -> FloatArray:
    """(20,) weights of a recursive pass that smooths (order 0), or smooths and derives twice (order 2, times sigma squared).

    Deriche 1993 (INRIA report 1893) fits sums of two damped waves to the Gaussian and its derivatives; constants, operations and
    their order are ITK's, for they decide the last bit.
    """
    sigma = sigma_mm / spacing_mm
    cosine, sine, damping = (
        [function(value / sigma) for value in values]
        for function, values in ((math.cos, _FREQUENCIES), (math.sin, _FREQUENCIES), (math.exp, _DAMPINGS))
    )
    (c1, c2), (e1, e2) = cosine, damping
    d1 = -2 * (e2 * c2 + e1 * c1)
    d2 = 4 * c2 * c1 * e1 * e2 + (e1 * e1 + e2 * e2)
    d3 = -2 * c1 * e1 * e2 * e2 + -2 * c2 * e2 * e1 * e1
    d4 = e1 * e1 * e2 * e2
    outputs = (d1, d2, d3, d4)
    sd = 1 + d1 + d2 + d3 + d4
    smooth = _inputs(_SMOOTHING, cosine, sine, damping)
    if order == 0:
        inputs, scale = smooth, 1 / (2 * _moments(smooth)[0] / sd - smooth[0])
    else:
        dd, ed = d1 + 2 * d2 + 3 * d3 + 4 * d4, d1 + 4 * d2 + 9 * d3 + 16 * d4
        curved = _inputs(_SECOND_DERIVATIVE, cosine, sine, damping)
        (sn, dn, en), (s2, n2, e2_) = _moments(smooth), _moments(curved)
        beta = -(2 * s2 - sd * curved[0]) / (2 * sn - sd * smooth[0])
        inputs = [b + beta * a for a, b in zip(smooth, curved, strict=True)]
        sn, dn, en = s2 + beta * sn, n2 + beta * dn, e2_ + beta * en
        alpha = (en * sd * sd - ed * sn * sd - 2 * dn * dd * sd + 2 * dd * dd * sn) / (sd * sd * sd)
        scale = sigma_mm * sigma_mm / alpha
    n0, n1, n2_, n3 = (value * scale for value in inputs)
    back = (n1 - d1 * n0, n2_ - d2 * n0, n3 - d3 * n0, -d4 * n0)
    ahead, behind = n0 + n1 + n2_ + n3, back[0] + back[1] + back[2] + back[3]
    return np.array([n0, n1, n2_, n3, *back, *outputs, *(d * ahead / sd for d in outputs), *(d * behind / sd for d in outputs)])


def _inputs(waves: Waves, cosine: list[float], sine: list[float], damping: list[float]) -> list[float]:
    """Weights of the input, not yet scaled."""
    ((a1, b1), (a2, b2)), (c1, c2), (s1, s2), (e1, e2) = waves, cosine, sine, damping
    n1 = e2 * (b2 * s2 - (a2 + 2 * a1) * c2) + e1 * (b1 * s1 - (a1 + 2 * a2) * c1)
    n2 = ((a1 + a2) * c2 * c1 - (b1 * c2 * s1 + b2 * c1 * s2)) * (2 * e1 * e2) + (a2 * e1 * e1 + a1 * e2 * e2)
    n3 = e2 * e1 * e1 * (b2 * s2 - a2 * c2) + e1 * e2 * e2 * (b1 * s1 - a1 * c1)
    return [a1 + a2, n1, n2, n3]


def _moments(inputs: list[float]) -> tuple[float, float, float]:
    n0, n1, n2, n3 = inputs
    return n0 + n1 + n2 + n3, n1 + 2 * n2 + 3 * n3, n1 + 4 * n2 + 9 * n3


def _told(prefix: str, settings: FilterSettings) -> str:
    sigma = settings.sigma[prefixes(settings).index(prefix)]
    return f"the Laplacian of Gaussian of {sigma:g} mm"


LOG = ImageType(prefixes, respond, _told)
