"""Do the probabilities mean what they say?

Slope and intercept of the outcome on the logit of the probability (Cox 1958; Van Calster 2016,
doi:10.1016/j.jclinepi.2015.12.005): slope 1 and intercept 0 are right, a slope below 1 says the probabilities are too
extreme. No flexible curve: it wants about 200 events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from radpipe.evaluation.formulas import wilson_interval
from radpipe.typing import FloatArray, IntArray

EDGE = 1e-6
"""A probability of exactly 0 or 1 has no logit: it is taken as this far from the edge."""
_STEPS = 50
_TOLERANCE = 1e-10


def logit(p: FloatArray) -> FloatArray:
    """ln(p / (1 - p)), with 0 and 1 moved inside by 1e-6."""
    inside = np.clip(np.asarray(p, float), EDGE, 1 - EDGE)
    return np.asarray(np.log(inside) - np.log1p(-inside), float)


def logistic_fits(y: IntArray, x: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Intercept and slope of logistic regressions of ``y`` on ``x``, one for each row of ``weights`` (m, n).

    Newton's method, all rows at once. Perfect separation gives a slope of plus or minus infinity and an intercept of
    NaN; one class only, or an ``x`` that does not vary, gives NaN for both.
    """
    intercept, slope = np.full(len(weights), np.nan), np.full(len(weights), np.nan)
    used = weights > 0
    highest = np.where(used, x, -np.inf)
    lowest = np.where(used, x, np.inf)
    events, others = y == 1, y == 0
    both = (used & events).any(axis=1) & (used & others).any(axis=1)
    varies = lowest.min(axis=1, initial=np.inf) < highest.max(axis=1, initial=-np.inf)
    upward = highest[:, others].max(axis=1, initial=-np.inf) <= lowest[:, events].min(axis=1, initial=np.inf)
    downward = highest[:, events].max(axis=1, initial=-np.inf) <= lowest[:, others].min(axis=1, initial=np.inf)
    usable = both & varies
    slope[usable & upward] = np.inf
    slope[usable & downward] = -np.inf
    rows = np.flatnonzero(usable & ~upward & ~downward)
    if not len(rows):
        return intercept, slope
    w = weights[rows]
    total = w.sum(axis=1)
    centre = (w @ x) / total
    scale = np.sqrt(np.maximum((w @ x**2) / total - centre**2, np.finfo(float).tiny))
    z = (x - centre[:, None]) / scale[:, None]
    mean_y = (w @ y) / total
    a, b = np.log(mean_y / (1 - mean_y)), np.zeros(len(rows))
    value = _log_likelihood(y, z, w, a, b)
    for _ in range(_STEPS):
        p = expit(a[:, None] + b[:, None] * z)
        residual, curvature = w * (y - p), w * p * (1 - p)
        g0, g1 = residual.sum(axis=1), (residual * z).sum(axis=1)
        h00, h01, h11 = curvature.sum(axis=1), (curvature * z).sum(axis=1), (curvature * z**2).sum(axis=1)
        determinant = np.maximum(h00 * h11 - h01**2, 1e-300)
        step_a, step_b = (h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant
        shrink = np.ones(len(rows))
        for _ in range(20):  # a full Newton step can overshoot where the classes barely overlap
            after = _log_likelihood(y, z, w, a + shrink * step_a, b + shrink * step_b)
            worse = ~(after >= value - 1e-12 * np.abs(value))
            if not worse.any():
                break
            shrink[worse] /= 2
        a, b, value = a + shrink * step_a, b + shrink * step_b, after
        if max(np.abs(shrink * step_a).max(), np.abs(shrink * step_b).max()) < _TOLERANCE:
            break
    slope[rows] = b / scale
    intercept[rows] = a - b * centre / scale
    return intercept, slope


def _log_likelihood(y: IntArray, z: FloatArray, w: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    line = a[:, None] + b[:, None] * z
    return np.asarray((w * (y * line - np.logaddexp(0, line))).sum(axis=1), float)


def in_the_large(y: IntArray, x: FloatArray, weights: FloatArray) -> FloatArray:
    """Intercept with the slope held at 1, one for each row of ``weights``: above 0, the risk is higher than predicted."""
    total, events = weights.sum(axis=1), weights @ (y == 1)
    found = np.full(len(weights), np.nan)
    rows = np.flatnonzero((events > 0) & (events < total))
    w = weights[rows]
    # The mean predicted risk rises with the intercept: Newton's steps, halved into the bracket where they leave it.
    reach = 40.0 + np.abs(x).max(initial=0)
    low, high, shift = np.full(len(rows), -reach), np.full(len(rows), reach), np.zeros(len(rows))
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-(x + shift[:, None])))
        missing = events[rows] - (w * p).sum(axis=1)
        low, high = np.where(missing > 0, shift, low), np.where(missing > 0, high, shift)
        step = shift + missing / np.maximum((w * p * (1 - p)).sum(axis=1), 1e-300)
        after = np.where((step > low) & (step < high), step, (low + high) / 2)
        done = np.abs(after - shift).max(initial=0) < _TOLERANCE
        shift = after
        if done:
            break
    found[rows] = shift
    return found


@dataclass(frozen=True)
class CalibrationGroup:
    """Cases of similar predicted risk. ``n`` counts cases; the interval is Wilson's for ``n``."""

    n: int
    n_events: float
    mean_predicted: float
    observed: float
    ci_low: float
    ci_high: float


def grouped_calibration(y: IntArray, p: FloatArray, groups: int, confidence: float) -> list[CalibrationGroup]:
    """Observed against predicted risk in groups of (nearly) equal size, ordered by predicted risk.

    Cases with the same probability stay together, so there may be fewer groups than asked for.
    """
    order = np.argsort(p, kind="stable")
    edges = [round(len(p) * k / groups) for k in range(1, groups)]
    starts = [0]
    for edge in edges:
        while edge < len(p) and edge > 0 and p[order[edge]] == p[order[edge - 1]]:
            edge += 1
        if starts[-1] < edge < len(p):
            starts.append(edge)
    found = []
    for start, stop in zip(starts, [*starts[1:], len(p)], strict=True):
        rows = order[start:stop]
        observed = float(np.mean(y[rows]))
        low, high = wilson_interval(observed, len(rows), confidence)
        found.append(CalibrationGroup(len(rows), float(np.sum(y[rows])), float(np.mean(p[rows])), observed, low, high))
    return found


def equal_mass_bins(p: FloatArray, bins: int) -> list[IntArray]:
    """Cases ordered by probability, cut into ``bins`` of (nearly) equal number; equal probabilities may be cut apart."""
    return [part for part in np.array_split(np.argsort(p, kind="stable"), bins) if len(part)]


def expected_calibration_error(y: IntArray, p: FloatArray, bins: int = 10) -> float:
    """Mean distance of observed share and mean probability over bins of equal number of cases, weighted by number.

    It depends on the number of bins, which is therefore always told with it; it is not proper (a constant prevalence scores
    0), and in small samples it lies above 0 for a perfect model. Equal-mass: Nguyen and O'Connor 2015; Nixon 2019.
    """
    if not len(p):
        return float("nan")
    y, p = np.asarray(y, float), np.asarray(p, float)
    return float(sum(len(rows) * abs(y[rows].mean() - p[rows].mean()) for rows in equal_mass_bins(p, bins)) / len(p))
