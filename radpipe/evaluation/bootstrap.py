"""Bootstrap over patients, for statistics that can be computed from weights.

A resample is a row of whole-number weights, so that a statistic of all resamples is one vectorised call.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from radpipe.typing import FloatArray

Statistic = Callable[[FloatArray], FloatArray]
"""(resamples, n) weights -> (resamples,) values."""

UNDEFINED_ALLOWED = 0.05
"""Share of resamples that may leave the statistic undefined (NaN) before no interval is given."""

NUDGE = 1e-3
"""Weight added to one patient to see how far the statistic moves."""


def bca_interval(
    statistic: Statistic, patients: NDArray[np.str_], resamples: int, confidence: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Bias-corrected and accelerated interval, resampling whole patients.

    patients : (n,) who each row belongs to. Ends may be infinite where many resamples are; NaN where more than
    5 % of the resamples leave the statistic undefined, or where it does not vary.
    Efron 1987, doi:10.1080/01621459.1987.10478410.
    """
    nothing = (float("nan"), float("nan"))
    _, group = np.unique(patients, return_inverse=True)
    n_groups = int(group.max()) + 1 if len(group) else 0
    if n_groups < 2:
        return nothing
    counts = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=resamples)
    values = statistic(counts[:, group].astype(float))
    # Influence of one patient more, as R's boot has it; leaving one out wholly could undefine the statistic.
    nudged = statistic((1.0 + NUDGE * np.eye(n_groups))[:, group])
    observed = float(statistic(np.ones((1, len(group))))[0])
    undefined = np.isnan(values)
    if not np.isfinite(observed) or undefined.mean() > UNDEFINED_ALLOWED:
        return nothing
    values = np.sort(values[~undefined])
    below = (np.sum(values < observed) + np.sum(values <= observed)) / 2 / len(values)
    if not 0 < below < 1:
        return nothing
    influence = (nudged - observed) / NUDGE
    influence = influence - influence.mean() if np.isfinite(influence).all() else np.zeros(n_groups)
    spread = float(np.sum(influence**2))
    acceleration = float(np.sum(influence**3)) / (6 * spread**1.5) if spread > 0 else 0.0
    bias = float(norm.ppf(below))
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = bias + float(norm.ppf(tail))
        level = float(norm.cdf(bias + z / (1 - acceleration * z)))
        # "inverted_cdf" picks one of the values, so an infinite neighbour does not turn a finite end into NaN.
        ends.append(float(np.quantile(values, level, method="inverted_cdf")))
    return ends[0], ends[1]
