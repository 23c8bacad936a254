"""DeLong's test of two correlated AUCs: for fixed scores, as on a held-out or external set.

On out-of-fold scores it is conditional on these very fits and says nothing about the methods (see ``corrected_t``).
DeLong 1988, doi:10.2307/2531595; the fast form is Sun and Xu 2014, doi:10.1109/LSP.2014.2337313.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.mean_scores import mean_scores
from radpipe.comparison.test import ComparisonTest, PairedFold, TestResult, no_test
from radpipe.evaluation.delong import delong_covariance

__all__ = ["TEST", "delong", "delong_covariance"]


def delong(folds: tuple[PairedFold, ...], settings: ComparisonSettings) -> TestResult:
    """Compare the AUCs of the scores averaged over repeats, one score a case; always AUC, whatever the metric."""
    nan = float("nan")
    scores = mean_scores(folds)
    words = f"DeLong (Sun and Xu 2014) {scores.in_words()}"
    if scores.truth.time is not None or scores.truth.value is not None or scores.a.ndim > 1:
        return no_test(nan, f"no test: DeLong compares AUCs of two classes; {words}")
    y = scores.y
    if min((y == 1).sum(), (y == 0).sum()) < 2:
        return no_test(nan, f"no test: fewer than two cases of one class; {words}")
    aucs, covariance = delong_covariance(y, np.stack([scores.a, scores.b]))
    effect = float(aucs[0] - aucs[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if variance < 1e-18:
        if effect == 0:
            return TestResult(0.0, nan, 1.0, 0.0, 0.0, 0.0, 0.0, f"{words}; both rank the cases alike")
        return no_test(effect, f"no test: the difference has no variance; {words}")
    return normal_test(effect, variance**0.5, settings, words)


def normal_test(effect: float, error: float, settings: ComparisonSettings, words: str) -> TestResult:
    """Effect over its standard error against the normal distribution, with its interval and the two one-sided tests."""
    half = float(norm.ppf(1 - settings.alpha / 2)) * error
    p_equivalence = float(norm.sf((settings.margin - abs(effect)) / error))
    p_value = float(2 * norm.sf(abs(effect) / error))
    return TestResult(effect / error, float("nan"), p_value, effect, effect - half, effect + half, p_equivalence, words)


TEST = ComparisonTest(
    "delong",
    delong,
    conditional=True,
    meaning="Do these two score vectors differ? For a held-out or external set; on out-of-fold scores it is conditional on them.",
    compares="auc",
    uses="p",
)
