"""Metrics against scikit-learn and R (pROC, rms), and their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_auc_score

from radpipe.evaluation import formulas

scored = st.integers(2, 40).flatmap(
    lambda n: st.tuples(arrays(np.int64, n, elements=st.integers(0, 1)), arrays(float, n, elements=st.integers(0, 5).map(float)))
)


@pytest.mark.parametrize(("column", "at"), [("A", 0), ("B", 1), ("C", 2)])
def test_auc_is_pROCs(column, at, binary, expected):
    assert formulas.auc(binary["y"].to_numpy(), binary[column].to_numpy(float)) == pytest.approx(
        expected["auc_A_B_C"][at], rel=1e-12
    )


def test_brier_is_rms_val_prob(binary, expected):
    brier = formulas.brier(binary["y"].to_numpy(), binary["pA"].to_numpy())
    assert brier == pytest.approx(expected["valprob_pA_C_Brier_Intercept_Slope_Emax_Eavg"][1], rel=1e-9)


@given(scored)
def test_auc_and_average_precision_are_sklearns(case):
    y, p = case
    if len(np.unique(y)) < 2:
        assert np.isnan(formulas.auc(y, p))
        assert np.isnan(formulas.average_precision(y, p))
    else:
        assert formulas.auc(y, p) == pytest.approx(roc_auc_score(y, p), abs=1e-12)
        assert formulas.average_precision(y, p) == pytest.approx(average_precision_score(y, p), abs=1e-12)
        assert formulas.auc(y, p) + formulas.auc(1 - y, p) == pytest.approx(1, abs=1e-12)


@given(scored)
def test_area_under_the_curve_is_the_auc(case):
    y, p = case
    if len(np.unique(y)) < 2:
        return
    at = np.linspace(0, 1, 20001)
    curve = formulas.roc_curve(y, p, at)
    assert np.trapezoid(curve, at) == pytest.approx(formulas.auc(y, p), abs=2e-3)
    assert np.all(np.diff(curve) >= 0) and curve[-1] == 1


def test_wilson_by_hand():
    # Newcombe 1998 (Stat Med 17:857), table I: 81/263 -> 0.2553 to 0.3662; 0/20 -> 0 to 0.1611
    assert formulas.wilson_interval(81 / 263, 263, 0.95) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert formulas.wilson_interval(0.0, 20, 0.95) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert formulas.wilson_interval(1.0, 20, 0.95)[0] == pytest.approx(1 - 0.1611, abs=5e-5)
    assert np.isnan(formulas.wilson_interval(0.5, 0, 0.95)).all()
