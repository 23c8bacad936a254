"""Variance of AUCs for fixed scores, as on a held-out set.

DeLong 1988, doi:10.2307/2531595; the fast form is Sun and Xu 2014, doi:10.1109/LSP.2014.2337313.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, rankdata

from radpipe.typing import FloatArray, IntArray


def delong_covariance(y: IntArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """AUCs (m,) of the score vectors ``scores`` (m, n) on the same cases, and their covariance (m, m).

    Needs two cases of each class.
    """
    events, others = scores[:, y == 1], scores[:, y == 0]
    n_events, n_others = events.shape[1], others.shape[1]
    together = rankdata(np.concatenate([events, others], axis=1), axis=1)
    # Placement of each event among the others, and of each other case among the events, from three rankings.
    above = (together[:, :n_events] - rankdata(events, axis=1)) / n_others
    below = 1 - (together[:, n_events:] - rankdata(others, axis=1)) / n_events
    covariance = np.atleast_2d(np.cov(above)) / n_events + np.atleast_2d(np.cov(below)) / n_others
    return np.asarray(above.mean(axis=1), float), np.asarray(covariance, float)


def auc_interval(y: IntArray, score: FloatArray, confidence: float = 0.95, *, logit: bool = True) -> tuple[float, float, float]:
    """AUC of a fixed score with an interval from DeLong's variance.

    logit : on the logit of the AUC, which stays within 0 and 1; else plain, as pROC has it, whose coverage falls below its
    level for AUCs near 1. NaN below two cases of a class, and no interval where the variance is 0 (perfect separation).
    """
    y, score = np.asarray(y), np.asarray(score, float)
    nan = float("nan")
    if min(np.sum(y == 1), np.sum(y == 0)) < 2:
        return nan, nan, nan
    aucs, covariance = delong_covariance(y, score[None, :])
    value, variance = float(aucs[0]), float(covariance[0, 0])
    if not 0 < value < 1 or variance <= 0:
        return value, nan, nan
    if not logit:
        half = float(norm.ppf((1 + confidence) / 2) * np.sqrt(variance))
        return value, max(0.0, value - half), min(1.0, value + half)
    centre, error = np.log(value / (1 - value)), np.sqrt(variance) / (value * (1 - value))
    half = float(norm.ppf((1 + confidence) / 2)) * float(error)
    return value, float(1 / (1 + np.exp(-(centre - half)))), float(1 / (1 + np.exp(-(centre + half))))
