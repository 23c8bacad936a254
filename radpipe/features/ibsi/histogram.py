"""Intensity histogram (IBSI ZVCW, of grey levels) and intensity-volume histogram (IBSI P88C).

Zwanenburg 2020, doi:10.1148/radiol.2020191145; El Naqa 2009, doi:10.1016/j.patcog.2008.08.011.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radpipe.errors import RadpipeError
from radpipe.features.ibsi import sums
from radpipe.features.ibsi.discretise import first_edge, grey_levels, whole_numbers
from radpipe.features.ibsi.parameters import Discretise
from radpipe.features.ibsi.statistics import excess_kurtosis, mean_size, mean_square, ratio, robust_deviation, skewness
from radpipe.typing import FloatArray, IntArray

_ROUNDING = 1e-9
_PERCENTILES = (10.0, 25.0, 50.0, 75.0, 90.0)


def intensity_histogram(levels: NDArray[np.integer[Any]]) -> dict[str, float]:
    """The 23 features of the grey levels. levels : (n,), from 1; n >= 1.

    Undefined, hence NaN: the gradients of a histogram of one bin, the robust deviation of two voxels.
    """
    counts = level_counts(levels)[1:]
    n_levels = counts.size
    p = counts[counts > 0] / levels.size
    mean = sums.mean(sums.plain(levels), levels.size)
    if p.size == 1:
        mean = float(n_levels)
    centred = sums.less(levels, mean)
    variance = mean_square(centred, levels.size)
    p10, p25, median, p75, p90 = (float(value) for value in np.percentile(levels, _PERCENTILES))
    low, high = float(levels.min()), float(n_levels)
    gradient = _gradient(counts.astype(np.float64))
    steepest, lowest = int(np.argmax(gradient)), int(np.argmin(gradient))
    known = n_levels > 1
    commonest = np.flatnonzero(counts == counts.max()) + 1
    return {
        "MeanDiscretisedIntensity": mean,
        "DiscretisedIntensityVariance": variance,
        "DiscretisedIntensitySkewness": skewness(centred, levels.size, variance),
        "ExcessDiscretisedIntensityKurtosis": excess_kurtosis(centred, levels.size, variance),
        "MedianDiscretisedIntensity": median,
        "MinimumDiscretisedIntensity": low,
        "10thDiscretisedIntensityPercentile": p10,
        "90thDiscretisedIntensityPercentile": p90,
        "MaximumDiscretisedIntensity": high,
        # Of several commonest levels the one closest to the mean; argmin takes the lower of two at the same distance.
        "IntensityHistogramMode": float(commonest[np.argmin(np.abs(commonest - mean))]),
        "DiscretisedIntensityInterquartileRange": p75 - p25,
        "DiscretisedIntensityRange": high - low,
        "IntensityHistogramMeanAbsoluteDeviation": mean_size(centred, levels.size),
        "IntensityHistogramRobustMeanAbsoluteDeviation": robust_deviation(levels, p10, p90),
        "IntensityHistogramMedianAbsoluteDeviation": mean_size(sums.less(levels, median), levels.size),
        "IntensityHistogramCoefficientOfVariation": ratio(math.sqrt(variance), mean),
        "IntensityHistogramQuartileCoefficientOfDispersion": ratio(p75 - p25, p75 + p25),
        "DiscretisedIntensityEntropy": float(-(p * np.log2(p)).sum()) + 0.0,
        "DiscretisedIntensityUniformity": float((p * p).sum()),
        "MaximumHistogramGradient": float(gradient[steepest]) if known else math.nan,
        "MaximumHistogramGradientIntensity": float(steepest + 1) if known else math.nan,
        "MinimumHistogramGradient": float(gradient[lowest]) if known else math.nan,
        "MinimumHistogramGradientIntensity": float(lowest + 1) if known else math.nan,
    }


def level_counts(levels: NDArray[np.integer[Any]]) -> IntArray:
    """(highest level + 1,) how often each level occurs, from level 0 on."""
    counts = np.zeros(int(levels.max()) + 1, np.int64)
    for piece in sums.pieces(levels.size):
        counts += np.bincount(levels[piece], minlength=counts.size)
    return counts


def _gradient(counts: FloatArray) -> FloatArray:
    """Half the difference of the neighbours, at the ends the difference to the one neighbour. (Ng,)."""
    if counts.size == 1:
        return np.zeros(1)
    return np.asarray(np.gradient(counts))


@dataclass(frozen=True)
class _Curve:
    """The voxels, by their discretised intensities.

    places : (m,) ascending, those that occur. up_to : (m,) voxels of at most that intensity. low, high : the total range G.
    step : between discretised intensities.
    """

    places: FloatArray
    up_to: IntArray
    low: float
    high: float
    step: float

    @property
    def size(self) -> int:
        """Voxels."""
        return int(self.up_to[-1])

    def below(self, intensities: NDArray[np.floating[Any]]) -> IntArray:
        """Number of voxels below each intensity."""
        found = np.searchsorted(self.places, intensities, side="left")
        return np.asarray(np.concatenate([[0], self.up_to])[found])

    def share_from(self, intensity: float) -> float:
        """Share of voxels of at least this intensity."""
        below = self.below(np.array([intensity - _ROUNDING * self.step]))[0]
        return 1.0 - float(below) / self.size

    @property
    def steps(self) -> float:
        """Number of discretised intensities in G, less one."""
        return (self.high - self.low) / self.step

    def volume_at(self, fraction: float) -> float:
        """The largest share of voxels whose intensity fraction is at least ``fraction``; NaN where G is one intensity."""
        if not self.high > self.low:
            return math.nan
        return self.share_from(self.low + math.ceil(fraction * self.steps - _ROUNDING) * self.step)

    def intensity_at(self, fraction: float) -> float:
        """The lowest discretised intensity that at most this share of the voxels reaches.

        Where even the highest intensity of the range is reached by more, that is the first one beyond, which none reaches.
        """
        most = math.floor(fraction * self.size + _ROUNDING)
        # The voxel that must lie below: then at most ``most`` voxels are left above.
        highest_below = self.places[np.searchsorted(self.up_to, self.size - most, side="left")]
        k = math.floor((float(highest_below) - self.low) / self.step + _ROUNDING) + 1
        return self.low + max(k, 0) * self.step

    def area(self) -> float:
        """Of the curve of shares against intensity fractions, by the trapezoidal rule; 0 where the region has one intensity."""
        if self.places.size == 1 or not self.high > self.low:
            return 0.0
        intensities = self.low + np.arange(math.floor(self.steps + _ROUNDING) + 1) * self.step
        share = 1.0 - self.below(intensities - _ROUNDING * self.step) / self.size
        return float(np.trapezoid(share, (intensities - self.low) / (self.high - self.low)))


def intensity_volume_histogram(
    values: FloatArray, how: Discretise, limits: tuple[float | None, float | None] | None
) -> dict[str, float]:
    """The 7 features. values : (n,) float64 of the intensity mask. limits : the resegmentation range.

    Undefined, hence NaN: volumes at intensity fractions of a range of one intensity. RadpipeError: more than 10,000 levels;
    method none and intensities that are not whole numbers.
    """
    curve = _curve(values, how, limits or (None, None))
    v10, v90 = curve.volume_at(0.1), curve.volume_at(0.9)
    i10, i90 = curve.intensity_at(0.1), curve.intensity_at(0.9)
    return {
        "VolumeAtIntensityFraction10": v10,
        "VolumeAtIntensityFraction90": v90,
        "IntensityAtVolumeFraction10": i10,
        "IntensityAtVolumeFraction90": i90,
        "VolumeFractionDifferenceBetweenIntensityFractions": v10 - v90,
        "IntensityFractionDifferenceBetweenVolumeFractions": i10 - i90,
        "AreaUnderTheIvhCurve": curve.area(),
    }


def _curve(values: FloatArray, how: Discretise, limits: tuple[float | None, float | None]) -> _Curve:
    """Discretised intensities and total range by the manual's three cases."""
    lowest, highest = float(values.min()), float(values.max())
    low = limits[0] if limits[0] is not None else lowest
    high = limits[1] if limits[1] is not None else highest
    if how.method == "none":
        if not whole_numbers(values):
            raise RadpipeError(
                "ivh.method none takes intensities that are whole numbers; the region's are not.",
                hint="Use ivh.method fbs with a small width (calibrated units: 2.5 HU, 0.1 SUV) or fbn with 1000 bins.",
                kind="discretisation",
            )
        return _curve_of(*_distinct(values), low, high, 1.0)
    counts = level_counts(grey_levels(values, how, limits[0] if how.method == "fbs" else None, "ivh"))
    present = np.flatnonzero(counts)
    if how.method == "fbs":
        assert how.width is not None
        start = first_edge(values, how, limits[0])
        centres = start + (present - 0.5) * how.width
        return _curve_of(centres, counts[present], start + 0.5 * how.width, high - 0.5 * how.width, how.width)
    assert how.bins is not None
    return _curve_of(present.astype(np.float64), counts[present], 1.0, float(how.bins), 1.0)


def _curve_of(places: NDArray[np.floating[Any]], counts: IntArray, low: float, high: float, step: float) -> _Curve:
    return _Curve(places.astype(np.float64, copy=False), np.cumsum(counts), low, high, step)


def _distinct(values: FloatArray) -> tuple[FloatArray, IntArray]:
    """(those that occur, ascending; how often)."""
    found, counts = [], []
    for piece in sums.pieces(values.size):
        of_piece = np.unique(values[piece], return_counts=True)
        found.append(of_piece[0])
        counts.append(of_piece[1])
    places, where = np.unique(np.concatenate(found), return_inverse=True)
    return places, np.bincount(where, weights=np.concatenate(counts)).astype(np.int64)
