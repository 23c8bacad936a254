"""What PyRadiomics' filters read and what they give back."""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from mmap import mmap
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from radpipe.filters.settings import FilterSettings
from radpipe.typing import BoolVolume, FloatArray, Volume

_SMALL_BYTES = 1 << 20
Span: TypeAlias = tuple[int, int]
Box: TypeAlias = tuple[slice, slice, slice]
Response: TypeAlias = tuple[str, Volume]
"""(prefix of the columns, (n,) the response at the region's voxels in memory order, in PyRadiomics' dtype)."""


def _one_by_one(works: Sequence[Callable[[], None]]) -> None:
    for work in works:
        work()


@dataclass(frozen=True)
class Scene:
    """voxels : (z, y, x), the whole image, as normalised and resampled. box : the region's. mask : (z, y, x), the region in its
    box. spacing_mm : (z, y, x). recursive_pass, periodic_pass : compiled passes of LoG's recursive filter and of wavelets, where the caller has
    them (kernels live in the features room, which this one does not know); without them ITK and PyWavelets do them, to the same
    bits, six times slower. pieces, all_of : how many pieces of work are worth while, and who does them all."""

    voxels: Volume
    box: Box
    mask: BoolVolume
    spacing_mm: tuple[float, float, float]
    recursive_pass: Callable[[Volume, FloatArray, int, NDArray[np.float32], Span, Span], None] | None = None
    periodic_pass: Callable[[Volume, FloatArray, int, int], FloatArray] | None = None
    pieces: int = 1
    all_of: Callable[[Sequence[Callable[[], None]]], object] = _one_by_one

    @cached_property
    def values(self) -> Volume:
        """(n,) intensities of the region in memory order."""
        return np.asarray(self.voxels[self.box][self.mask])

    def keeps(self, values: Volume) -> bool:
        """Whether these are its own ``values``, which others will read."""
        return values is vars(self).get("values")

    @cached_property
    def largest(self) -> float:
        """The largest |intensity| of the whole image; NaN where the image has a NaN or an infinity anywhere."""
        found = max(abs(float(self.voxels.min())), abs(float(self.voxels.max())))
        return found if math.isfinite(found) else math.nan

    def around(self, margin: int) -> tuple[Volume, Box]:
        """(the box with a margin as far as the image goes, the box within it)."""
        outer, inner = [], []
        for side, size in zip(self.box, self.voxels.shape, strict=True):
            low, high = max(side.start - margin, 0), min(side.stop + margin, size)
            outer.append(slice(low, high))
            inner.append(slice(side.start - low, side.stop - low))
        return self.voxels[tuple(outer)], (inner[0], inner[1], inner[2])


@dataclass(frozen=True)
class ImageType:
    """One of PyRadiomics' image types.

    prefixes : settings -> the names that its columns start with, in PyRadiomics' order, known before any image is read.
    respond : the responses, in that order, one after the other. told : (prefix, settings) -> what the image is, in words that
    follow "of". keeps_unit : whether a response is in the unit of the image.
    """

    prefixes: Callable[[FilterSettings], list[str]]
    respond: Callable[[Scene, FilterSettings], Iterator[Response]]
    told: Callable[[str, FilterSettings], str]
    keeps_unit: bool = True


def readable(voxels: Volume) -> Volume:
    """In a dtype ITK has: native byte order, no bool or half precision."""
    if voxels.dtype == bool:
        return voxels.astype(np.uint8)
    if voxels.dtype == np.float16:
        return voxels.astype(np.float32)
    return voxels.astype(voxels.dtype.newbyteorder("="), copy=False)


def room(shape: Sequence[int], kind: type[np.floating[Any]] = np.float64) -> NDArray[Any]:
    """An array for what is held a while: where it is large it goes back to the system as a whole, while the allocator would keep it
    when the textures ask for more, or could not give back what lies below it."""
    size = np.dtype(kind).itemsize * math.prod(shape)
    if size < _SMALL_BYTES:
        return np.empty(shape, kind)
    return np.frombuffer(mmap(-1, size), kind).reshape(shape)


def give_back() -> None:
    """Where the C library can be asked to (glibc), what was freed goes back to the system: it would be kept for small arrays, and a
    large one lie beside it."""
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)
