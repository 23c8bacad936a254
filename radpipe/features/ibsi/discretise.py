"""Intensities -> grey levels 1, 2, 3, ..., and their lay-out for the kernels (manual, chapter "Image processing", 4R0B)."""

from __future__ import annotations

import math

import numpy as np

from radpipe.errors import RadpipeError
from radpipe.features._kernels.binning import lay_out
from radpipe.features.ibsi.parameters import MOST_LEVELS, Discretise
from radpipe.features.region import Levels
from radpipe.typing import BoolVolume, FloatArray, IntArray

# A bin edge met but for the last digit belongs to the bin above it, as it would without rounding.
_ROUNDING = 1e-10


def grey_levels(values: FloatArray, how: Discretise, range_low: float | None, what: str = "discretise") -> IntArray:
    """Level of every voxel, from 1. values : (n,) float64 of the intensity mask. range_low : lower end of the resegmentation range.

    RadpipeError: more than 10,000 levels; method none and intensities that are no whole numbers from 1.
    """
    if how.method == "fbn":
        assert how.bins is not None
        return fixed_bin_number(values, how.bins)
    if how.method == "fbs":
        assert how.width is not None
        return fixed_bin_size(values, how.width, first_edge(values, how, range_low), what)
    low, high = float(values.min()), float(values.max())
    if low < 1.0 or not np.array_equal(values, np.rint(values)):
        raise RadpipeError(
            f"{what}.method none takes intensities as grey levels, which are whole numbers from 1; the region's lie in "
            f"{low:g} to {high:g}{'' if low < 1.0 else ' and are not whole'}.",
            hint="Use method fbn with bins, or fbs with width.",
            kind="discretisation",
        )
    _refuse_many(high, "intensities taken as they are", "Use method fbn with bins, or fbs with width.", what)
    return values.astype(np.int64)


def first_edge(values: FloatArray, how: Discretise, range_low: float | None) -> float:
    """Lower edge of the first bin of fixed size: ``start``, else the lower end of the resegmentation range, else the minimum."""
    if how.start is not None:
        return how.start
    return range_low if range_low is not None else float(values.min())


def fixed_bin_number(values: FloatArray, bins: int) -> IntArray:
    """Equal bins from minimum to maximum, which lies in the last one (IBSI K15C). All 1 where the region has one intensity."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.ones(values.size, np.int64)
    share = bins * ((values - low) / (high - low))
    return np.minimum(np.floor(share + _ROUNDING).astype(np.int64) + 1, bins)


def fixed_bin_size(values: FloatArray, width: float, start: float, what: str = "discretise") -> IntArray:
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
    return np.floor((values - start) / width + _ROUNDING).astype(np.int64) + 1


def _refuse_many(levels: float, source: str, hint: str, what: str) -> None:
    if levels > MOST_LEVELS:
        raise RadpipeError(
            f"{what}: {source} make {levels:.0f} grey levels; the most is {MOST_LEVELS}.", hint=hint, kind="discretisation"
        )


def _round_up(value: float) -> float:
    """To two figures."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit


def laid_out(mask: BoolVolume, levels: IntArray, border: int, spacing_mm: tuple[float, float, float]) -> Levels:
    """The box with a border of zeros. mask : (z, y, x), the intensity mask; levels : of its voxels in memory order."""
    flat, where = lay_out(np.ascontiguousarray(mask).view(np.uint8), levels.astype(np.int32), border)
    z, y, x = mask.shape
    shape = (z + 2 * border, y + 2 * border, x + 2 * border)
    return Levels(flat, shape, where, int(levels.max()), (z, y, x), spacing_mm)
