"""Intensity-based statistics: 18 features (IBSI UHIW) of the intensities in the intensity mask, not discretised.

Also of a filter's response (IBSI 2). Zwanenburg 2020, doi:10.1148/radiol.2020191145. Moments divide by n; percentiles lie on
a straight line between the two nearest ranks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radpipe.features.ibsi import sums
from radpipe.features.ibsi.sums import Part
from radpipe.typing import FloatArray

MEDIAN = 50.0
_PERCENTILES = (10.0, 25.0, MEDIAN, 75.0, 90.0)


def compute(values: FloatArray) -> dict[str, float]:
    """Every feature of the family. values : (n,) float64, n >= 1, finite.

    Undefined, hence NaN: the coefficient of variation where the mean is 0, the quartile coefficient where the quartiles add
    up to 0, the robust deviation where no value lies between the 10th and 90th percentile (a region of two voxels). Skewness
    and kurtosis of a region of one intensity are 0, as the manual sets them. Of the values one copy is made, for the percentiles.
    """
    mean = float(values.mean())
    low, high = float(values.min()), float(values.max())
    if low == high:
        mean = low  # the rounding of a mean is no variance
    centred = sums.less(values, mean)
    variance = mean_square(centred, values.size)
    p10, p25, median, p75, p90 = (float(value) for value in np.percentile(values, _PERCENTILES))
    energy = float(values @ values)
    return {
        "MeanIntensity": mean,
        "IntensityVariance": variance,
        "IntensitySkewness": skewness(centred, values.size, variance),
        "ExcessIntensityKurtosis": excess_kurtosis(centred, values.size, variance),
        "MedianIntensity": median,
        "MinimumIntensity": low,
        "10thIntensityPercentile": p10,
        "90thIntensityPercentile": p90,
        "MaximumIntensity": high,
        "IntensityInterquartileRange": p75 - p25,
        "IntensityRange": high - low,
        "IntensityBasedMeanAbsoluteDeviation": mean_size(centred, values.size),
        "IntensityBasedRobustMeanAbsoluteDeviation": robust_deviation(values, p10, p90),
        "IntensityBasedMedianAbsoluteDeviation": mean_size(sums.less(values, median), values.size),
        "IntensityBasedCoefficientOfVariation": ratio(math.sqrt(variance), mean),
        "IntensityBasedQuartileCoefficientOfDispersion": ratio(p75 - p25, p75 + p25),
        "IntensityBasedEnergy": energy,
        "RootMeanSquareIntensity": math.sqrt(energy / values.size),
    }


def mean_square(centred: Part, n: int) -> float:
    """Second moment of n values; their variance where they are centred."""
    return sums.mean(lambda piece: np.square(centred(piece)), n)


def mean_size(centred: Part, n: int) -> float:
    """Mean of the n absolute values."""
    return sums.mean(lambda piece: np.abs(centred(piece)), n)


def skewness(centred: Part, n: int, variance: float) -> float:
    """Third moment of n values over the 3/2 power of the variance (IBSI KE2A, 88K1); 0 where the variance is 0."""

    def cubes(piece: slice) -> FloatArray:
        values = centred(piece)
        return values * values * values

    return sums.mean(cubes, n) / variance**1.5 if variance > 0.0 else 0.0


def excess_kurtosis(centred: Part, n: int, variance: float) -> float:
    """Fourth moment of n values over the squared variance, minus 3 (IBSI IPH6, C3I7); 0 where the variance is 0."""
    fourth = sums.mean(lambda piece: np.square(np.square(centred(piece))), n) if variance > 0.0 else 0.0
    return fourth / variance**2 - 3.0 if variance > 0.0 else 0.0


def robust_deviation(values: NDArray[Any], p10: float, p90: float) -> float:
    """Mean distance from their mean of the values from p10 to p90 (IBSI 1128, WRZB); NaN where there is none, as with two values."""
    kept = values[(values >= p10) & (values <= p90)]
    return mean_size(sums.less(kept, sums.mean(sums.plain(kept), kept.size)), kept.size) if kept.size else math.nan


def ratio(above: float, below: float) -> float:
    """NaN, not infinity, where the divisor is 0."""
    return above / below if below != 0.0 else math.nan
