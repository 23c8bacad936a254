"""Every comparison test: the same model against itself gives p = 1 and never a better one; swapping sides flips the sign."""

from __future__ import annotations

import numpy as np
import pytest

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.registry import PRIMARY_TEST, TESTS
from radpipe.comparison.test import ComparisonTest, PairedFold
from radpipe.core.registry import lookup

SETTINGS = ComparisonSettings()


def folds(strength_a, strength_b, seed=0, repeats=3, same=False):
    rng = np.random.default_rng(seed)
    y = np.array([1] * 6 + [0] * 10)
    parts = []
    for repeat in range(repeats):
        for fold in range(5):
            cases = np.array([f"c{fold}_{i:02d}" for i in range(16)])
            a = 1 / (1 + np.exp(-(strength_a * (y - 0.5) + rng.normal(size=16))))
            b = a if same else 1 / (1 + np.exp(-(strength_b * (y - 0.5) + rng.normal(size=16))))
            parts.append(PairedFold(repeat, fold, cases, y, a, b, 64))
    return tuple(parts)


def swapped(parts):
    return tuple(PairedFold(f.repeat, f.fold, f.cases, f.y, f.b, f.a, f.n_learnt) for f in parts)


@pytest.fixture(params=TESTS)
def test(request) -> ComparisonTest:
    return lookup(TESTS, request.param, "test")


def test_knows_its_name(test):
    assert TESTS[test.name].startswith("radpipe.comparison.")
    assert test.meaning.endswith(".")


def test_a_model_against_itself(test):
    result = test.run(folds(1, 1, same=True), SETTINGS)
    assert result.p_value == 1.0 and result.effect == 0.0


def test_swapping_sides_flips_the_sign_and_nothing_else(test):
    one, other = test.run(folds(2, 0), SETTINGS), test.run(swapped(folds(2, 0)), SETTINGS)
    assert (one.effect, one.statistic, one.ci_low, one.ci_high) == (
        -other.effect,
        -other.statistic,
        -other.ci_high,
        -other.ci_low,
    )
    assert (one.p_value, one.p_equivalence, one.method) == (other.p_value, other.p_equivalence, other.method)
    assert one.effect > 0


def test_a_large_difference_has_a_small_p(test):
    assert test.run(folds(4, 0, repeats=10), SETTINGS).p_value < 0.01


def test_one_class_is_no_test_and_says_so(test):
    parts = tuple(PairedFold(f.repeat, f.fold, f.cases, np.zeros_like(f.y), f.a, f.b, f.n_learnt) for f in folds(1, 0))
    result = test.run(parts, SETTINGS)
    assert np.isnan(result.p_value) and "no test" in result.method


def test_only_the_primary_test_may_carry_a_verdict():
    carrying = [name for name in TESTS if not lookup(TESTS, name, "test").conditional]
    assert carrying == [PRIMARY_TEST]
