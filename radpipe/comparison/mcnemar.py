"""McNemar's test: do two models err on different patients equally often? For fixed calls, as on a held-out set.

McNemar 1947, doi:10.1007/BF02295996; mid-p: Fagerland, Lydersen and Laake 2013, doi:10.1186/1471-2288-13-91; interval: Agresti and
Min 2005, doi:10.1002/sim.1781.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, chi2, norm

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.mean_scores import mean_scores
from radpipe.comparison.test import ComparisonTest, PairedFold, TestResult, no_test


@dataclass(frozen=True)
class McNemar:
    """chi_square, p : without correction; chi_square_corrected, p_corrected : with that for continuity (R's default).

    p_exact : binomial; p_mid : half of the observed table's own chance taken off, less conservative.
    """

    chi_square: float
    p: float
    chi_square_corrected: float
    p_corrected: float
    p_exact: float
    p_mid: float


def mcnemar(only_a: int, only_b: int) -> McNemar:
    """only_a : cases that only A has right. only_b : that only B has right. All else does not count."""
    n = only_a + only_b
    if n == 0:
        return McNemar(0.0, 1.0, 0.0, 1.0, 1.0, 1.0)
    plain, corrected = (only_a - only_b) ** 2 / n, max(abs(only_a - only_b) - 1, 0) ** 2 / n
    fewer = min(only_a, only_b)
    exact = min(1.0, 2 * float(binom.cdf(fewer, n, 0.5)))
    mid = min(1.0, 2 * float(binom.cdf(fewer, n, 0.5)) - float(binom.pmf(fewer, n, 0.5)))
    return McNemar(plain, float(chi2.sf(plain, 1)), corrected, float(chi2.sf(corrected, 1)), exact, mid)


def difference_interval(only_a: int, only_b: int, n: int, confidence: float) -> tuple[float, float, float]:
    """Interval of the difference of two paired proportions of ``n``, and its standard error: half a case is added to each of
    the four cells, which keeps the coverage near its level in small tables."""
    a, b, total = only_a + 0.5, only_b + 0.5, n + 2
    centre = (a - b) / total
    error = float(np.sqrt(a + b - (a - b) ** 2 / total)) / total
    half = float(norm.ppf((1 + confidence) / 2)) * error
    return max(-1.0, centre - half), min(1.0, centre + half), error


def mcnemar_test(folds: tuple[PairedFold, ...], settings: ComparisonSettings) -> TestResult:
    """Compare the accuracies of the calls at the fits' own thresholds, one call a case; always accuracy."""
    nan = float("nan")
    scores = mean_scores(folds)
    words = f"McNemar (mid-p) of the calls at the fits' own thresholds, {scores.in_words()}"
    if scores.truth.time is not None or scores.truth.value is not None or scores.a.ndim > 1:
        return no_test(nan, f"no test: McNemar compares calls of two classes; {words}")
    if len(np.unique(scores.y)) < 2:
        return no_test(nan, f"no test: one class only; {words}")
    right = scores.called == (scores.y == 1)
    only_a, only_b = int(np.sum(right[0] & ~right[1])), int(np.sum(right[1] & ~right[0]))
    n = len(scores.y)
    words += f"; right only by the one {max(only_a, only_b)}, only by the other {min(only_a, only_b)} of {n}"
    words += "; interval: Agresti and Min 2005"
    if only_a == only_b == 0:
        return TestResult(0.0, nan, 1.0, 0.0, 0.0, 0.0, 0.0, f"{words}; both call every case alike")
    effect = (only_a - only_b) / n
    larger = max(only_a, only_b), min(only_a, only_b)
    low, high, error = difference_interval(*larger, n, 1 - settings.alpha)
    if only_a < only_b:
        low, high = -high, -low
    statistic = (only_a - only_b) / float(np.sqrt(only_a + only_b))
    p_equivalence = float(norm.sf((settings.margin - abs(effect)) / error))
    return TestResult(statistic, nan, mcnemar(only_a, only_b).p_mid, effect, low, high, p_equivalence, words)


TEST = ComparisonTest(
    "mcnemar",
    mcnemar_test,
    conditional=True,
    meaning="Do the calls of the two models err equally often? For a held-out or external set; it needs thresholds.",
    compares="accuracy",
    uses="p",
)
