"""The region of one case, cropped to its box, and its grey levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from radpipe.errors import EmptyRoiError, RadpipeError
from radpipe.features._kernels.binning import digitise, lay_out
from radpipe.typing import BoolVolume, FloatArray, IntArray, Volume

MOST_LEVELS = 10_000
_MOST_VOXELS = 2**31  # places are counted in 32 bits
_PIECE = 1 << 16
Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Region:
    """values : (n,), intensities of the region in memory order, in the image's dtype. mask : (z, y, x), the region; touches all
    six sides of the box. spacing_mm : (z, y, x)."""

    values: Volume
    mask: BoolVolume
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Levels:
    """Grey levels of a region, as kernels want them.

    flat : int32, the box with a border of zeros, flattened; 0 outside the region. shape : (z, y, x) with the border.
    where : int32, places of the region's voxels in ``flat``, ascending. n_levels : Ng, the highest level.
    box : (z, y, x), without the border.
    """

    flat: NDArray[np.int32]
    shape: tuple[int, int, int]
    where: NDArray[np.int32]
    n_levels: int
    box: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    def steps(self, angles: IntArray) -> IntArray:
        """(n, 3) offsets in (z, y, x) -> (n,) offsets in ``flat``."""
        return _steps(angles.tobytes(), self.shape[1], self.shape[2])


def bounding_box(mask: BoolVolume) -> Box:
    """The smallest box that holds the region; EmptyRoiError where it is empty."""
    planes = np.flatnonzero(mask.any(axis=(1, 2)))
    if planes.size == 0:
        raise EmptyRoiError("the region is empty.", hint="Check the mask file and its label.")
    z = slice(int(planes[0]), int(planes[-1]) + 1)
    rows = np.flatnonzero(mask[z].any(axis=(0, 2)))
    y = slice(int(rows[0]), int(rows[-1]) + 1)
    columns = np.flatnonzero(mask[z, y].any(axis=(0, 1)))
    return z, y, slice(int(columns[0]), int(columns[-1]) + 1)


def check_size(mask: BoolVolume, box: Box, least_dimensions: int, least_voxels: int | None) -> None:
    """EmptyRoiError where the region has too few voxels, or extends in too few directions (PyRadiomics' checkMask)."""
    extent = sum(side.stop - side.start > 1 for side in box)
    if extent == 0:
        raise EmptyRoiError("the region is a single voxel; it has no shape and no texture.", hint="Exclude the case.")
    if extent < least_dimensions:
        raise EmptyRoiError(
            f"the region extends in {extent} of 3 directions; minimumROIDimensions asks for {least_dimensions}.",
            hint="Exclude the case, or lower minimumROIDimensions.",
        )
    if least_voxels is not None:
        voxels = int(np.count_nonzero(mask[box]))
        if voxels <= least_voxels:
            raise EmptyRoiError(
                f"the region has {voxels} voxels; minimumROISize asks for more than {least_voxels}.",
                hint="Exclude the case, or lower minimumROISize.",
            )


def bin_edges(values: Volume, width: float, count: int | None) -> FloatArray:
    """Edges between grey levels, float64, by PyRadiomics' rule and in the arithmetic of the image's dtype.

    With a width: multiples of it, from the one at or below the minimum. With a count: that many equal bins from minimum
    to maximum. Whole numbers are widened first: near the end of a small dtype PyRadiomics' sums overflow.
    """
    if values.dtype.kind in "iub":
        values = values.astype(np.int64)
    if count is not None:
        edges = np.histogram_bin_edges(values, bins=count)
        edges[-1] += 1  # so that the maximum lies in the last bin
        return edges.astype(np.float64)
    low, high = values.min(), values.max()
    span = float(high) - float(low)
    if span / width > MOST_LEVELS:
        raise RadpipeError(
            f"binWidth {width:g} cuts the region's intensities ({low:g} to {high:g}) into {span / width:.0f} grey levels; "
            f"the most is {MOST_LEVELS}.",
            hint=f"Use a binWidth of at least {_round_up(span / MOST_LEVELS):g} ({_round_up(span / 64):g} gives 64 levels).",
            kind="discretisation",
        )
    start = low - (low % width)
    edges = np.arange(start, high + 2 * width, width)
    if edges.size == 1:
        edges = np.array([edges[0] - 0.5, edges[0] + 0.5])
    return edges.astype(np.float64)


def _round_up(value: float) -> float:
    """To two figures."""
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(np.ceil(value / unit) * unit)


def discretise(region: Region, edges: FloatArray, border: int) -> Levels:
    """Grey levels of the region, with a border of ``border`` voxels (the longest offset that will be looked at)."""
    return laid_out(region, digitised(region.values, edges), border)


def digitised(values: Volume, edges: FloatArray) -> NDArray[np.int32]:
    """(n,) grey levels, from 1, of the values; piece by piece, so that no copy of a whole region is made."""
    levels = np.empty(values.size, np.int32)
    for start in range(0, levels.size, _PIECE):
        piece = slice(start, start + _PIECE)
        levels[piece] = digitise(values[piece].astype(np.float64), edges)
    return levels


def counted(levels: NDArray[np.int32]) -> IntArray:
    """(Ng + 1,) int64: voxels of every level, from 0; piece by piece, for numpy counts a copy of 64 bits a voxel."""
    counts = np.zeros(int(levels.max()) + 1, np.int64)
    for start in range(0, levels.size, _PIECE):
        counts += np.bincount(levels[start : start + _PIECE], minlength=counts.size)
    return counts


def laid_out(region: Region, levels: NDArray[np.int32], border: int, *, own: bool = False) -> Levels:
    """The region's levels in its box. own : nobody else reads the levels; their room serves for the places.

    RadpipeError where the box has too many voxels to be counted.
    """
    z, y, x = region.mask.shape
    shape = (z + 2 * border, y + 2 * border, x + 2 * border)
    if math.prod(shape) >= _MOST_VOXELS:
        raise RadpipeError(
            f"the region's box has {x} x {y} x {z} voxels (x, y, z); the most is two thousand million.",
            hint="Resample the image to larger voxels (resampledPixelSpacing).",
        )
    n_levels = int(levels.max())
    where = levels if own else np.empty_like(levels)
    flat = lay_out(region.mask.view(np.uint8), levels, border, where)
    return Levels(flat, shape, where, n_levels, (z, y, x), region.spacing_mm)


def directions(box: tuple[int, int, int], distances: Sequence[int], flat_axis: int | None, *, both: bool) -> IntArray:
    """(n, 3) int64 offsets in (z, y, x) whose largest component is one of ``distances``, in PyRadiomics' order.

    Offsets as long as the box or longer are left out. flat_axis : no offset along this axis (force2D). both : with each
    offset its opposite; otherwise the half that points forward in memory. EmptyRoiError where none is left.
    """
    most = max(distances)
    offsets = _offsets(tuple(min(size, most + 1) for size in box), tuple(distances), flat_axis)
    if len(offsets) == 0:
        raise EmptyRoiError(
            f"the region's box of {box} voxels (z, y, x) has no two voxels at the distances {list(distances)}"
            + (" within a plane." if flat_axis is not None else "."),
            hint="Use shorter distances, or exclude the case.",
        )
    return offsets if both else offsets[: len(offsets) // 2]


@lru_cache(maxsize=64)
def _steps(angles: bytes, rows: int, columns: int) -> IntArray:
    """Every family of every image of a case asks for the same. (Not marked as read-only: numba would compile every kernel twice.)"""
    return np.frombuffer(angles, np.int64).reshape(-1, 3) @ np.array([rows * columns, columns, 1], np.int64)


@lru_cache(maxsize=64)
def _offsets(box: tuple[int, ...], distances: tuple[int, ...], flat_axis: int | None) -> IntArray:
    line = np.arange(max(distances), -max(distances) - 1, -1)
    offsets = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    size = np.abs(offsets)
    fits = np.isin(size.max(axis=1), distances) & (size < box).all(axis=1)
    if flat_axis is not None:
        fits &= offsets[:, flat_axis] == 0
    result = offsets[fits].astype(np.int64)
    result.flags.writeable = False
    return result
