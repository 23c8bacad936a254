"""Calibration against rms::val.prob, R's glm and scikit-learn, and where it does not exist."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from radpipe.evaluation import calibration


def one(y, x):
    intercept, slope = calibration.logistic_fits(np.asarray(y), np.asarray(x, float), np.ones((1, len(y))))
    return float(intercept[0]), float(slope[0])


def test_is_rms_val_prob(binary, expected):
    y, x = binary["y"].to_numpy(), calibration.logit(binary["pA"].to_numpy())
    _, _, intercept, slope, _, _ = expected["valprob_pA_C_Brier_Intercept_Slope_Emax_Eavg"]
    assert one(y, x) == pytest.approx((intercept, slope), rel=1e-6)
    citl = calibration.in_the_large(y, x, np.ones((1, len(y))))[0]
    assert citl == pytest.approx(expected["citl_pA"][0], rel=1e-6)


def test_distorted_logits_are_found_exactly():
    """Probabilities that are right, then logit * 1.7 + 0.4: slope 1 / 1.7, intercept -0.4 / 1.7 (STATISTICS.md)."""
    right = np.repeat([0.2, 0.5, 0.8], 10)
    y = np.concatenate([[1] * 2 + [0] * 8, [1] * 5 + [0] * 5, [1] * 8 + [0] * 2])
    distorted = expit(calibration.logit(right) * 1.7 + 0.4)
    assert one(y, calibration.logit(distorted)) == pytest.approx((-0.4 / 1.7, 1 / 1.7), abs=1e-9)


def test_weights_are_repetitions():
    rng = np.random.default_rng(1)
    x = rng.normal(size=60)
    y = (rng.random(60) < expit(0.5 * x - 0.2)).astype(int)
    weights = rng.integers(0, 4, size=(5, 60)).astype(float)
    intercepts, slopes = calibration.logistic_fits(y, x, weights)
    for row, intercept, slope in zip(weights.astype(int), intercepts, slopes, strict=True):
        model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(np.repeat(x, row)[:, None], np.repeat(y, row))
        assert slope == pytest.approx(model.coef_[0, 0], rel=1e-5)
        assert intercept == pytest.approx(model.intercept_[0], abs=1e-5)


@pytest.mark.parametrize(
    ("y", "x", "slope"),
    [
        ([0, 0, 1, 1], [1, 2, 3, 4], np.inf),
        ([1, 1, 0, 0], [1, 2, 3, 4], -np.inf),
        ([0, 0, 1, 1], [1, 2, 2, 4], np.inf),  # touching: the likelihood still rises for ever
        ([0, 1, 0, 1], [2, 2, 2, 2], np.nan),
        ([1, 1, 1, 1], [1, 2, 3, 4], np.nan),
    ],
)
def test_where_there_is_no_slope(y, x, slope):
    assert one(y, x)[1] == pytest.approx(slope, nan_ok=True)


def test_certain_probabilities_have_a_logit():
    assert np.isfinite(calibration.logit(np.array([0.0, 0.5, 1.0]))).all()
    assert calibration.logit(np.array([0.0]))[0] == pytest.approx(-calibration.logit(np.array([1.0]))[0])
    y, x = np.array([0, 1, 0, 1, 1, 0]), calibration.logit(np.array([0, 1, 1, 0, 1, 0.0]))
    assert np.isfinite(one(y, x)).all()


def test_nearly_separated_converges():
    """One case on the wrong side by 1e-6: a huge but finite slope, where a plain Newton step runs away."""
    x = np.array([-3, -2, -1, 1e-6, 0, 1, 2, 3.0])
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    a, b = one(y, x)
    gradient = y - expit(a + b * x)
    assert np.abs([gradient.sum(), (gradient * x).sum()]).max() < 1e-6


def test_groups_by_hand():
    p = np.array([0.1, 0.1, 0.1, 0.4, 0.6, 0.9])
    y = np.array([0, 0, 1, 0, 1, 1])
    groups = calibration.grouped_calibration(y, p, 3, 0.95)
    assert [(g.n, g.n_events) for g in groups] == [(3, 1), (1, 0), (2, 2)]  # equal probabilities stay together
    assert groups[2].mean_predicted == pytest.approx(0.75)
    assert sum(g.n for g in groups) == 6
    assert calibration.grouped_calibration(y, np.full(6, 0.3), 4, 0.95)[0].n == 6
