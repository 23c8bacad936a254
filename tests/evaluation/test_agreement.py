"""ICC(A,1) against psych (R) and Shrout and Fleiss 1979."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from radpipe.evaluation.agreement import icc_a1, icc_a1_of

# Shrout and Fleiss 1979, Psychological Bulletin 86:420, table 2: 6 targets, 4 judges.
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
columns = arrays(float, (8, 2), elements=st.integers(-50, 50).map(float))


def test_is_shrout_and_fleiss():
    icc, low, high = icc_a1_of(SHROUT_FLEISS)
    assert icc == pytest.approx(0.289763780, abs=1e-9)
    assert (low, high) == pytest.approx((0.0187865, 0.7610844), abs=1e-7)


def test_is_psychs(ratings, expected):
    icc, low, high = icc_a1_of(ratings)
    assert icc == pytest.approx(expected["icc_1_2_3_1k_2k_3k"][1], rel=1e-9)
    assert low == pytest.approx(expected["icc_lo"][1], rel=1e-6)
    assert high == pytest.approx(expected["icc_hi"][1], rel=1e-6)


@example(np.array([[0.0, 0.0]] * 7 + [[4.0, -5.0]]), 1.0, 0.0)  # the approximate interval ends above the estimate
@given(columns, st.sampled_from([1e-12, 1.0, 1e12]), st.floats(-10, 10))
def test_unit_and_order_do_not_matter(values, unit, shift):
    first = icc_a1(values[:, 0], values[:, 1])
    assert icc_a1(values[:, 1], values[:, 0]) == pytest.approx(first, nan_ok=True, abs=1e-9)
    assert icc_a1(unit * (values[:, 0] + shift), unit * (values[:, 1] + shift)) == pytest.approx(first, nan_ok=True, abs=1e-6)
    if np.isfinite(first[0]):
        assert first[0] <= 1 + 1e-12
        assert first[1] <= first[0] + 1e-9 and first[0] <= first[2] + 1e-9


def test_edges():
    x = np.arange(10.0)
    assert icc_a1(x, x) == (1.0, 1.0, 1.0)
    assert np.isnan(icc_a1(np.ones(10), np.ones(10))).all()
    assert np.isnan(icc_a1(x[:2], x[:2])).all()
    with_gap = np.where(x == 3, np.nan, x)
    assert icc_a1(with_gap, x + 1) == icc_a1(np.delete(x, 3), np.delete(x, 3) + 1)
    # A constant shift is disagreement, unlike for a correlation: s2 = 55/6 between cases and shift 5 between measurements.
    assert icc_a1(x, x + 5)[0] == pytest.approx((55 / 6) / (55 / 6 + 25 / 2), rel=1e-9)
