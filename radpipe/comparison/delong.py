"""DeLong's test of two correlated AUCs: for fixed scores, as on a held-out or external set.

On out-of-fold scores it is conditional on these very fits and says nothing about the methods (see ``corrected_t``).
DeLong 1988, doi:10.2307/2531595; the fast form is Sun and Xu 2014, doi:10.1109/LSP.2014.2337313.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.test import ComparisonTest, PairedFold, TestResult, no_test
from radpipe.evaluation.delong import delong_covariance


def delong(folds: tuple[PairedFold, ...], settings: ComparisonSettings) -> TestResult:
    """Compare the AUCs of the scores averaged over repeats, one score a case; always AUC, whatever the metric."""
    cases = np.unique(np.concatenate([fold.cases for fold in folds]))
    total, count, y = np.zeros((2, len(cases))), np.zeros(len(cases)), np.zeros(len(cases), np.int64)
    for fold in folds:
        at = np.searchsorted(cases, fold.cases)
        total[:, at] += np.stack([fold.a, fold.b])
        count[at] += 1
        y[at] = fold.y
    words = "DeLong (Sun and Xu 2014) on out-of-fold scores averaged over repeats; conditional on these scores: it does "
    words += "not count training variance and carries no verdict on the methods"
    if min(np.sum(y == 1), np.sum(y == 0)) < 2:
        return no_test(float("nan"), f"no test: fewer than two cases of one class; {words}")
    aucs, covariance = delong_covariance(y, total / count)
    effect = float(aucs[0] - aucs[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if variance < 1e-18:
        if effect == 0:
            return TestResult(0.0, float("nan"), 1.0, 0.0, 0.0, 0.0, 0.0, f"{words}; both rank the cases alike")
        return no_test(effect, f"no test: the difference has no variance; {words}")
    error = variance**0.5
    half = float(norm.ppf(1 - settings.alpha / 2)) * error
    p_equivalence = float(norm.sf((settings.margin - abs(effect)) / error))
    p_value = float(2 * norm.sf(abs(effect) / error))
    return TestResult(effect / error, float("nan"), p_value, effect, effect - half, effect + half, p_equivalence, words)


TEST = ComparisonTest(
    "delong",
    delong,
    conditional=True,
    meaning="Do these two score vectors differ? For a held-out or external set; on out-of-fold scores it is conditional on them.",
)
