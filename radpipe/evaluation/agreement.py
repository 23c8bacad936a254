"""How well two measurements of the same cases agree."""

from __future__ import annotations

import numpy as np
from scipy.stats import f as fisher

from radpipe.typing import FloatArray


def icc_a1(x: FloatArray, y: FloatArray, confidence: float = 0.95) -> tuple[float, float, float]:
    """ICC(A,1) of two measurements with its interval: (icc, ci_low, ci_high). See :func:`icc_a1_of`.

    x, y : (n,), the same cases in the same order. A case without a finite value on both sides is left out.
    """
    pairs = np.column_stack([np.asarray(x, float), np.asarray(y, float)])
    return icc_a1_of(pairs[np.isfinite(pairs).all(axis=1)], confidence)


def icc_a1_of(ratings: FloatArray, confidence: float = 0.95) -> tuple[float, float, float]:
    """Two-way random effects, absolute agreement, single measurement; ICC(2,1) of Shrout and Fleiss.

    ratings : (n cases, k measurements), all finite. NaN where there are fewer than 3 cases or none differs from
    another. 1 is perfect; a shift or another scale between the measurements lowers it, unlike a correlation.
    McGraw and Wong 1996, doi:10.1037/1082-989X.1.1.30.
    """
    n, k = ratings.shape
    if n < 3 or k < 2 or np.ptp(ratings) == 0:
        return float("nan"), float("nan"), float("nan")
    # Scale-free, so that neither 1e12 nor 1e-12 as unit overflows or underflows a square.
    values = (ratings - ratings.mean()) / np.abs(ratings - ratings.mean()).max()
    by_case, by_measurement = values.mean(axis=1), values.mean(axis=0)
    cases = float(k * np.sum(by_case**2) / (n - 1))
    measurements = float(n * np.sum(by_measurement**2) / (k - 1))
    residual = values - by_case[:, None] - by_measurement[None, :]
    error = float(np.sum(residual**2) / ((n - 1) * (k - 1)))
    icc = (cases - error) / (cases + (k - 1) * error + k / n * (measurements - error))
    if 1 - icc < 1e-15:
        return 1.0, 1.0, 1.0
    a, b = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
    parts = (a * measurements) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    df = max((a * measurements + b * error) ** 2 / parts, 1e-6) if parts > 0 else float(k - 1)
    rest = k * measurements + (k * n - k - n) * error
    tail = (1 + confidence) / 2
    lower_f, upper_f = float(fisher.ppf(tail, n - 1, df)), float(fisher.ppf(tail, df, n - 1))
    low = n * (cases - lower_f * error) / (lower_f * rest + n * cases)
    high = n * (upper_f * cases - error) / (rest + n * upper_f * cases)
    # The approximation's ends pass the estimate itself where measurements go against each other (an ICC near -1): widened to it.
    return float(icc), min(float(low), float(icc)), max(float(high), float(icc))
