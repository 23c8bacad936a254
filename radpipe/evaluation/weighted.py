"""Statistics of times to an event for many rows of case weights at once, as a bootstrap wants them.

time, event : (n,), see :mod:`radpipe.evaluation.survival`. weights : (m, n), not negative. Whole-number weights are repetitions of
cases. NaN where a row follows nobody as far as ``at``.
"""

from __future__ import annotations

import numpy as np

from radpipe.typing import FloatArray, IntArray


def _tables(time: FloatArray, event: IntArray, weights: FloatArray) -> tuple[FloatArray, IntArray, FloatArray, list[FloatArray]]:
    """times (t,), place (n,), at risk (m, t), and the weight leaving at each time by code: censored, event, other event."""
    times, place = np.unique(np.asarray(time, float), return_inverse=True)
    event = np.asarray(event)
    codes = (event == 0, event == 1, event > 1)
    leaving = []
    for code in codes:
        at_time = np.zeros((len(time), len(times)))
        at_time[np.arange(len(time))[code], place[code]] = 1.0
        leaving.append(weights @ at_time)
    every = leaving[0] + leaving[1] + leaving[2]
    at_risk = np.cumsum(every[:, ::-1], axis=1)[:, ::-1]
    return times, np.asarray(place, np.int64), at_risk, leaving


def _ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 1e-12)


def incidence_at(time: FloatArray, event: IntArray, at: float, weights: FloatArray) -> FloatArray:
    """(m,) share with event 1 by ``at`` (Aalen-Johansen)."""
    times, _, at_risk, (_, own, other) = _tables(time, event, weights)
    free = np.cumprod(1 - _ratio(own + other, at_risk), axis=1)
    before = np.concatenate([np.ones((len(free), 1)), free[:, :-1]], axis=1)
    until = times <= at
    found = (before * _ratio(own, at_risk))[:, until].sum(axis=1)
    return np.asarray(np.where(_followed(time, at, weights), found, np.nan), float)


def _followed(time: FloatArray, at: float, weights: FloatArray) -> FloatArray:
    return np.asarray((weights[:, np.asarray(time, float) >= at] > 0).any(axis=1))


def brier_at(time: FloatArray, event: IntArray, risk: FloatArray, at: float, weights: FloatArray) -> FloatArray:
    """(m,) Brier score at ``at``, each row with the censoring curve of its own weights."""
    times, place, at_risk, (censored, own, other) = _tables(time, event, weights)
    free = np.cumprod(1 - _ratio(censored, at_risk - own - other), axis=1)
    before = np.concatenate([np.ones((len(free), 1)), free[:, :-1]], axis=1)
    until = int(np.searchsorted(times, at, side="right"))
    at_horizon = np.asarray(free[:, until - 1 : until] if until else np.ones((len(free), 1)), float)
    time, event, risk = np.asarray(time, float), np.asarray(event), np.asarray(risk, float)
    by_then = time <= at
    inverse = _ratio(np.ones_like(weights), before[:, place])
    later = _ratio(np.ones_like(at_horizon), at_horizon)
    loss = np.where(by_then & (event == 1), inverse * (1 - risk) ** 2, 0.0)
    loss += np.where(by_then & (event > 1), inverse * risk**2, 0.0) + np.where(by_then, 0.0, later * risk**2)
    total = weights.sum(axis=1)
    found = _ratio((weights * loss).sum(axis=1), total)
    return np.asarray(np.where(_followed(time, at, weights) & (total > 0), found, np.nan), float)
