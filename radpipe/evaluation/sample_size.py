"""How many patients a prediction model asks for, and what a comparison can resolve, before any model is fitted.

Riley et al. 2019, doi:10.1002/sim.7992 (two classes, time to event) and doi:10.1002/sim.7993 (numbers); 2020,
doi:10.1136/bmj.m441; the R package pmsampsize.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm
from scipy.stats import t as student

from radpipe.errors import ConfigError
from radpipe.evaluation.resampled import degrees_of_freedom

SHRINKAGE = 0.9
"""Wanted calibration slope on new patients."""
OPTIMISM = 0.05
"""Largest wanted difference of apparent and adjusted R2 (Nagelkerke), and half width of the overall risk's interval."""


@dataclass(frozen=True)
class SampleSize:
    """Patients asked for by each criterion: shrinkage at least 0.9, optimism in R2 at most 0.05, overall risk within 0.05."""

    shrinkage: int
    optimism: int
    overall_risk: int

    @property
    def patients(self) -> int:
        """The largest of the three."""
        return max(self.shrinkage, self.optimism, self.overall_risk)


def riley(candidates: int, prevalence: float, r2_cox_snell: float = 0.2) -> SampleSize:
    """candidates : parameters considered, before any selection. r2_cox_snell : the fit that is hoped for.

    A lower bound for models more flexible than regression. ConfigError where R2 is out of reach at this prevalence.
    """
    highest = 1 - (prevalence**prevalence * (1 - prevalence) ** (1 - prevalence)) ** 2 if 0 < prevalence < 1 else 0.0
    if not 0 < r2_cox_snell < min(highest, SHRINKAGE) or candidates < 1:
        raise ConfigError(
            f"no sample size for {candidates} candidate parameters, R2 {r2_cox_snell} and prevalence {prevalence:.3g}.",
            hint=f"Cox-Snell R2 lies between 0 and {highest:.3g} at this prevalence; count at least one parameter.",
        )

    def for_shrinkage(shrinkage: float) -> int:
        return math.ceil(candidates / ((shrinkage - 1) * math.log(1 - r2_cox_snell / shrinkage)))

    return SampleSize(
        for_shrinkage(SHRINKAGE),
        for_shrinkage(r2_cox_snell / (r2_cox_snell + OPTIMISM * highest)),
        math.ceil((1.96 / OPTIMISM) ** 2 * prevalence * (1 - prevalence)),
    )


@dataclass(frozen=True)
class SampleSizeOfNumber:
    """Patients asked for by each criterion: shrinkage at least 0.9, optimism in R2 at most 0.05, residual SD within 10 %,
    mean outcome within 10 %."""

    shrinkage: int
    optimism: int
    residual: int
    mean: int

    @property
    def patients(self) -> int:
        """The largest of the four."""
        return max(self.shrinkage, self.optimism, self.residual, self.mean)


def riley_number(candidates: int, mean: float, sd: float, r2_adjusted: float = 0.2) -> SampleSizeOfNumber:
    """candidates : parameters considered. mean, sd : of the outcome. r2_adjusted : the fit that is hoped for."""
    if not 0 < r2_adjusted < 1 or candidates < 1 or sd <= 0 or mean == 0 or not np.isfinite([mean, sd]).all():
        raise ConfigError(
            f"no sample size for {candidates} candidate parameters, R2 {r2_adjusted}, mean {mean} and SD {sd}.",
            hint="R2 lies between 0 and 1, the SD is above 0, the mean is not 0; count at least one parameter.",
        )

    def expected_shrinkage(n: int) -> float:
        r2_apparent = (r2_adjusted * (n - candidates - 1) + candidates) / (n - 1)
        return 1 + (candidates - 2) / (n * math.log(1 - r2_apparent))

    shrinkage = candidates + 2
    if candidates > 2:  # one or two parameters need no shrinkage in this formula
        shrinkage = _first(lambda n: expected_shrinkage(n) >= SHRINKAGE, candidates + 3)
    optimism = math.ceil(1 + candidates * (1 - r2_adjusted) / OPTIMISM)
    residual = 234 + candidates
    most = max(shrinkage, optimism, residual)

    def half_width(n: int) -> float:
        error = sd * math.sqrt((1 - r2_adjusted) / n)
        return float(student.ppf(0.975, n - candidates - 1)) * error / abs(mean)

    return SampleSizeOfNumber(
        shrinkage, optimism, residual, most if half_width(most) <= 0.1 else _first(lambda n: half_width(n) <= 0.1, most)
    )


def _first(holds: Callable[[int], bool], start: int) -> int:
    """The smallest whole number from ``start`` on for which a condition holds that stays true once it is."""
    high = start
    while not holds(high):
        high *= 2
    low = start
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


@dataclass(frozen=True)
class SampleSizeOfTime:
    """Patients asked for by shrinkage at least 0.9 and optimism in R2 at most 0.05; and, with so many, how sure the overall
    risk at the horizon is. events : expected among ``patients``."""

    shrinkage: int
    optimism: int
    risk: float
    risk_low: float
    risk_high: float
    events: int

    @property
    def patients(self) -> int:
        return max(self.shrinkage, self.optimism)


def riley_time(
    candidates: int, event_rate: float, mean_follow_up: float, horizon: float, r2_cox_snell: float = 0.05
) -> SampleSizeOfTime:
    """event_rate : events per unit of follow-up. mean_follow_up, horizon : in that unit."""
    if min(event_rate, mean_follow_up, horizon) <= 0 or candidates < 1:
        raise ConfigError(
            f"no sample size for {candidates} candidate parameters, rate {event_rate}, follow-up {mean_follow_up}.",
            hint="Rate, follow-up and horizon are above 0; count at least one parameter.",
        )
    # Counts of 10,000 patients, as pmsampsize rounds them; the R2 that no model can pass follows from the null likelihood.
    n = 10_000
    events = math.ceil(event_rate * mean_follow_up * n)
    highest = 1 - math.exp(2 * (events * math.log(events / n) - events) / n)
    if not 0 < r2_cox_snell < min(highest, SHRINKAGE):
        raise ConfigError(
            f"no sample size for R2 {r2_cox_snell}.",
            hint=f"Cox-Snell R2 lies between 0 and {highest:.3g} at this rate and follow-up.",
        )

    def for_shrinkage(shrinkage: float) -> int:
        return math.ceil(candidates / ((shrinkage - 1) * math.log(1 - r2_cox_snell / shrinkage)))

    shrinkage, optimism = for_shrinkage(SHRINKAGE), for_shrinkage(r2_cox_snell / (r2_cox_snell + OPTIMISM * highest))
    person_time = max(shrinkage, optimism) * mean_follow_up
    half = 1.96 * math.sqrt(event_rate / person_time)

    def risk(rate: float) -> float:
        return 1 - math.exp(-max(rate, 0.0) * horizon)

    return SampleSizeOfTime(
        shrinkage,
        optimism,
        risk(event_rate),
        risk(event_rate - half),
        risk(event_rate + half),
        math.ceil(event_rate * person_time),
    )


# what a comparison can resolve


@dataclass(frozen=True)
class Reach:
    """What the corrected resampled t-test could say of two models at this n.

    standard_error : of the difference of the AUCs, as expected. detectable_gap : the true gap found in ``power`` of runs; NaN
    where none up to 0.5 is. p_equivalent : chance of "equivalent" if the models are equal. verdicts : those with a chance
    of at least ``power``; "not_resolved" always is one.
    """

    n: int
    n_events: int
    standard_error: float
    detectable_gap: float
    p_equivalent: float
    verdicts: tuple[str, ...]
    assumed: str


def auc_variance(auc: float, n_events: float, n_others: float) -> float:
    """Variance of an AUC of a fixed score by Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    top = auc * (1 - auc) + (n_events - 1) * (q1 - auc**2) + (n_others - 1) * (q2 - auc**2)
    return max(top, 0.0) / (n_events * n_others)


def reach(
    n_events: int, n_others: int, *, auc: float = 0.75, correlation: float = 0.5, margin: float = 0.05, repeats: int = 10, folds: int = 5,
    alpha: float = 0.05, power: float = 0.8,
) -> Reach:  # fmt: skip
    """What ``repeats`` x ``folds`` could resolve. auc : of the better-known model. correlation : of the two AUCs' errors.

    The expected error is that of one test part (Hanley and McNeil), widened as Nadeau and Bengio say; the scatter of its
    estimate is a chi-square with the test's degrees of freedom. A plan, not a promise: at correlation 0.7 and 37 % events it gives 3,
    28 and 84 % "equivalent" at n = 180, 400 and 1,000, where simulation gave 0, 24 and 92 %.
    """
    n = n_events + n_others
    df = degrees_of_freedom(repeats)
    if (
        not 0.5 <= auc < 1
        or not -1 < correlation < 1
        or margin <= 0
        or min(n_events, n_others) < 1
        or folds < 2
        or not 0 < power < 1
    ):
        raise ConfigError(
            f"no plan for {n_events} with and {n_others} without the event, AUC {auc}, correlation {correlation}, margin {margin}.",
            hint="AUC from 0.5 to below 1, correlation within -1 and 1, a margin above 0, somebody of each class, two folds.",
        )
    assumed = f"AUC {auc:g}, correlation of the two AUCs {correlation:g}, {repeats} x {folds} folds"
    if df < 1:
        return Reach(n, n_events, math.nan, math.nan, 0.0, ("not_resolved",), assumed + "; one repeat gives no test")
    fold = 2 * (1 - correlation) * auc_variance(auc, n_events / folds, n_others / folds)
    error = math.sqrt(fold * (1 / (repeats * folds) + 1 / (folds - 1)))

    def found(gap: float) -> float:
        return _chance_of_difference(gap / error, df, alpha)

    detectable = float(brentq(lambda gap: found(gap) - power, 0.0, 0.5)) if found(0.5) > power else math.nan
    p_equivalent = _chance_of_equivalence(margin / error, df, alpha)
    verdicts = [name for name in ("a_better", "b_better") if np.isfinite(detectable) and detectable < 1 - auc]
    verdicts += ["equivalent"] if p_equivalent >= power else []
    return Reach(n, n_events, error, detectable, p_equivalent, (*verdicts, "not_resolved"), assumed)


def held_out_gap(
    n_events: int, n_others: int, *, auc: float = 0.75, correlation: float = 0.5, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The true gap between the AUCs of two fixed models that DeLong's test finds in ``power`` of held-out sets of this size.

    auc : of both, about; correlation : of the two AUCs' errors (Hanley and McNeil 1983, doi:10.1148/radiology.148.3.6878708).
    Infinite where a class is missing.
    """
    if min(n_events, n_others) < 1:
        return math.inf
    error = math.sqrt(2 * (1 - correlation) * auc_variance(auc, n_events, n_others))
    return float(norm.ppf(1 - alpha / 2) + norm.ppf(power)) * error


def _chance_of_difference(shift: float, df: int, alpha: float) -> float:
    """The two-sided test rejects; shift in expected standard errors (the noncentral t, by averaging over its error)."""
    limits = float(student.ppf(1 - alpha / 2, df)) * np.array(_spread(df))
    return float(np.mean(norm.sf(limits - shift) + norm.cdf(-limits - shift)))


def chances(found: Reach, gap: float, margin: float, alpha: float, repeats: int) -> tuple[float, float]:
    """(better, equivalent): the chance of each verdict at a true gap of AUC, by the same reasoning as :func:`reach`."""
    df = degrees_of_freedom(repeats)
    if df < 1 or not found.standard_error > 0:
        return 0.0, 0.0
    error = found.standard_error
    limit = float(student.ppf(1 - alpha, df)) * np.array(_spread(df))
    room, shift = margin / error - limit, gap / error
    equivalent = np.where(room > 0, norm.cdf(np.maximum(room, 0) - shift) - norm.cdf(-np.maximum(room, 0) - shift), 0.0)
    better = _chance_of_difference(shift, df, alpha)
    # A difference that is found but lies within the margin is called equivalent.
    return float(max(0.0, min(better, 1.0 - float(np.mean(equivalent))))), float(np.mean(equivalent))


@cache
def _spread(df: int) -> tuple[float, ...]:
    """Midpoints of 400 equal parts of the distribution of the estimated over the true error."""
    return tuple(np.sqrt(chi2.ppf((np.arange(400) + 0.5) / 400, df) / df))


def _chance_of_equivalence(margin: float, df: int, alpha: float) -> float:
    """Both one-sided tests reject at a true gap of 0; margin in expected standard errors."""
    limit = float(student.ppf(1 - alpha, df))
    room = margin - limit * np.array(_spread(df))
    return float(np.mean(np.where(room > 0, 2 * norm.cdf(np.maximum(room, 0)) - 1, 0.0)))


def patients_for_gap(gap: float, prevalence: float, **assumed: float) -> int | None:
    """Patients with whom a gap stated beforehand is found in 80 % of runs; None where 100,000 are too few.

    Never put the gap in that was observed. assumed : as :func:`reach` takes it.
    """

    def enough(n: int) -> bool:
        events = max(1, round(n * prevalence))
        plan = reach(events, max(1, n - events), **assumed)  # type: ignore[arg-type]
        return bool(plan.detectable_gap <= gap)

    return None if not enough(100_000) else _first(enough, 10)
