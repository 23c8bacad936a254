"""Cox's proportional hazards by Newton's method, for tests of association and for cause-specific hazards.

Cox 1972, doi:10.1111/j.2517-6161.1972.tb00899.x; ties by Efron 1977, doi:10.1080/01621459.1977.10480613, or Breslow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import norm

from radpipe.errors import CohortError
from radpipe.typing import FloatArray, IntArray

_STEPS = 60
_TOLERANCE = 1e-10
_RUNAWAY = 12.0
"""Log hazard ratio of one standard deviation beyond which a coefficient is taken to grow without end."""


@dataclass(frozen=True)
class CoxFit:
    """coefficients : (p,) log hazard ratios, one a unit of each column. covariance : (p, p), inverse information.

    converged : False where a coefficient runs away (a column that separates who has events); then errors are NaN.
    """

    coefficients: FloatArray
    covariance: FloatArray
    log_likelihood: float
    log_likelihood_null: float
    n: int
    n_events: int
    converged: bool

    @property
    def standard_errors(self) -> FloatArray:
        """(p,)"""
        return np.sqrt(np.diag(self.covariance))

    @property
    def p_values(self) -> FloatArray:
        """(p,) Wald, two-sided."""
        return np.asarray(2 * norm.sf(np.abs(self.coefficients / self.standard_errors)), float)

    def interval(self, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Wald interval of the coefficients; exp of it is that of the hazard ratios."""
        half = float(norm.ppf((1 + confidence) / 2)) * self.standard_errors
        return self.coefficients - half, self.coefficients + half


def fit_cox(
    time: FloatArray, event: IntArray, x: FloatArray, *, cause: int = 1, ties: Literal["efron", "breslow"] = "efron"
) -> CoxFit:
    """x : (n, p). Events other than ``cause`` count as censored: with competing events this is the cause-specific hazard.

    CohortError where nobody has the event, or a column does not vary or repeats the others.
    """
    time, died = np.asarray(time, float), np.asarray(event) == cause
    x = np.asarray(x, float)
    x = x[:, None] if x.ndim == 1 else x
    if not died.any():
        raise CohortError("nobody has the event, so there is no hazard to fit.", hint="Say which value means the event.")
    scale = x.std(axis=0)
    if (scale == 0).any() or np.linalg.matrix_rank((x - x.mean(axis=0)) / np.where(scale > 0, scale, 1)) < x.shape[1]:
        raise CohortError("a column does not vary, or follows from the others.", hint="Leave it out.")
    z = (x - x.mean(axis=0)) / scale
    order = np.lexsort((~died, -time))  # longest first, so that cumulative sums are sums over who is at risk
    z, time, died = z[order], time[order], died[order]
    rows = np.flatnonzero(died)
    # Everybody with a time of at least the event's is at risk: the last row of its run of equal times.
    last = np.searchsorted(-time, -time[rows], side="right") - 1
    moments, group = np.unique(-time[rows], return_inverse=True)
    deaths = np.bincount(group)
    within = np.arange(len(rows)) - np.concatenate([[0], np.cumsum(deaths)[:-1]])[group]
    share = within / deaths[group] if ties == "efron" else np.zeros(len(rows))

    def derivatives(beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        line = z @ beta
        line = line - line.max()
        risk = np.exp(line)
        xr = z * risk[:, None]
        xxr = z[:, :, None] * xr[:, None, :]
        s0, s1, s2 = np.cumsum(risk)[last], np.cumsum(xr, axis=0)[last], np.cumsum(xxr, axis=0)[last]
        d0 = np.bincount(group, weights=risk[rows])[group]
        d1, d2 = np.zeros((len(moments), z.shape[1])), np.zeros((len(moments), z.shape[1], z.shape[1]))
        np.add.at(d1, group, xr[rows])
        np.add.at(d2, group, xxr[rows])
        s0 = s0 - share * d0
        mean = (s1 - share[:, None] * d1[group]) / s0[:, None]
        second = (s2 - share[:, None, None] * d2[group]) / s0[:, None, None]
        value = float(line[rows].sum() - np.log(s0).sum())
        gradient = z[rows].sum(axis=0) - mean.sum(axis=0)
        information = second.sum(axis=0) - np.einsum("ij,ik->jk", mean, mean)
        return value, gradient, information

    beta = np.zeros(z.shape[1])
    null, gradient, information = derivatives(beta)
    value, converged = null, False
    for _ in range(_STEPS):
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            break
        shrink = 1.0
        for _ in range(30):
            after = derivatives(beta + shrink * step)
            if np.isfinite(after[0]) and after[0] >= value - 1e-12 * abs(value):
                break
            shrink /= 2
        beta, (value, gradient, information) = beta + shrink * step, after
        if np.abs(beta).max() > _RUNAWAY:
            break
        if np.abs(shrink * step).max() < _TOLERANCE:
            converged = True
            break
    nan = np.full((z.shape[1],) * 2, np.nan)
    covariance = np.linalg.inv(information) / np.outer(scale, scale) if converged else nan
    return CoxFit(beta / scale, covariance, value, null, len(time), len(rows), converged)
