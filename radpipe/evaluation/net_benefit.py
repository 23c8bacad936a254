"""Decision curves: would treating by the model do more good than treating everybody, or nobody?

At a threshold t a user treats who has a risk of at least t, and so weighs a needless treatment as t / (1 - t) of a missed
event. Net benefit is the share of true positives minus that weight times the share of false ones.
Vickers and Elkin 2006, doi:10.1177/0272989X06295361; survival: Vickers 2008, doi:10.1186/1472-6947-8-53.
"""

from __future__ import annotations

import numpy as np

from radpipe.errors import ConfigError
from radpipe.evaluation.survival import incidence_at
from radpipe.typing import FloatArray, IntArray


def _odds(thresholds: FloatArray) -> FloatArray:
    thresholds = np.asarray(thresholds, float)
    if not ((thresholds >= 0) & (thresholds < 1)).all():
        raise ConfigError("a threshold of a decision curve lies from 0 to below 1.", hint="Give risks, e.g. 0.05 to 0.5.")
    return np.asarray(thresholds / (1 - thresholds), float)


def net_benefit(y: IntArray, p: FloatArray, thresholds: FloatArray, prevalence: float | None = None) -> FloatArray:
    """(m,) net benefit of treating who has ``p`` of at least each threshold.

    prevalence : of the population, where the cases were not drawn from it as they come (case-control).
    """
    return np.asarray(net_benefit_of(y, p, thresholds, np.ones((1, len(y))), prevalence)[0], float)


def net_benefit_of(
    y: IntArray, p: FloatArray, thresholds: FloatArray, weights: FloatArray, prevalence: float | None = None
) -> FloatArray:
    """(rows, m) for each row of case weights (rows, n), as a bootstrap wants it."""
    y, p, odds = np.asarray(y), np.asarray(p, float), _odds(thresholds)
    treated = (p[:, None] >= np.asarray(thresholds, float)[None, :]).astype(float)
    total = weights.sum(axis=1, keepdims=True)
    hits, needless = weights @ (treated * (y == 1)[:, None]), weights @ (treated * (y != 1)[:, None])
    if prevalence is None:
        return np.asarray((hits - needless * odds) / total, float)
    events = weights @ (y == 1).astype(float)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(hits / events * prevalence - needless / (total - events) * (1 - prevalence) * odds, float)


def treat_all(prevalence: float, thresholds: FloatArray) -> FloatArray:
    """(m,) net benefit of treating everybody; that of treating nobody is 0."""
    odds: FloatArray = _odds(thresholds)
    return np.asarray(prevalence - (1 - prevalence) * odds, float)


def net_benefit_at(time: FloatArray, event: IntArray, risk: FloatArray, thresholds: FloatArray, at: float) -> FloatArray:
    """(m,) net benefit for the event by ``at``: among the treated its share is read from Aalen-Johansen.

    NaN at a threshold that leaves only cases not followed as long.
    """
    time, event, risk = np.asarray(time, float), np.asarray(event), np.asarray(risk, float)
    odds = _odds(thresholds)
    found = np.full(len(odds), np.nan)
    for k, threshold in enumerate(np.asarray(thresholds, float)):
        treated = risk >= threshold
        if not treated.any():
            found[k] = 0.0
            continue
        share = incidence_at(time[treated], event[treated], at)
        found[k] = treated.mean() * (share - (1 - share) * odds[k])
    return found
