"""How often two equally good methods are called different, a real gap found, and a gap as wide as the margin called none.

Ridge regressions on simulated features, 10 x 5 stratified folds, all folds of a data set solved at once (STATISTICS.md).
"""

from __future__ import annotations

import numpy as np
import pytest

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.corrected_t import paired_t


def fold_aucs(x, y, tested):
    """tested : (folds, n). Ridge on everybody else, AUC of the tested; all folds hold equally many of each class."""
    learnt = ~tested
    n = learnt.sum(axis=1)
    mean = (learnt @ x) / n[:, None]
    outer = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    gram = (learnt @ outer).reshape(-1, x.shape[1], x.shape[1]) - n[:, None, None] * mean[:, :, None] * mean[:, None, :]
    right = learnt @ (x * y[:, None]) - (learnt @ y)[:, None] * mean
    score = np.linalg.solve(gram + 20 * np.eye(x.shape[1]), right[:, :, None])[:, :, 0] @ x.T
    events = score[tested & (y == 1)].reshape(len(tested), -1)
    others = score[tested & (y == 0)].reshape(len(tested), -1)
    return (events[:, :, None] > others[:, None, :]).mean(axis=(1, 2))


def stratified(y, rng, repeats, folds=5):
    parts = []
    for _ in range(repeats):
        fold_of = np.empty(len(y), int)
        for cls in (0, 1):
            members = rng.permutation(np.flatnonzero(y == cls))
            fold_of[members] = np.arange(len(members)) % folds
        parts += [fold_of == fold for fold in range(folds)]
    return np.array(parts)


def results(blocks, sets, n=100, repeats=10, seed=0):
    """Results of the test on ``sets`` data sets. blocks : (rng, y) -> the features of A and of B."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) < 0.4 * n).astype(float)
    found = []
    for _ in range(sets):
        a, b = blocks(rng, y)
        tested = stratified(y, rng, repeats)
        found.append(paired_t(fold_aucs(a, y, tested) - fold_aucs(b, y, tested), 0.25, repeats, ComparisonSettings(), ""))
    return found


def independent(signal_a, signal_b):
    def make(rng, y):
        blocks = [rng.normal(size=(len(y), 20)) for _ in range(2)]
        for block, signal in zip(blocks, (signal_a, signal_b), strict=True):
            block[:, :5] += signal * y[:, None]
        return blocks

    return make


def noisier(noise):
    """B sees A's features through noise, so their scores go together and the difference is known well."""

    def make(rng, y):
        x = rng.normal(size=(len(y), 5)) + 0.5 * y[:, None]
        return x, x + noise * rng.normal(size=x.shape)

    return make


def called(found):
    return float(np.mean([result.p_value <= 0.05 for result in found]))


def test_false_positives_of_equal_methods():
    """Nominal 0.05; 0.055 to 0.081 in 1,000 sets; here 300, Monte-Carlo error 0.015: between 0.02 and 0.12."""
    found = results(independent(0.5, 0.5), 300)
    assert 0.02 <= called(found) <= 0.12
    assert abs(np.mean([result.effect for result in found])) < 0.02
    covered = np.mean([result.ci_low <= 0 <= result.ci_high for result in found])
    assert covered == pytest.approx(1 - called(found))  # interval and test say the same


def test_a_gap_is_found():
    found = results(independent(0.7, 0.25), 100, seed=1)
    assert 0.18 < np.mean([result.effect for result in found]) < 0.28
    assert called(found) >= 0.6


def test_fewer_repeats_are_conservative():
    """STATISTICS.md: .004 of 1,000 sets at three repeats."""
    assert called(results(independent(0.5, 0.5), 150, repeats=3, seed=2)) <= 0.04


def test_a_gap_as_wide_as_the_margin_is_not_called_equivalent():
    """TOST errs at its nominal 0.05 at most; 120 sets of 600 cases, Monte-Carlo error 0.02."""
    found = results(noisier(0.77), 120, n=600, seed=2)
    assert np.mean([result.effect for result in found]) == pytest.approx(0.05, abs=0.004)
    assert np.mean([result.p_equivalence <= 0.05 for result in found]) <= 0.11
    alike = results(noisier(0.0), 3, n=600, seed=3)
    assert all(result.p_equivalence == 0 for result in alike)


def test_nearly_equal_models_are_called_equivalent():
    found = results(noisier(0.25), 30, n=600, seed=4)
    assert np.mean([result.p_equivalence <= 0.05 for result in found]) > 0.9


@pytest.mark.slow
def test_false_positives_with_more_sets():
    """Monte-Carlo error 0.006; n = 60 and 200 too."""
    for n, seed in ((60, 10), (100, 11), (200, 12)):
        assert 0.03 <= called(results(independent(0.5, 0.5), 1500, n=n, seed=seed)) <= 0.10
