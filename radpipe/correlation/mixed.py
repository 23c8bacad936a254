"""A line with a level of its own for every patient: for values of several lesions of one patient.

Restricted maximum likelihood of a random intercept, as lme4::lmer(v ~ x + (1 | id)). Laird and Ware 1982, doi:10.2307/2529876;
Bates et al. 2015, doi:10.18637/jss.v067.i01.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import t as student

from radpipe.errors import CohortError
from radpipe.typing import FloatArray, IntArray


@dataclass(frozen=True)
class MixedFit:
    """coefficients : (p,), in the order of the columns. variance_between, variance_within : of patients, and of values about their
    patient's level. df : patients minus columns, for what does not vary within a patient."""

    coefficients: FloatArray
    covariance: FloatArray
    variance_between: float
    variance_within: float
    log_likelihood: float
    df: int

    @property
    def standard_errors(self) -> FloatArray:
        """(p,)"""
        return np.asarray(np.sqrt(np.diag(self.covariance)), float)

    @property
    def p_values(self) -> FloatArray:
        """(p,) two-sided, t with ``df``."""
        return np.asarray(2 * student.sf(np.abs(self.coefficients / self.standard_errors), self.df), float)

    def interval(self, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Of the coefficients, t with ``df``."""
        half = float(student.ppf((1 + confidence) / 2, self.df)) * self.standard_errors
        return self.coefficients - half, self.coefficients + half


def fit_mixed(values: FloatArray, x: FloatArray, group: IntArray) -> MixedFit:
    """values : (n,). x : (n, p), with a column of ones. group : (n,) whose value it is.

    CohortError where no patient has two values, or a column follows from the others.
    """
    values, x = np.asarray(values, float), np.asarray(x, float)
    _, place = np.unique(group, return_inverse=True)
    sizes = np.bincount(place).astype(float)
    n, p = x.shape
    if len(sizes) == n or len(sizes) <= p:
        raise CohortError(
            f"{n} values of {len(sizes)} patients give no level of a patient's own.",
            hint="A mixed model wants patients with several lesions, and more patients than columns.",
        )
    if np.linalg.matrix_rank(x) < p:
        raise CohortError("a column is constant, or follows from the others.", hint="Leave it out.")

    def sums(column: FloatArray) -> FloatArray:
        return np.bincount(place, weights=column).astype(float)

    of_values, of_x = sums(values), np.column_stack([sums(x[:, k]) for k in range(p)])

    def solve(ratio: float) -> tuple[float, FloatArray, FloatArray, float]:
        """ratio : variance between over that within. REML criterion (-2 log likelihood), coefficients, inverse, squares."""
        shrink = ratio / (1 + ratio * sizes)  # inverse of I + ratio * ones
        xvx = x.T @ x - (of_x * shrink[:, None]).T @ of_x
        xvy = x.T @ values - (of_x * shrink[:, None]).T @ of_values
        beta = np.linalg.solve(xvx, xvy)
        residual = values - x @ beta
        of_residual = sums(residual)
        squares = max(float(residual @ residual - shrink @ of_residual**2), np.finfo(float).tiny)
        _, log_det = np.linalg.slogdet(xvx)
        criterion = (n - p) * np.log(squares / (n - p)) + float(np.sum(np.log1p(ratio * sizes))) + float(log_det)
        criterion += (n - p) * (1 + np.log(2 * np.pi))
        return float(criterion), np.asarray(beta, float), np.asarray(np.linalg.inv(xvx), float), squares

    best = minimize_scalar(
        lambda log_ratio: solve(float(np.exp(log_ratio)))[0], bounds=(-14, 14), method="bounded", options={"xatol": 1e-10}
    )
    ratio = float(np.exp(best.x)) if best.fun < solve(0.0)[0] else 0.0
    criterion, beta, inverse, squares = solve(ratio)
    within = squares / (n - p)
    return MixedFit(beta, inverse * within, ratio * within, within, -criterion / 2, len(sizes) - p)
