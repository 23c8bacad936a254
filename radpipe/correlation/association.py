"""One feature and one outcome: how strongly they go together, with an interval, and by which test.

x : (n,) the feature, finite. What cannot be told is NaN, and the method says why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau, mannwhitneyu, norm, rankdata
from scipy.stats import t as student

from radpipe.correlation.mixed import fit_mixed
from radpipe.errors import CohortError
from radpipe.evaluation.cox import fit_cox
from radpipe.evaluation.delong import auc_interval
from radpipe.evaluation.numbers import correlation_interval, spearman
from radpipe.typing import FloatArray, IntArray

LEAST = 5
"""Cases of each class (or events) below which no effect is told; of numbers twice as many in all."""
_NAN = float("nan")


@dataclass(frozen=True)
class Association:
    """measure : what ``effect`` is: auc, odds_ratio_per_sd, spearman, kendall, hazard_ratio_per_sd, difference_in_sd. null : its
    value where nothing goes together (0.5, 1 or 0)."""

    measure: str
    effect: float
    ci_low: float
    ci_high: float
    p_value: float
    n: int
    null: float
    method: str


def _none(measure: str, null: float, n: int, why: str) -> Association:
    return Association(measure, _NAN, _NAN, _NAN, _NAN, n, null, why)


def with_classes(x: FloatArray, y: IntArray, confidence: float = 0.95) -> Association:
    """Two classes: Mann-Whitney's test (normal, with ties and continuity, as R's wilcox.test), and the AUC it tests; above 0.5
    where class 1 has the higher values."""
    events, others = x[y == 1], x[y == 0]
    if min(len(events), len(others)) < LEAST:
        return _none(
            "auc",
            0.5,
            len(x),
            f"too few to say: {len(events)} and {len(others)} cases of the classes, {LEAST} of each are asked for",
        )
    if np.ptp(x) == 0:
        return _none("auc", 0.5, len(x), "undefined: the feature is the same for every case")
    p = float(mannwhitneyu(events, others, alternative="two-sided", method="asymptotic", use_continuity=True).pvalue)
    value, low, high = auc_interval(y, x, confidence)
    method = "Mann-Whitney (normal approximation with ties and continuity); AUC with DeLong's interval on the logit scale"
    return Association(
        "auc", value, low, high, p, len(x), 0.5, method + ("" if np.isfinite(low) else "; no interval: the classes are separated")
    )


def with_number(x: FloatArray, value: FloatArray, covariates: FloatArray | None = None, confidence: float = 0.95) -> Association:
    """Spearman's correlation, or where covariates (n, c) are given the partial one: of what is left of the ranks when those of the
    covariates are taken out by a line. Interval: Bonett and Wright."""
    given = 0 if covariates is None else covariates.shape[1]
    measure = "spearman" if not given else "partial_spearman"
    if len(x) < 2 * LEAST + given:
        return _none(measure, 0.0, len(x), f"too few to say: {len(x)} cases, {2 * LEAST + given} are asked for")
    if np.ptp(x) == 0 or np.ptp(value) == 0:
        return _none(measure, 0.0, len(x), "undefined: the feature or the outcome is the same for every case")
    if not given or covariates is None:
        rho = spearman(value, x)
    else:
        design = np.column_stack([np.ones(len(x)), *(rankdata(column) for column in covariates.T)])
        left = [ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0] for ranks in (rankdata(x), rankdata(value))]
        if min(np.std(own) for own in left) < 1e-9 * len(x):
            return _none(measure, 0.0, len(x), "undefined: the covariates tell the feature or the outcome wholly")
        rho = float(np.corrcoef(*left)[0, 1])
    df = len(x) - 2 - given
    p = float(2 * student.sf(abs(rho) * np.sqrt(df / max(1 - rho**2, 1e-300)), df))
    low, high = correlation_interval(rho, len(x), confidence, given=given)
    return Association(
        measure,
        rho,
        low,
        high,
        p,
        len(x),
        0.0,
        f"Spearman{' partial' if given else ''}, t with {df} df; interval: Bonett and Wright 2000",
    )


def with_order(x: FloatArray, grade: FloatArray, confidence: float = 0.95) -> Association:
    """An ordered grade: Kendall's tau-b, its test, and an interval by leaving each case out once (on Fisher's z).

    The usual formula for the interval (Fieller, 0.437 / (n - 4)) holds without ties only: with four grades it covered 89 % at 95 %.
    """
    if len(x) < 2 * LEAST:
        return _none("kendall", 0.0, len(x), f"too few to say: {len(x)} cases, {2 * LEAST} are asked for")
    if np.ptp(x) == 0 or np.ptp(grade) == 0:
        return _none("kendall", 0.0, len(x), "undefined: the feature or the outcome is the same for every case")
    found = kendalltau(x, grade, method="asymptotic")
    tau = float(found.statistic)
    low, high = _jackknife_interval(x, grade, tau, confidence)
    method = "Kendall's tau-b (normal approximation with ties); interval: jackknife, by Fisher's z"
    return Association("kendall", tau, low, high, float(found.pvalue), len(x), 0.0, method)


def _jackknife_interval(x: FloatArray, y: FloatArray, tau: float, confidence: float) -> tuple[float, float]:
    if abs(tau) >= 1:
        return _NAN, _NAN
    n = len(x)
    dx, dy = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    sums = [(dx * dy).sum(axis=1), np.abs(dx).sum(axis=1), np.abs(dy).sum(axis=1)]
    both, of_x, of_y = (own.sum() - 2 * own for own in sums)
    without = np.clip(both / np.sqrt(np.maximum(of_x * of_y, 1.0)), -1 + 1e-9, 1 - 1e-9)
    z = n * np.arctanh(tau) - (n - 1) * np.arctanh(without)
    half = float(student.ppf((1 + confidence) / 2, n - 1)) * float(z.std(ddof=1) / np.sqrt(n))
    return float(np.tanh(np.arctanh(tau) - half)), float(np.tanh(np.arctanh(tau) + half))


def with_time(
    x: FloatArray, time: FloatArray, event: IntArray, covariates: FloatArray | None = None, confidence: float = 0.95
) -> Association:
    """Time to an event: Cox's hazard ratio of one standard deviation more of the feature; competing events count as censored."""
    given = 0 if covariates is None else covariates.shape[1]
    events = int(np.sum(event == 1))
    wanted = LEAST * (1 + given)
    if events < wanted:
        return _none(
            "hazard_ratio_per_sd", 1.0, len(x), f"too few to say: {events} events, {wanted} are asked for ({LEAST} a column)"
        )
    if np.ptp(x) == 0:
        return _none("hazard_ratio_per_sd", 1.0, len(x), "undefined: the feature is the same for every case")
    columns = [(x - x.mean()) / x.std(ddof=1)]
    columns += [] if covariates is None else list(covariates.T)
    try:
        fit = fit_cox(time, event, np.column_stack(columns))
    except CohortError as error:
        return _none("hazard_ratio_per_sd", 1.0, len(x), f"undefined: {error.problem}")
    if not fit.converged:
        return _none(
            "hazard_ratio_per_sd", 1.0, len(x), "undefined: the feature separates who has events, so the ratio is infinite"
        )
    low, high = fit.interval(confidence)
    ratio, least, most = (float(value) for value in np.exp([fit.coefficients[0], low[0], high[0]]))
    method = "Cox (Efron), per SD of the feature; Wald test and interval"
    if (event > 1).any():
        method += "; cause-specific: competing events as censored"
    return Association("hazard_ratio_per_sd", ratio, least, most, float(fit.p_values[0]), len(x), 1.0, method)


def with_classes_adjusted(x: FloatArray, y: IntArray, covariates: FloatArray, confidence: float = 0.95) -> Association:
    """Two classes beside covariates (n, c): the odds ratio of one standard deviation more, by logistic regression."""
    given = covariates.shape[1]
    fewer, wanted = int(min(np.sum(y == 1), np.sum(y == 0))), LEAST * (1 + given)
    if fewer < wanted:
        return _none(
            "odds_ratio_per_sd",
            1.0,
            len(x),
            f"too few to say: {fewer} cases of the rarer class, {wanted} are asked for ({LEAST} a column)",
        )
    if np.ptp(x) == 0:
        return _none("odds_ratio_per_sd", 1.0, len(x), "undefined: the feature is the same for every case")
    design = np.column_stack([x, covariates])
    scale = design.std(axis=0, ddof=1)
    if (scale == 0).any():
        return _none("odds_ratio_per_sd", 1.0, len(x), "undefined: a covariate is the same for every case")
    found = _logistic(np.column_stack([np.ones(len(x)), (design - design.mean(axis=0)) / scale]), y)
    if found is None:
        return _none("odds_ratio_per_sd", 1.0, len(x), "undefined: the columns separate the classes, or follow from each other")
    beta, error = found[0][1], found[1][1]
    half = float(norm.ppf((1 + confidence) / 2)) * error
    ratio, low, high = (float(value) for value in np.exp([beta, beta - half, beta + half]))
    method = "logistic regression, per SD of the feature; Wald test and interval"
    return Association("odds_ratio_per_sd", ratio, low, high, float(2 * norm.sf(abs(beta / error))), len(x), 1.0, method)


def _logistic(design: FloatArray, y: IntArray) -> tuple[FloatArray, FloatArray] | None:
    """Coefficients and standard errors; None where there is no finite maximum."""
    beta = np.zeros(design.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -35, 35)))
        information = design.T @ (design * (p * (1 - p))[:, None])
        if np.linalg.cond(information) > 1e12 or np.abs(beta).max() > 15:
            return None
        step = np.linalg.solve(information, design.T @ (y - p))
        step *= min(1.0, 4.0 / max(np.abs(step).max(), 1e-12))
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            return beta, np.sqrt(np.diag(np.linalg.inv(information)))
    return None


def with_lesions(
    x: FloatArray, outcome: FloatArray, patients: IntArray, covariates: FloatArray | None = None, confidence: float = 0.95
) -> Association:
    """Several lesions a patient: by how many standard deviations the feature differs for one more of the outcome (of two classes:
    between them; of a number or grade: for one standard deviation), each patient with a level of its own."""
    given = 0 if covariates is None else covariates.shape[1]
    n_patients = len(np.unique(patients))
    measure = "difference_in_sd"
    two = len(np.unique(outcome)) == 2
    if n_patients < 2 * LEAST + given:
        return _none(measure, 0.0, len(x), f"too few to say: {n_patients} patients, {2 * LEAST + given} are asked for")
    if np.ptp(x) == 0 or np.ptp(outcome) == 0:
        return _none(measure, 0.0, len(x), "undefined: the feature or the outcome is the same for every lesion")
    side = outcome.astype(float) if two else (outcome - outcome.mean()) / outcome.std(ddof=1)
    columns = [np.ones(len(x)), side] + ([] if covariates is None else list(covariates.T))
    try:
        fit = fit_mixed((x - x.mean()) / x.std(ddof=1), np.column_stack(columns), patients)
    except CohortError as error:
        return _none(measure, 0.0, len(x), f"undefined: {error.problem}")
    low, high = fit.interval(confidence)
    method = f"mixed model with a level for each of {n_patients} patients (REML), t with {fit.df} df"
    return Association(
        measure, float(fit.coefficients[1]), float(low[1]), float(high[1]), float(fit.p_values[1]), len(x), 0.0, method
    )
