"""Time to an event, some of it censored: curves, tests, and what a risk score is worth.

``time`` : (n,), at least 0, in whatever unit. ``event`` : (n,) codes; 0 censored, 1 the event that is meant, 2 and above events
that compete with it (death before relapse). Where a case is censored at the time of another's event, it was still at
risk then. What a set of cases does not define is NaN, never 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from radpipe.errors import CohortError
from radpipe.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Curve:
    """Steps of a curve: ``value`` holds from ``time`` on, and ``start`` (1 of survival, 0 of incidence) before the first.

    times, value, ci_low, ci_high, at_risk, events : (m,), one a distinct time. variance : Greenwood's, or of Aalen-Johansen.
    """

    times: FloatArray
    value: FloatArray
    variance: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    at_risk: FloatArray
    events: FloatArray
    start: float

    def at(self, times: FloatArray | float) -> FloatArray:
        """The curve at ``times``; NaN beyond the last observed time, where nobody was followed."""
        times = np.atleast_1d(np.asarray(times, float))
        return _read(self, self.value, times, self.start)

    def interval_at(self, time: float) -> tuple[float, float]:
        """The interval at one time."""
        at = np.array([time], float)
        return float(_read(self, self.ci_low, at, self.start)[0]), float(_read(self, self.ci_high, at, self.start)[0])

    @property
    def median(self) -> float:
        """First time at which at most half are left; NaN where the curve does not come down so far."""
        reached = np.flatnonzero(self.value <= 0.5 + 1e-12)
        return float(self.times[reached[0]]) if len(reached) and self.start == 1 else float("nan")


def _read(curve: Curve, values: FloatArray, times: FloatArray, start: float) -> FloatArray:
    if not len(curve.times):
        return np.full(len(times), np.nan)
    step = np.searchsorted(curve.times, times, side="right")
    found = np.append(start, values)[step]
    return np.asarray(np.where(times > curve.times[-1], np.nan, found), float)


def check_times(time: FloatArray, event: IntArray) -> None:
    """CohortError where times are negative or missing, or nobody has the event."""
    if not np.isfinite(time).all() or (np.asarray(time) < 0).any():
        bad = int(np.argmax(~(np.isfinite(time) & (np.asarray(time) >= 0))))
        raise CohortError(
            f"the time in row {bad} is {time[bad]}; times are 0 or more.",
            hint="Count time from the same start (e.g. the scan) for everybody; leave out who had the event before it.",
        )
    if not (np.asarray(event) == 1).any():
        raise CohortError("nobody has the event.", hint="Say which value of the status column means the event.")


def _table(time: FloatArray, event: IntArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """Distinct times, cases at risk just before each, and which of them every case has."""
    times, place = np.unique(np.asarray(time, float), return_inverse=True)
    leaving = np.bincount(place, minlength=len(times)).astype(float)
    at_risk = len(time) - np.concatenate([[0.0], np.cumsum(leaving)[:-1]])
    return times, at_risk, np.asarray(place, np.int64)


def _count(place: IntArray, which: NDArray[np.bool_], n_times: int) -> FloatArray:
    """Cases of a kind at each distinct time."""
    return np.bincount(place, weights=which.astype(float), minlength=n_times).astype(float)


def kaplan_meier(time: FloatArray, event: IntArray, confidence: float = 0.95) -> Curve:
    """Share still free of any event; variance of Greenwood, interval on the log-log scale.

    Kaplan and Meier 1958, doi:10.1080/01621459.1958.10501452; Kalbfleisch and Prentice 2002. Any code but 0 is an event here.
    """
    times, at_risk, place = _table(time, event)
    events = _count(place, np.asarray(event) != 0, len(times))
    value = np.asarray(np.cumprod(1 - events / at_risk), float)
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.where(at_risk > events, events / (at_risk * (at_risk - events)), np.nan)
        total = np.cumsum(hazard)
        variance = value**2 * total
        low, high = _log_log(value, np.sqrt(total) / np.abs(np.log(value)), confidence)
    low, high = np.where(value == 1, 1.0, low), np.where(value == 1, 1.0, high)
    return Curve(times, value, np.where(value == 1, 0.0, variance), low, high, at_risk, events, 1.0)


def _log_log(value: FloatArray, error: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """value ** exp(-+ z error): stays within 0 and 1."""
    z = float(norm.ppf((1 + confidence) / 2))
    with np.errstate(over="ignore"):  # an endless error near 0 and 1 gives the bounds themselves
        return value ** np.exp(z * error), value ** np.exp(-z * error)


def aalen_johansen(time: FloatArray, event: IntArray, cause: int = 1, confidence: float = 0.95) -> Curve:
    """Share that has had the event ``cause`` when others compete with it (cumulative incidence).

    1 minus Kaplan-Meier, which counts competing events as censored, tells too high a risk. Variance: the delta method
    (Dinse and Larson 1986, doi:10.1093/biomet/73.2.379; Marubini and Valsecchi 1995); interval on the log(-log) scale.
    Aalen and Johansen 1978, Scandinavian Journal of Statistics 5:141-150.
    """
    times, at_risk, place = _table(time, event)
    event = np.asarray(event)
    own, every = _count(place, event == cause, len(times)), _count(place, event != 0, len(times))
    free = np.cumprod(1 - every / at_risk)
    before = np.concatenate([[1.0], free[:-1]])
    value = np.cumsum(before * own / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.where(at_risk > every, every / (at_risk * (at_risk - every)), 0.0)
        a = np.cumsum(hazard)
        b = np.cumsum(value * hazard)
        c = np.cumsum(value**2 * hazard)
        binomial = before**2 * own * (at_risk - own) / at_risk**3
        cross = before * own / at_risk**2
        variance = (value**2 * a - 2 * value * b + c) + np.cumsum(binomial)
        variance -= 2 * (value * np.cumsum(cross) - np.cumsum(value * cross))
        variance = np.maximum(variance, 0.0)
        error = np.sqrt(variance) / np.abs(value * np.log(value))
        low, high = _log_log(value, error, confidence)
    nothing = value == 0
    low, high = np.where(nothing, 0.0, low), np.where(nothing, 0.0, high)
    return Curve(times, value, variance, low, high, at_risk, own, 0.0)


@dataclass(frozen=True)
class LogRank:
    """chi_square : of ``df`` degrees of freedom. observed, expected : (groups,) events."""

    chi_square: float
    df: int
    p_value: float
    observed: FloatArray
    expected: FloatArray


def log_rank(time: FloatArray, event: IntArray, group: IntArray) -> LogRank:
    """Do the groups have events at the same pace? Mantel 1966; any code but 0 is an event.

    NaN where there is one group, or no event at a time when two groups were at risk.
    """
    names, of_group = np.unique(group, return_inverse=True)
    time, died = np.asarray(time, float), np.asarray(event) != 0
    moments = np.unique(time[died])
    at_risk = np.array([(time[of_group == k][None, :] >= moments[:, None]).sum(axis=1) for k in range(len(names))], float)
    deaths = np.array([(time[(of_group == k) & died][None, :] == moments[:, None]).sum(axis=1) for k in range(len(names))], float)
    n, d = at_risk.sum(axis=0), deaths.sum(axis=0)
    observed, expected = deaths.sum(axis=1), (at_risk * (d / n)).sum(axis=1) if len(moments) else np.zeros(len(names))
    df = len(names) - 1
    if df < 1 or not len(moments):
        return LogRank(float("nan"), df, float("nan"), observed, expected)
    share = at_risk / n
    spread = np.where(n > 1, d * (n - d) / np.maximum(n - 1, 1), 0.0)
    covariance = np.diag((spread * share).sum(axis=1)) - (spread * share) @ share.T
    difference = (observed - expected)[:-1]
    try:
        statistic = float(difference @ np.linalg.solve(covariance[:-1, :-1], difference))
    except np.linalg.LinAlgError:
        statistic = float("nan")
    return LogRank(statistic, df, float(chi2.sf(statistic, df)), observed, expected)


# what a score is worth


def censoring_free(time: FloatArray, event: IntArray, at: FloatArray, *, before: bool) -> FloatArray:
    """G: the chance not to be censored until ``at`` (just before it, where ``before``), by Kaplan-Meier.

    Events come first among equal times: who has the event at t is not at risk of being censored at t.
    """
    times, at_risk, place = _table(time, event)
    censored, events = _count(place, np.asarray(event) == 0, len(times)), _count(place, np.asarray(event) != 0, len(times))
    left = at_risk - events
    free = np.cumprod(1 - np.divide(censored, left, out=np.zeros_like(left), where=left > 0))
    step = np.searchsorted(times, np.asarray(at, float), side="left" if before else "right")
    return np.asarray(np.append(1.0, free)[step], float)


def pairs_of(time: FloatArray, event: IntArray, score: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(events, n): which cases outlived each event, and which of those scored lower (ties half). And the events' times."""
    time, event, score = np.asarray(time, float), np.asarray(event), np.asarray(score, float)
    rows = event == 1
    # Who had a competing event will never have this one: longer free of it than anybody (Wolbers 2009).
    lasting = np.where(event > 1, np.inf, time)
    outlived = (lasting[None, :] > time[rows, None]) | ((lasting[None, :] == time[rows, None]) & (event == 0)[None, :])
    lower = (score[None, :] < score[rows, None]) + 0.5 * (score[None, :] == score[rows, None])
    return outlived.astype(float), lower * outlived, time[rows]


def harrell_c(time: FloatArray, event: IntArray, score: FloatArray) -> float:
    """The chance that of two cases the one with the earlier event has the higher score; ties of the score count half.

    Pairs whose order censoring hides are left out. Harrell 1982, doi:10.1001/jama.1982.03320430047030; with competing
    events Wolbers 2009, doi:10.1097/EDE.0b013e3181a39056.
    """
    outlived, lower, _ = pairs_of(time, event, score)
    pairs = float(outlived.sum())
    return float(lower.sum() / pairs) if pairs else float("nan")


def harrell_c_error(time: FloatArray, event: IntArray, score: FloatArray) -> float:
    """Standard error of :func:`harrell_c` for a fixed score (infinitesimal jackknife, as survival::concordance)."""
    outlived, lower, _ = pairs_of(time, event, score)
    pairs = float(outlived.sum())
    if not pairs:
        return float("nan")
    c = float(lower.sum() / pairs)
    excess = lower - c * outlived
    influence = excess.sum(axis=0)
    influence[np.asarray(event) == 1] += excess.sum(axis=1)
    return float(np.sqrt(np.sum((influence / pairs) ** 2)))


def uno_c(time: FloatArray, event: IntArray, score: FloatArray, until: float | None = None) -> float:
    """Harrell's C with each pair weighted by the inverse chance of being seen, so that it does not depend on the censoring.

    until : only events before it count; the tail of the censoring curve is unsure. Uno 2011, doi:10.1002/sim.4154.
    """
    outlived, lower, moments = pairs_of(time, event, score)
    free = censoring_free(time, event, moments, before=True)
    weight = np.divide(1.0, free**2, out=np.zeros_like(free), where=free > 0)
    if until is not None:
        weight = np.where(moments < until, weight, 0.0)
    pairs = float(weight @ outlived.sum(axis=1))
    return float(weight @ lower.sum(axis=1) / pairs) if pairs else float("nan")


def _weights_at(time: FloatArray, event: IntArray, at: float) -> tuple[FloatArray, FloatArray]:
    """Inverse-probability-of-censoring weights (n,) of who had the event by ``at``, and of who is known to be free of it then."""
    time, event = np.asarray(time, float), np.asarray(event)
    by_then = time <= at
    free_before = censoring_free(time, event, time, before=True)
    at_horizon = float(censoring_free(time, event, np.array([at]), before=False)[0])
    inverse = np.divide(1.0, free_before, out=np.zeros(len(time)), where=free_before > 0)
    cases = np.where(by_then & (event == 1), inverse, 0.0)
    others = np.where(~by_then, 1 / at_horizon if at_horizon > 0 else np.nan, np.where(event > 1, inverse, 0.0))
    return cases, others


def auc_at(time: FloatArray, event: IntArray, score: FloatArray, at: float) -> float:
    """Time-dependent AUC: who has the event by ``at`` against who is free of it then; censored cases by weights.

    Cumulative cases, dynamic controls; Blanche 2013, doi:10.1002/sim.5958. NaN where nobody is on one of the sides.
    """
    cases, others = _weights_at(time, event, at)
    score = np.asarray(score, float)
    rows, columns = cases > 0, others > 0
    total = float(cases.sum() * others.sum())
    if not total or not np.isfinite(total):
        return float("nan")
    higher = (score[rows, None] > score[None, columns]) + 0.5 * (score[rows, None] == score[None, columns])
    return float(cases[rows] @ higher @ others[columns] / total)


def brier_at(time: FloatArray, event: IntArray, risk: FloatArray, at: float) -> float:
    """Mean squared difference of the predicted risk of an event by ``at`` and what happened; censored cases by weights.

    risk : (n,), 0 to 1. Graf 1999, doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5.
    NaN where nobody was followed as long.
    """
    cases, others = _weights_at(time, event, at)
    risk = np.asarray(risk, float)
    if not np.isfinite(others).all() or not len(risk) or np.max(time) < at:
        return float("nan")
    return float(np.mean(cases * (1 - risk) ** 2 + others * risk**2))


def incidence_at(time: FloatArray, event: IntArray, at: float) -> float:
    """Share with the event by ``at`` (Aalen-Johansen; without competing events 1 minus Kaplan-Meier)."""
    return float(aalen_johansen(time, event).at(at)[0]) if len(time) else float("nan")


def brier_at_reference(time: FloatArray, event: IntArray, at: float) -> float:
    """Brier score at ``at`` of giving everybody the share that had the event by then."""
    share = incidence_at(time, event, at)
    return brier_at(time, event, np.full(len(time), share), at) if np.isfinite(share) else float("nan")


def observed_risk(
    time: FloatArray, event: IntArray, risk: FloatArray, at: float, groups: int, confidence: float = 0.95
) -> list[dict[str, float]]:
    """Calibration at ``at``: in groups of similar predicted risk, the mean of it and the incidence that was seen.

    Each: n, n_events (by ``at``), mean_predicted, observed, ci_low, ci_high (log(-log) interval of Aalen-Johansen).
    """
    time, event, risk = np.asarray(time, float), np.asarray(event), np.asarray(risk, float)
    found = []
    for rows in np.array_split(np.argsort(risk, kind="stable"), min(groups, len(risk))):
        curve = aalen_johansen(time[rows], event[rows], confidence=confidence)
        low, high = curve.interval_at(at)
        found.append(
            {
                "n": float(len(rows)), "n_events": float(np.sum((time[rows] <= at) & (event[rows] == 1))),
                "mean_predicted": float(risk[rows].mean()), "observed": float(curve.at(at)[0]), "ci_low": low, "ci_high": high,
            }
        )  # fmt: skip
    return found
