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
    x = values.astype(np.float64)  # then in place: a region may have hundreds of megabytes
    with np.errstate(divide="ignore", invalid="ignore"):
        x *= 1 / np.sqrt(np.float64(largest))
    return np.square(x, out=x)


def square_root(values: Volume, largest: float) -> FloatArray:
    """sqrt(largest |x|), with the sign of x."""
    x = np.abs(values, dtype=np.float64)
    x *= largest
    return np.copysign(np.sqrt(x, out=x), values, out=x)


def logarithm(values: Volume, largest: float) -> FloatArray:
    """log(|x| + 1) with the sign of x, times largest / log(largest + 1)."""
    x = np.abs(values, dtype=np.float64)
    x += 1
    np.copysign(np.log(x, out=x), values, out=x)
    with np.errstate(divide="ignore", invalid="ignore"):
        x *= np.float64(largest) / np.log(np.float64(largest) + 1)
    return x


def exponential(values: Volume, largest: float) -> FloatArray:
    """exp(x log(largest) / largest)."""
    x = values.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        x *= np.log(np.float64(largest)) / np.float64(largest)
    return np.exp(x, out=x)


def _image_type(prefix: str, told: str, change: Callable[[Volume, float], Volume]) -> ImageType:
    def respond(scene: Scene, settings: FilterSettings) -> Iterator[Response]:
        yield prefix, change(scene.values, scene.largest if change is not original else 0.0)

    return ImageType(lambda settings: [prefix], respond, lambda _, settings: told)


ORIGINAL = _image_type("original", "the image", original)
SQUARE = _image_type("square", "the squares of the intensities (scaled to the image's range)", square)
SQUARE_ROOT = _image_type("squareroot", "the square roots of the intensities (scaled to the image's range)", square_root)
LOGARITHM = _image_type("logarithm", "the logarithms of the intensities (scaled to the image's range)", logarithm)
EXPONENTIAL = _image_type("exponential", "the exponentials of the intensities (scaled to the image's range)", exponential)
