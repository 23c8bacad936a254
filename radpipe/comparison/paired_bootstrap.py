"""Patients drawn with replacement, both models judged on the same draw: for fixed scores and any metric.

On out-of-fold scores it is conditional on these very fits, as DeLong's test is. Efron and Tibshirani 1993.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.mean_scores import mean_scores
from radpipe.comparison.test import ComparisonTest, PairedFold, TestResult, no_test
from radpipe.core.seeds import generator
from radpipe.evaluation.fold_metrics import FOLD_METRICS, Truth
from radpipe.typing import FloatArray, IntArray

RESAMPLES = 1000
SEED = 20261121
UNDEFINED_ALLOWED = 0.05


def paired_bootstrap(folds: tuple[PairedFold, ...], settings: ComparisonSettings) -> TestResult:
    """Difference of the metric of the settings; p from the bootstrap's standard error, interval by percentiles."""
    metric = FOLD_METRICS[settings.metric]
    scores = mean_scores(folds)
    words = f"paired bootstrap of {settings.metric}, {RESAMPLES} resamples of whole patients, {scores.in_words()}; "
    words += "p: normal with the bootstrap's error; interval: percentiles"
    truth = scores.truth

    def difference(rows: FloatArray, a: FloatArray, b: FloatArray) -> float:
        at = rows.astype(np.intp)
        own = Truth(
            truth.y[at], None if truth.time is None else truth.time[at], None if truth.value is None else truth.value[at], truth.horizon
        )  # fmt: skip
        return metric.compute(own, a[at]) - metric.compute(own, b[at])

    everybody = np.arange(len(scores.y), dtype=float)
    effect = difference(everybody, scores.a, scores.b)
    if not np.isfinite(effect):
        return no_test(effect, f"no test: {settings.metric} is not defined (one class only); {words}")
    # Computed with the better side first, so that swapping the sides changes signs and nothing else.
    first, second = (scores.a, scores.b) if effect >= 0 else (scores.b, scores.a)
    _, group = np.unique(scores.patients, return_inverse=True)
    members = [np.flatnonzero(group == k).astype(float) for k in range(int(group.max()) + 1)]
    rng = generator(SEED, "paired_bootstrap", len(members))
    draws = rng.integers(0, len(members), size=(RESAMPLES, len(members)))
    if settings.metric == "auc":
        counts = np.zeros((RESAMPLES, len(members)))
        np.add.at(counts, (np.arange(RESAMPLES)[:, None], draws), 1.0)
        values = _aucs(truth.y, first, counts[:, group]) - _aucs(truth.y, second, counts[:, group])
    else:
        values = np.array([difference(np.concatenate([members[k] for k in draw]), first, second) for draw in draws])
    defined = values[np.isfinite(values)]
    if len(defined) < (1 - UNDEFINED_ALLOWED) * RESAMPLES or len(members) < 2:
        return no_test(effect, f"no test: more than 5 % of the resamples do not define {settings.metric}; {words}")
    error = float(np.std(defined, ddof=1))
    if error < 1e-12:
        if effect == 0:
            return TestResult(0.0, float("nan"), 1.0, 0.0, 0.0, 0.0, 0.0, f"{words}; both are alike in every resample")
        return no_test(effect, f"no test: the difference has no variance; {words}")
    tail = settings.alpha / 2
    low, high = (float(end) for end in np.quantile(defined, [tail, 1 - tail]))
    if effect < 0:
        low, high = -high, -low
    p_value = float(2 * norm.sf(abs(effect) / error))
    p_equivalence = float(norm.sf((settings.margin - abs(effect)) / error))
    return TestResult(effect / error, float("nan"), p_value, effect, low, high, p_equivalence, words)


def _aucs(y: IntArray, score: FloatArray, weights: FloatArray) -> FloatArray:
    """(m,) AUC for each row of case weights (m, n): all pairs at once instead of a ranking a resample."""
    events, others = score[y == 1], score[y == 0]
    wins = (events[:, None] > others) + 0.5 * (events[:, None] == others)
    of_events, of_others = weights[:, y == 1], weights[:, y == 0]
    with np.errstate(invalid="ignore"):
        pairs = of_events.sum(axis=1) * of_others.sum(axis=1)
        return np.asarray(np.sum((of_events @ wins) * of_others, axis=1) / pairs, float)


TEST = ComparisonTest(
    "paired_bootstrap",
    paired_bootstrap,
    conditional=True,
    meaning="Do these two score vectors differ, in any metric? For a held-out or external set; whole patients are drawn.",
)
