"""How much the choice depends on who was in the training part."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from radpipe.errors import SchemaError


def nogueira(kept: np.ndarray, shared: float = 0.0) -> tuple[float, float, float]:
    """Stability of a choice of features over runs, with its 95 % interval.

    kept : (runs, features) bool, what each run kept. Returns (value, low, high): 1 where all runs keep the same, 0 on average
    where each keeps as many at random, negative below chance. NaN where it is not defined: every run keeps all, or none.
    shared : test rows over training rows where the runs are folds of one cohort, 1 / (folds - 1); 0 for independent runs. Folds
    share patients, and the interval for independent runs is too narrow for them. The variance is then multiplied by
    1 + runs * shared, as Nadeau and Bengio do for errors of resampled fits (2003, doi:10.1023/A:1024068626366): borrowed, not proven
    for stabilities. It does not move the value, which is that of cohorts that overlap as folds do; fresh ones would agree less.
    Nogueira, Sechidis and Brown 2018, JMLR 18(174), equations 4 and 9; https://jmlr.org/papers/v18/17-514.html.
    """
    kept = np.asarray(kept)
    if kept.ndim != 2 or kept.shape[0] < 2 or kept.shape[1] < 1:
        raise SchemaError(
            f"stability needs at least two runs and one feature, not a table of {kept.shape}.", hint="Use more folds."
        )
    z = kept.astype(float)
    runs, features = z.shape
    frequency = z.mean(axis=0)
    sizes = z.sum(axis=1)
    share = sizes.mean() / features
    if share in (0.0, 1.0):
        return (np.nan, np.nan, np.nan)
    spread = runs / (runs - 1) * (frequency * (1 - frequency)).mean()
    value = 1 - spread / (share * (1 - share))
    mine = sizes / features
    of_run = (z @ frequency / features - mine * share + value / 2 * (2 * mine * share - mine - share + 1)) / (share * (1 - share))
    error = np.sqrt(4 / runs**2 * np.sum((of_run - of_run.mean()) ** 2))
    reach = float(norm.ppf(0.975) * error * np.sqrt(1 + runs * shared))
    return float(value), float(value) - reach, float(value) + reach
