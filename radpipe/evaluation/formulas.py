"""What a set of scores is worth: one function a metric, arrays in and a number out.

``y`` : (n,) classes, 0 or 1. ``p`` : (n,) scores or probabilities of class 1. A metric that a set of cases does not
define (one class only) is NaN, never 0 or 0.5.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, rankdata

from radpipe.typing import FloatArray, IntArray


def auc(y: IntArray, p: FloatArray) -> float:
    """Area under the ROC curve: the chance that a case of class 1 scores above one of class 0, ties counting half.

    Mann and Whitney 1947, doi:10.1214/aoms/1177730491; Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747.
    """
    n_events = int(np.sum(y == 1))
    n_others = len(y) - n_events
    if not n_events or not n_others:
        return float("nan")
    ranks = rankdata(p)
    return float((ranks[y == 1].sum() - n_events * (n_events + 1) / 2) / (n_events * n_others))


def average_precision(y: IntArray, p: FloatArray) -> float:
    """Precision averaged over the recall steps, without interpolation; cases of equal score form one step."""
    n_events = int(np.sum(y == 1))
    if not n_events or n_events == len(y):
        return float("nan")
    order = np.argsort(-p, kind="stable")
    hits = np.cumsum(y[order] == 1)
    last_of_tie = np.append(np.diff(p[order]) != 0, True)
    found = hits[last_of_tie]
    called = np.flatnonzero(last_of_tie) + 1
    return float(np.sum(np.diff(found, prepend=0) / n_events * found / called))


def brier(y: IntArray, p: FloatArray) -> float:
    """Mean squared difference of probability and outcome: 0 is perfect. Brier 1950."""
    return float(np.mean((p - y) ** 2)) if len(y) else float("nan")


def roc_curve(y: IntArray, p: FloatArray, at: FloatArray) -> FloatArray:
    """Sensitivity at the false-positive rates ``at`` (m,), linear between the points of the curve; NaN where undefined.

    Curves of folds read at the same rates can be averaged, and the area under the average is the average of the areas.
    """
    n_events = int(np.sum(y == 1))
    n_others = len(y) - n_events
    if not n_events or not n_others:
        return np.full(len(at), np.nan)
    order = np.argsort(-p, kind="stable")
    last_of_tie = np.append(np.diff(p[order]) != 0, True)
    true_rate = np.append(0.0, np.cumsum(y[order] == 1)[last_of_tie] / n_events)
    false_rate = np.append(0.0, np.cumsum(y[order] == 0)[last_of_tie] / n_others)
    # At a rate where the curve rises, np.interp takes the upper end; at 0 the curve starts at its first rise.
    return np.asarray(np.interp(at, false_rate, true_rate), float)


def wilson_interval(proportion: float, n: int, confidence: float) -> tuple[float, float]:
    """Score interval of a proportion of ``n``; of a mean over repeats the proportion need not be a whole count.

    Wilson 1927, doi:10.1080/01621459.1927.10502953. It keeps a width where all or none were right.
    """
    if n == 0 or not np.isfinite(proportion):
        return float("nan"), float("nan")
    z = float(norm.ppf((1 + confidence) / 2))
    centre = (proportion + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(proportion * (1 - proportion) / n + z * z / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)
