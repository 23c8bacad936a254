"""How often two equally good methods are called different, and a real gap found (STATISTICS.md)."""

from __future__ import annotations

import numpy as np
import pytest

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.corrected_t import corrected_t
from radpipe.comparison.test import PairedFold


def ridge_scores(x, y, learnt):
    centred = x - x[learnt].mean(axis=0)
    gram = centred[learnt].T @ centred[learnt] + 20 * np.eye(x.shape[1])
    score = centred @ np.linalg.solve(gram, centred[learnt].T @ (y[learnt] - y[learnt].mean()))
    return 1 / (1 + np.exp(-score))


def calls(signal_a, signal_b, sets, n=100, p=20, repeats=10, folds=5, seed=0):
    """Share of data sets in which the two ridge models, on independent blocks of features, are called different."""
    rng = np.random.default_rng(seed)
    settings = ComparisonSettings()
    cases = np.array([f"c{i:03d}" for i in range(n)])
    y = (np.arange(n) < 0.4 * n).astype(np.int64)
    found, gaps = 0, []
    for _ in range(sets):
        blocks = []
        for signal in (signal_a, signal_b):
            x = rng.normal(size=(n, p))
            x[:, :5] += signal * y[:, None]
            blocks.append(x)
        parts = []
        for repeat in range(repeats):
            fold_of = np.empty(n, int)
            for cls in (0, 1):
                members = rng.permutation(np.flatnonzero(y == cls))
                fold_of[members] = np.arange(len(members)) % folds
            for fold in range(folds):
                test = fold_of == fold
                a, b = (ridge_scores(x, y, ~test)[test] for x in blocks)
                parts.append(PairedFold(repeat, fold, cases[test], y[test], a, b, int(np.sum(~test))))
        result = corrected_t(tuple(parts), settings)
        found += result.p_value <= settings.alpha
        gaps.append(result.effect)
    return found / sets, float(np.mean(gaps))


@pytest.mark.slow
def test_false_positives_of_equal_methods():
    """Nominal 0.05; measured 0.055 to 0.081 (Monte-Carlo error 0.014 for 300 sets): at most 0.13 passes."""
    rate, gap = calls(0.5, 0.5, sets=300)
    assert abs(gap) < 0.02
    assert rate <= 0.13


@pytest.mark.slow
def test_a_gap_of_fifteen_points_is_found():
    rate, gap = calls(0.65, 0.31, sets=150, seed=1)
    assert 0.12 < gap < 0.19
    assert rate >= 0.5


@pytest.mark.slow
def test_fewer_repeats_are_conservative():
    rate, _ = calls(0.5, 0.5, sets=300, repeats=3, seed=2)
    assert rate <= 0.05
