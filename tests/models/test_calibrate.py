"""Recalibration and threshold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score, roc_curve

from radpipe.models.calibrate import SLOPE_BOUNDS, Calibration, calibrate, recalibration, youden
from radpipe.models.config import CalibrationSettings

FREE = CalibrationSettings(intercept_sd=1e4, slope_sd=1e4)


def test_undoes_a_known_distortion():
    """logit 1.7 z + 0.4 has slope 1/1.7 and intercept -0.4/1.7, exactly, where the outcomes are the true probabilities."""
    z = np.random.default_rng(1).normal(size=500)
    intercept, slope = recalibration(expit(1.7 * z + 0.4), expit(z), FREE)
    assert (intercept, slope) == pytest.approx((-0.4 / 1.7, 1 / 1.7), abs=1e-6)


def test_many_patients_outweigh_the_priors():
    rng = np.random.default_rng(2)
    z = rng.normal(size=20_000)
    y = (rng.random(z.size) < expit(z)).astype(float)
    intercept, slope = recalibration(expit(2 * z + 1), y, CalibrationSettings())
    assert (intercept, slope) == pytest.approx((-0.5, 0.5), abs=0.05)


@pytest.mark.parametrize("y", [[0, 0, 0, 1, 1], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
def test_a_handful_of_patients_cannot_make_it_run_away(y):
    """Perfect separation either way, and one class only: maximum likelihood has no answer here."""
    p = np.array([0.1, 0.2, 0.3, 0.7, 0.9])
    intercept, slope = recalibration(p, np.array(y, float), CalibrationSettings())
    assert abs(intercept) < 1.5 and SLOPE_BOUNDS[0] <= slope < 2
    after = Calibration(intercept, slope).apply(p)
    assert np.all(np.diff(after[:, 1]) > 0), "the ranking stays"
    np.testing.assert_allclose(after.sum(axis=1), 1, atol=1e-15)


def test_off_changes_nothing():
    p = np.array([0.0, 0.3, 1.0])
    off = calibrate(p, np.array([0, 0, 1]), p, np.array([0, 0, 1]), CalibrationSettings(recalibrate=False))
    assert (off.intercept, off.slope) == (0.0, 1.0)
    assert off.apply(p)[:, 1].tolist() == p.tolist()


def test_certain_scores_survive():
    assert np.isfinite(logit(Calibration(0.1, 0.9).apply(np.array([0.0, 1.0])))).all()


def test_youden_against_the_roc_curve():
    rng = np.random.default_rng(4)
    for _ in range(20):
        y = rng.permutation(np.arange(30) % 3 == 0)
        p = np.round(rng.random(30) * 0.6 + 0.3 * y, 1)
        false_positive, true_positive, _ = roc_curve(y, p)
        called = p >= youden(p, y)
        best = (true_positive - false_positive).max()
        if best > 0:
            assert called[y].mean() - called[~y].mean() == pytest.approx(best)
        assert roc_auc_score(y, p) >= 0  # the draw has both classes


def test_youden_worked_by_hand():
    """Between 0.4 and 0.6 both are told apart; of the equally good cuts 0.25 and 0.65 (J = 1/2) the lower of the middle."""
    assert youden(np.array([0.2, 0.4, 0.6, 0.9]), np.array([0, 0, 1, 1])) == pytest.approx(0.5)
    assert youden(np.array([0.1, 0.4, 0.5, 0.8]), np.array([0, 1, 0, 1])) == pytest.approx(0.25)
    assert youden(np.array([0.3, 0.3]), np.array([0, 1])) == 0.5
    assert youden(np.array([0.2, 0.3]), np.array([1, 1])) == 0.5
