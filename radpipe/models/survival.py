"""Times to an event: Cox's partial likelihood in numpy, and the hazard of everybody's baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from radpipe.errors import CohortError
from radpipe.models.model import COMPETING, EVENT
from radpipe.typing import FloatArray, IntArray

Ties = Literal["efron", "breslow"]
_MOST_STEPS = 100
_LARGEST_SPREAD = 50.0
"""Of scores: hazards that differ by exp(50) are the way to infinity, which Newton's method goes in steps of one."""


@dataclass(frozen=True)
class RiskSets:
    """Who is at risk when somebody has the event. order : (n,) cases by time, the latest first. ends : (times,) how many of them are at
    risk at each time with an event; tied : those with the event at that time, as places in ``order``."""

    order: IntArray
    ends: IntArray
    tied: list[IntArray]


def risk_sets(time: FloatArray, event: np.ndarray) -> RiskSets:
    """time : (n,). event : (n,) bool; whoever leaves at the time of an event still counts as at risk then."""
    order = np.argsort(-time, kind="stable")
    time, event = time[order], event[order]
    ends, tied = [], []
    for moment in np.unique(time[event]):
        ends.append(int(np.searchsorted(-time, -moment, side="right")))
        tied.append(np.flatnonzero(event & (time == moment)))
    return RiskSets(order, np.array(ends, np.int64), tied)


def partial_likelihood(
    x: FloatArray, beta: FloatArray, sets: RiskSets, ties: Ties = "efron"
) -> tuple[float, FloatArray, FloatArray]:
    """Logarithm of Cox's partial likelihood, its gradient (p,) and minus its second derivative (p, p), at beta.

    x : (n, p). Cox 1972, doi:10.1111/j.2517-6161.1972.tb00899.x; ties: Efron 1977, doi:10.1080/01621459.1977.10480613, or
    Breslow 1974, doi:10.2307/2529620.
    """
    x = x[sets.order]
    score = x @ beta
    shift = float(score.max(initial=0.0))
    weight = np.exp(score - shift)
    s0 = np.cumsum(weight)
    s1 = np.cumsum(x * weight[:, None], axis=0)
    p = x.shape[1]
    value, gradient, information = 0.0, np.zeros(p), np.zeros((p, p))
    s2, reached = np.zeros((p, p)), 0
    # The latest times have the fewest at risk, so the sum of outer products grows from them.
    for place in np.argsort(sets.ends, kind="stable"):
        end, tied = int(sets.ends[place]), sets.tied[place]
        new = x[reached:end]
        s2 += (new * weight[reached:end, None]).T @ new
        reached = end
        value += float(score[tied].sum())
        gradient += x[tied].sum(axis=0)
        t0, t1, t2 = 0.0, np.zeros(p), np.zeros((p, p))
        if ties == "efron" and len(tied) > 1:
            own = x[tied] * weight[tied, None]
            t0, t1, t2 = float(weight[tied].sum()), own.sum(axis=0), own.T @ x[tied]
        for turn in range(len(tied)):
            share = turn / len(tied)
            a0, a1 = s0[end - 1] - share * t0, s1[end - 1] - share * t1
            mean = a1 / a0
            value -= float(np.log(a0)) + shift
            gradient -= mean
            information += (s2 - share * t2) / a0 - np.outer(mean, mean)
    return value, gradient, information


def fit_cox(x: FloatArray, time: FloatArray, event: np.ndarray, *, penalty: float = 0.0, ties: Ties = "efron") -> FloatArray:
    """(p,) coefficients that maximise the partial likelihood less ``penalty / 2`` times their sum of squares.

    By Newton's method with halved steps. With more columns than rows it works in the space the rows span, where the penalty is the
    same. CohortError where there is no event, or without a penalty no maximum.
    """
    if not event.any():
        raise CohortError("no case has the event, so no hazard can be fitted.", hint="Check cohort.event, or use fewer folds.")
    if x.shape[1] > x.shape[0]:
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        return np.asarray(vt.T @ fit_cox(u * s, time, event, penalty=penalty, ties=ties))
    sets = risk_sets(time, event)
    beta = np.zeros(x.shape[1])

    def at(beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        value, gradient, information = partial_likelihood(x, beta, sets, ties)
        return (
            value - penalty / 2 * float(beta @ beta),
            gradient - penalty * beta,
            information + penalty * np.eye(len(beta)),
        )

    value, gradient, information = at(beta)
    for _ in range(_MOST_STEPS):
        if not penalty and np.ptp(x @ beta) > _LARGEST_SPREAD:
            break
        step = np.linalg.lstsq(information, gradient, rcond=None)[0]
        size = 1.0
        while True:
            found = at(beta + size * step)
            if np.isfinite(found[0]) and found[0] >= value - 1e-12 * abs(value):
                break
            size /= 2
            if size < 1e-10:
                return beta  # no step leads further up: this is the top to the last digit
        beta = beta + size * step
        gain, (value, gradient, information) = found[0] - value, found
        if gain <= 1e-12 * max(1.0, abs(value)) and np.abs(size * step).max() <= 1e-9 * max(1.0, np.abs(beta).max()):
            return beta
    raise CohortError(
        "Cox's model has no finite maximum here: the inputs put the events in perfect order.", hint="Give it a penalty above 0."
    )


@dataclass(frozen=True)
class Baseline:
    """The hazard of a case with score 0, in steps. times : (steps,) ascending; hazard, competing : (steps,) increments of the
    cumulative hazard of the event and of competing events; the latter is the same for everybody."""

    times: FloatArray
    hazard: FloatArray
    competing: FloatArray

    def risk(self, score: FloatArray, horizon: float) -> FloatArray:
        """(n,) probability of the event by the horizon, given the logarithm of the relative hazard.

        Without competing events 1 - exp(-H(horizon) exp(score)); with them the cumulative incidence, since whoever had another
        event cannot have this one.
        """
        upto = self.times <= horizon
        own = np.exp(np.clip(score, -50, 50))[:, None] * self.hazard[upto][None, :]
        total = own + self.competing[upto][None, :]
        before = np.cumsum(total, axis=1) - total
        share = np.divide(own, total, out=np.zeros_like(own), where=total > 0)
        # The sum telescopes to at most 1, but rounds past it where the hazard is large.
        return np.asarray(np.clip(np.sum(np.exp(-before) * -np.expm1(-total) * share, axis=1), 0.0, 1.0))


def baseline(score: FloatArray, time: FloatArray, code: IntArray, ties: Ties = "efron") -> Baseline:
    """Breslow's estimator (with Efron's correction of ties) given everybody's score; competing events by Nelson and Aalen.

    score, time, code : (n,), code 0 censored, 1 the event, 2 a competing event. Breslow 1972 in the discussion of Cox 1972.
    """
    steps: dict[float, list[float]] = {}
    for which, weights in ((EVENT, np.exp(np.clip(score, -50, 50))), (COMPETING, np.ones(len(score)))):
        sets = risk_sets(time, code == which)
        weight = weights[sets.order]
        at_risk = np.cumsum(weight)
        for end, tied in zip(sets.ends, sets.tied, strict=True):
            moment = float(time[sets.order][tied[0]])
            own = float(weight[tied].sum()) if ties == "efron" and which == EVENT else 0.0
            shares = np.arange(len(tied)) / len(tied)
            steps.setdefault(moment, [0.0, 0.0])[which - 1] += float(np.sum(1.0 / (at_risk[end - 1] - shares * own)))
    times = np.array(sorted(steps))
    both = np.array([steps[moment] for moment in times]).reshape(-1, 2)
    return Baseline(times, both[:, 0].copy(), both[:, 1].copy())
