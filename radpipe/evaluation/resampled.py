"""Mean and interval of a metric over repeated cross-validation.

Folds share training patients, so their values are not independent and the plain standard error is far too small: with
it, two equally good models differ "significantly" in 62 to 68 % of tries. Nadeau and Bengio (2003,
doi:10.1023/A:1024068626366) widen the variance by n_test / n_train; there is no unbiased estimator (Bengio and
Grandvalet 2004).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from radpipe.typing import FloatArray

CALIBRATED_REPEATS = 10
"""Repeats x 5 folds at which the false-positive rate of the test was measured (0.05 to 0.08 at a nominal 0.05)."""


@dataclass(frozen=True)
class ResampledMean:
    """A mean over folds with its corrected standard error; ``df`` is 0 and the error NaN where there is one repeat."""

    mean: float
    standard_error: float
    df: int

    def interval(self, confidence: float) -> tuple[float, float]:
        """Two-sided interval of the mean; NaN where no standard error exists."""
        if self.df < 1 or not np.isfinite(self.standard_error):
            return float("nan"), float("nan")
        half = float(student.ppf((1 + confidence) / 2, self.df)) * self.standard_error
        return self.mean - half, self.mean + half


def degrees_of_freedom(repeats: int) -> int:
    """Repeats - 1, at most 9.

    An empirical adjustment: Nadeau and Bengio use folds - 1, which was measured to call a difference between equal
    models in 10 to 12 % of tries. Fewer repeats than 10 make the test conservative; more make it liberal unless the
    degrees of freedom stay at 9.
    """
    return min(repeats, CALIBRATED_REPEATS) - 1


def corrected_mean(values: FloatArray, test_to_train: float, df: int) -> ResampledMean:
    """values : (repeats x folds,), one a fold. test_to_train : n_test / n_train, n_train with the selection part."""
    values = np.asarray(values, float)
    if len(values) < 2 or df < 1:
        return ResampledMean(float(np.mean(values)) if len(values) else float("nan"), float("nan"), max(df, 0))
    variance = float(np.var(values, ddof=1)) * (1 / len(values) + test_to_train)
    return ResampledMean(float(np.mean(values)), float(np.sqrt(variance)), df)


def in_words(repeats: int, df: int) -> str:
    """How many repeats, and what that means for the interval."""
    if repeats < 2:
        return "one repeat: its folds share patients and give no standard error, so there is no interval and no test"
    text = f"{repeats} repeats, df {df}"
    if repeats < CALIBRATED_REPEATS:
        return f"{text}; conservative: calibrated at {CALIBRATED_REPEATS} repeats, wider than need be at fewer"
    if repeats > CALIBRATED_REPEATS:
        return f"{text}: kept at the {CALIBRATED_REPEATS} repeats it was calibrated at"
    return text
