"""DeLong against pROC, and against the definition by pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.delong import TEST, delong, delong_covariance
from radpipe.comparison.test import PairedFold

SETTINGS = ComparisonSettings()


def slowly(y, scores):
    """Structural components by comparing every pair (DeLong 1988)."""
    events, others = scores[:, y == 1], scores[:, y == 0]
    psi = (events[:, :, None] > others[:, None, :]) + 0.5 * (events[:, :, None] == others[:, None, :])
    above, below = psi.mean(axis=2), psi.mean(axis=1)
    return psi.mean(axis=(1, 2)), np.cov(above) / events.shape[1] + np.cov(below) / others.shape[1]


def run(y, a, b):
    cases = np.array([f"c{i:03d}" for i in range(len(y))])
    fold = PairedFold(0, 0, cases, np.asarray(y), np.asarray(a, float), np.asarray(b, float), 80)
    return delong((fold,), SETTINGS)


def test_is_pROCs(binary, expected):
    y = binary["y"].to_numpy()
    aucs, covariance = delong_covariance(y, binary[["A", "B", "C"]].to_numpy(float).T)
    assert aucs == pytest.approx(expected["auc_A_B_C"], rel=1e-12)
    assert np.diag(covariance) == pytest.approx(expected["delong_var_A_B_C"], rel=1e-12)
    assert covariance[0, 1] == pytest.approx(expected["delong_cov_AB"][0], rel=1e-12)
    half = norm.ppf(0.975) * np.sqrt(covariance[0, 0])
    assert [aucs[0] - half, aucs[0], aucs[0] + half] == pytest.approx(expected["ci_delong_A"], rel=1e-12)
    ab = run(y, binary["A"], binary["B"])
    assert [ab.statistic, ab.p_value, ab.ci_low, ab.ci_high] == pytest.approx(expected["delong_AB_Z_p_lo_hi"], rel=1e-9)
    ac = run(y, binary["A"], binary["C"])
    assert [ac.statistic, ac.p_value] == pytest.approx(expected["delong_AC_Z_p"], rel=1e-9)


@settings(max_examples=50)
@given(arrays(float, (2, 12), elements=st.integers(0, 4).map(float)), st.integers(2, 10))
def test_is_the_definition(scores, n_events):
    y = (np.arange(12) < n_events).astype(int)
    aucs, covariance = delong_covariance(y, scores)
    slow_aucs, slow_covariance = slowly(y, scores)
    assert aucs == pytest.approx(slow_aucs, abs=1e-12)
    assert covariance == pytest.approx(slow_covariance, abs=1e-12)


def test_identical_and_impossible():
    y = np.array([0, 0, 1, 1, 1, 0])
    p = np.array([0.1, 0.4, 0.3, 0.8, 0.9, 0.2])
    same = run(y, p, p)
    assert (same.statistic, same.p_value, same.effect) == (0.0, 1.0, 0.0)
    assert np.isnan(run(np.array([0, 0, 0, 0, 0, 1]), p, p[::-1]).p_value)
    perfect = run(y, y.astype(float), 1.0 - y)
    assert np.isnan(perfect.p_value) and "no variance" in perfect.method
    assert TEST.conditional and "conditional on these scores" in same.method
