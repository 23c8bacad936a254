"""How much of a model's apparent worth is its having seen the cases: bootstrap optimism, and .632+.

Other than the distance of training and test part (``auc_train_test_gap``), these refit the model on resamples of everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from radpipe.errors import CohortError
from radpipe.typing import FloatArray, IntArray

Fit = Callable[[FloatArray, IntArray], Callable[[FloatArray], FloatArray]]
"""(x, y) -> a function that predicts from x. The whole chain belongs in it: selection, scaling, calibration."""
Measure = Callable[[IntArray, FloatArray], float]


@dataclass(frozen=True)
class Optimism:
    """apparent : on the cases it was fitted on. optimism : mean over resamples. corrected = apparent - optimism.

    n_resamples : those that could be fitted and measured.
    """

    apparent: float
    optimism: float
    n_resamples: int

    @property
    def corrected(self) -> float:
        return self.apparent - self.optimism


def bootstrap_optimism(
    fit: Fit, x: FloatArray, y: IntArray, measure: Measure, resamples: int, rng: np.random.Generator
) -> Optimism:
    """Harrell's: fit on a resample, measure on it and on everybody; the mean of the difference is the optimism.

    Harrell, Lee and Mark 1996, doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4.
    """
    apparent = measure(y, fit(x, y)(x))
    found = []
    for _ in range(resamples):
        rows = rng.integers(0, len(y), len(y))
        if len(np.unique(y[rows])) < len(np.unique(y)):
            continue
        predict = fit(x[rows], y[rows])
        difference = measure(y[rows], predict(x[rows])) - measure(y, predict(x))
        if np.isfinite(difference):
            found.append(difference)
    if not found:
        raise CohortError("no resample holds every class.", hint="There are too few cases for a bootstrap.")
    return Optimism(apparent, float(np.mean(found)), len(found))


@dataclass(frozen=True)
class Point632:
    """An error estimated as .632+. apparent, left_out : its two parts. no_information : error where x says nothing of y."""

    value: float
    apparent: float
    left_out: float
    no_information: float
    weight: float


def point_632_plus(
    fit: Fit, x: FloatArray, y: IntArray, loss: Callable[[IntArray, FloatArray], FloatArray], resamples: int, rng: np.random.Generator
) -> Point632:  # fmt: skip
    """Efron and Tibshirani's .632+ estimate of a mean loss (n,) of one prediction a case, 0 the best.

    A case is judged by the fits of resamples it is not in; the weight of that part grows with overfitting.
    1997, doi:10.1080/01621459.1997.10474007.
    """
    own = fit(x, y)(x)
    apparent = float(np.mean(loss(y, own)))
    total, times = np.zeros(len(y)), np.zeros(len(y))
    for _ in range(resamples):
        rows = rng.integers(0, len(y), len(y))
        out = np.setdiff1d(np.arange(len(y)), rows)
        if not len(out) or len(np.unique(y[rows])) < len(np.unique(y)):
            continue
        total[out] += loss(y[out], fit(x[rows], y[rows])(x[out]))
        times[out] += 1
    if not times.any():
        raise CohortError("no resample leaves a case out and holds every class.", hint="There are too few cases for a bootstrap.")
    seen = times > 0
    left_out = float(np.mean(total[seen] / times[seen]))
    no_information = float(np.mean([np.mean(loss(np.full(len(own), value, y.dtype), own)) for value in y]))
    bounded = min(left_out, no_information)
    rate = (bounded - apparent) / (no_information - apparent) if no_information > apparent and bounded > apparent else 0.0
    weight = 0.632 / (1 - 0.368 * rate)
    return Point632((1 - weight) * apparent + weight * bounded, apparent, left_out, no_information, weight)
