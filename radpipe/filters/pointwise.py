"""Image types that look at one voxel at a time: Original, Square, SquareRoot, Logarithm, Exponential.

All but the first are scaled by the largest |intensity| of the whole image, so that the response has the image's range.
They work in float64; numbers and order of operations are PyRadiomics'. NaN where that largest intensity is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from radpipe.filters.scene import ImageType, Response, Scene
from radpipe.filters.settings import FilterSettings
from radpipe.typing import FloatArray, Volume


def original(values: Volume, largest: float) -> Volume:
    return values


def square(values: Volume, largest: float) -> FloatArray:
    """(x / sqrt(largest))^2."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((1 / np.sqrt(np.float64(largest)) * values.astype(np.float64)) ** 2)


def square_root(values: Volume, largest: float) -> FloatArray:
    """sqrt(largest |x|), with the sign of x."""
    x = values.astype(np.float64)
    return np.asarray(np.copysign(np.sqrt(np.abs(x) * largest), x))


def logarithm(values: Volume, largest: float) -> FloatArray:
    """log(|x| + 1) with the sign of x, times largest / log(largest + 1)."""
    x = values.astype(np.float64)
    response = np.copysign(np.log(np.abs(x) + 1), x)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(response * (np.float64(largest) / np.log(np.float64(largest) + 1)))


def exponential(values: Volume, largest: float) -> FloatArray:
    """exp(x log(largest) / largest)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.exp(np.log(np.float64(largest)) / np.float64(largest) * values.astype(np.float64)))


def _image_type(prefix: str, told: str, change: Callable[[Volume, float], Volume]) -> ImageType:
    def respond(scene: Scene, settings: FilterSettings) -> Iterator[Response]:
        yield prefix, change(scene.values, scene.largest if change is not original else 0.0)

    return ImageType(lambda settings: [prefix], respond, lambda _, settings: told)


ORIGINAL = _image_type("original", "the image", original)
SQUARE = _image_type("square", "the squares of the intensities (scaled to the image's range)", square)
SQUARE_ROOT = _image_type("squareroot", "the square roots of the intensities (scaled to the image's range)", square_root)
LOGARITHM = _image_type("logarithm", "the logarithms of the intensities (scaled to the image's range)", logarithm)
EXPONENTIAL = _image_type("exponential", "the exponentials of the intensities (scaled to the image's range)", exponential)
