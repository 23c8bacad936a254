"""Intensities -> grey levels 1, 2, 3, ..., and their lay-out for the kernels (manual, chapter "Image processing", 4R0B)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radpipe.errors import RadpipeError
from radpipe.features._kernels._jit import LevelArray
from radpipe.features._kernels.binning import lay_out
from radpipe.features.ibsi import sums
from radpipe.features.ibsi.parameters import MOST_LEVELS, Discretise
from radpipe.features.region import Levels
from radpipe.typing import BoolVolume, FloatArray

# A bin edge met but for the last digit belongs to the bin above it, as it would without rounding.
_ROUNDING = 1e-10


def grey_levels(values: FloatArray, how: Discretise, range_low: float | None, what: str = "discretise") -> LevelArray:
    """(n,) int32 level of every voxel, from 1. values : (n,) float64 of the intensity mask. range_low : lower end of the resegmentation range.

    RadpipeError: more than 10,000 levels; method none and intensities that are no whole numbers from 1.
    """
    if how.method == "fbn":
        assert how.bins is not None
        return fixed_bin_number(values, how.bins)
    if how.method == "fbs":
        assert how.width is not None
        return fixed_bin_size(values, how.width, first_edge(values, how, range_low), what)
    low, high = float(values.min()), float(values.max())
    if low < 1.0 or not whole_numbers(values):
        raise RadpipeError(
            f"{what}.method none takes intensities as grey levels, which are whole numbers from 1; the region's lie in "
            f"{low:g} to {high:g}{'' if low < 1.0 else ' and are not whole'}.",
            hint="Use method fbn with bins, or fbs with width.",
            kind="discretisation",
        )
    _refuse_many(high, "intensities taken as they are", "Use method fbn with bins, or fbs with width.", what)
    return values.astype(np.int32)


def whole_numbers(values: FloatArray) -> bool:
    """Whether all are."""
    return all(np.array_equal(values[piece], np.rint(values[piece])) for piece in sums.pieces(values.size))


def first_edge(values: FloatArray, how: Discretise, range_low: float | None) -> float:
    """Lower edge of the first bin of fixed size: ``start``, else the lower end of the resegmentation range, else the minimum."""
    if how.start is not None:
        return how.start
    return range_low if range_low is not None else float(values.min())


def fixed_bin_number(values: FloatArray, bins: int) -> LevelArray:
    """Equal bins from minimum to maximum, which lies in the last one (IBSI K15C). All 1 where the region has one intensity."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.ones(values.size, np.int32)
    levels = np.empty(values.size, np.int32)
    for piece in sums.pieces(values.size):
        share = bins * ((values[piece] - low) / (high - low))
        levels[piece] = np.minimum(np.floor(share + _ROUNDING) + 1, bins)
    return levels


def fixed_bin_size(values: FloatArray, width: float, start: float, what: str = "discretise") -> LevelArray:
    """Bins of one width from ``start`` on (IBSI Q3RU). RadpipeError: intensities below start, or more than 10,000 levels."""
    low, high = float(values.min()), float(values.max())
    if low < start:
        raise RadpipeError(
            f"{what}.start {start:g} lies above the region's lowest intensity {low:g}.",
            hint="Lower start, or cut the region with resegment_range.",
            kind="discretisation",
        )
    span = high - start
    enough = _round_up(span / MOST_LEVELS) if span > 0 else width
    _refuse_many(span / width, f"bins of width {width:g}", f"Use a width of at least {enough:g}.", what)
    levels = np.empty(values.size, np.int32)
    for piece in sums.pieces(values.size):
        levels[piece] = np.floor((values[piece] - start) / width + _ROUNDING) + 1
    return levels


def _refuse_many(levels: float, source: str, hint: str, what: str) -> None:
    if levels > MOST_LEVELS:
        raise RadpipeError(
            f"{what}: {source} make {levels:.0f} grey levels; the most is {MOST_LEVELS}.", hint=hint, kind="discretisation"
        )


def _round_up(value: float) -> float:
    """To two figures."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit


def laid_out(mask: BoolVolume, levels: NDArray[np.integer[Any]], border: int, spacing_mm: tuple[float, float, float]) -> Levels:
    """The box with a border of zeros. mask : (z, y, x), the intensity mask; levels : of its voxels in memory order."""
    where = np.empty(levels.size, np.int32)
    flat = lay_out(np.ascontiguousarray(mask).view(np.uint8), levels.astype(np.int32, copy=False), border, where)
    z, y, x = mask.shape
    shape = (z + 2 * border, y + 2 * border, x + 2 * border)
    return Levels(flat, shape, where, int(levels.max()), (z, y, x), spacing_mm)
