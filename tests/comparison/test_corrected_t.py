"""The corrected resampled t-test against its reference numbers, and the two one-sided tests against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.corrected_t import paired_t

SETTINGS = ComparisonSettings()
A = np.array([0.81, 0.78, 0.84, 0.79, 0.80, 0.83, 0.77, 0.82, 0.80, 0.79])
B = np.array([0.78, 0.77, 0.80, 0.79, 0.76, 0.80, 0.77, 0.78, 0.79, 0.75])


def test_reference_numbers():
    """STATISTICS.md: ten differences, ratio 1/9, 9 degrees of freedom."""
    result = paired_t(A - B, 1 / 9, 10, SETTINGS, "")
    assert result.df == 9
    assert result.statistic == pytest.approx(3.04982547151, rel=1e-11)
    assert result.p_value == pytest.approx(0.0137967992414, rel=1e-10)
    # without the correction it is the plain paired t
    plain = paired_t(A - B, 0.0, 10, SETTINGS, "")
    assert plain.p_value == pytest.approx(0.00164407439782, rel=1e-10)
    assert plain.p_value == pytest.approx(stats.ttest_rel(A, B).pvalue, rel=1e-9)


def test_equivalence_is_two_one_sided_tests():
    d = A - B - 0.01
    plain = paired_t(d, 0.0, 10, SETTINGS, "")
    upper = stats.ttest_1samp(d, 0.05, alternative="less").pvalue
    lower = stats.ttest_1samp(d, -0.05, alternative="greater").pvalue
    assert plain.p_equivalence == pytest.approx(max(upper, lower), rel=1e-9)


def test_interval_and_test_say_the_same():
    interval = stats.ttest_1samp(A - B, 0).confidence_interval(0.95)
    result = paired_t(A - B, 0.0, 10, SETTINGS, "")
    assert (result.ci_low, result.ci_high) == pytest.approx((interval.low, interval.high), rel=1e-9)


@pytest.mark.parametrize(
    ("repeats", "df", "word"), [(2, 1, "conservative"), (3, 2, "conservative"), (10, 9, "df 9"), (30, 9, "kept at")]
)
def test_degrees_of_freedom_and_what_is_said(repeats, df, word):
    result = paired_t(
        np.tile(A - B, 3)[: 5 * repeats] if repeats < 7 else np.tile(A - B, repeats // 2), 0.25, repeats, SETTINGS, ""
    )
    assert result.df == df
    assert word in result.method


def test_one_repeat_is_no_test():
    result = paired_t((A - B)[:5], 0.25, 1, SETTINGS, "")
    assert np.isnan([result.statistic, result.p_value, result.ci_low, result.p_equivalence]).all()
    assert result.effect == pytest.approx(np.mean((A - B)[:5]))
    assert "one repeat" in result.method and result.method.startswith("no test")


def test_without_variance():
    same = paired_t(np.zeros(10), 0.25, 2, SETTINGS, "")
    assert (same.p_value, same.effect, same.p_equivalence) == (1.0, 0.0, 0.0)
    constant = paired_t(np.full(10, 0.3), 0.25, 2, SETTINGS, "")
    assert np.isnan(constant.p_value) and "same in every fold" in constant.method


@given(arrays(float, 15, elements=st.floats(-1, 1)))
def test_swapping_sides_flips_signs_only(d):
    one, other = paired_t(d, 0.25, 3, SETTINGS, "w"), paired_t(-d, 0.25, 3, SETTINGS, "w")
    assert np.array_equal([one.statistic, one.effect], [-other.statistic, -other.effect], equal_nan=True)
    assert np.array_equal([one.ci_low, one.ci_high], [-other.ci_high, -other.ci_low], equal_nan=True)
    assert np.array_equal(
        [one.p_value, one.p_equivalence, one.df], [other.p_value, other.p_equivalence, other.df], equal_nan=True
    )
    assert one.method == other.method
