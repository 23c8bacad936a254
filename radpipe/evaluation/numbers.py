"""What a prediction of a number is worth. truth, predicted : (n,). What a set of cases does not define is NaN."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, rankdata

from radpipe.typing import FloatArray


def rmse(truth: FloatArray, predicted: FloatArray) -> float:
    """Root of the mean squared error, in the outcome's unit."""
    return float(np.sqrt(np.mean((np.asarray(predicted) - truth) ** 2))) if len(truth) else float("nan")


def mae(truth: FloatArray, predicted: FloatArray) -> float:
    """Mean absolute error, in the outcome's unit."""
    return float(np.mean(np.abs(np.asarray(predicted) - truth))) if len(truth) else float("nan")


def r2(truth: FloatArray, predicted: FloatArray) -> float:
    """1 minus squared error over that of the tested cases' own mean; below 0 where the mean would have been nearer."""
    spread = float(np.sum((truth - np.mean(truth)) ** 2)) if len(truth) > 1 else 0.0
    return 1 - float(np.sum((np.asarray(predicted) - truth) ** 2)) / spread if spread > 0 else float("nan")


def spearman(truth: FloatArray, predicted: FloatArray) -> float:
    """Correlation of the ranks, ties sharing the mean rank."""
    if len(truth) < 3 or np.ptp(truth) == 0 or np.ptp(predicted) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(truth), rankdata(predicted))[0, 1])


def correlation_interval(rho: float, n: int, confidence: float = 0.95, *, given: int = 0) -> tuple[float, float]:
    """Interval of a Spearman correlation by Fisher's z with the variance of Bonett and Wright.

    (1 + rho^2 / 2) / (n - given - 3); given : columns adjusted for. 2000, doi:10.1007/BF02294183. NaN below 4 cases.
    """
    left = n - given - 3
    if left < 1 or not np.isfinite(rho):
        return float("nan"), float("nan")
    if abs(rho) >= 1:
        return (rho, 1.0) if rho > 0 else (-1.0, rho)
    z = float(np.arctanh(rho))
    half = float(norm.ppf((1 + confidence) / 2)) * float(np.sqrt((1 + rho**2 / 2) / left))
    return float(np.tanh(z - half)), float(np.tanh(z + half))
