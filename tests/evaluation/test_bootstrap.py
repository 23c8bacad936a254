"""The BCa interval against R's boot and scipy, and whole patients."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from radpipe.evaluation.bootstrap import bca_interval

# Populations of ten cities, 1920 and 1930 (Davison and Hinkley 1997, table 2.1; R's boot::city).
U = np.array([138, 93, 61, 179, 48, 37, 29, 23, 30, 2.0])
X = np.array([143, 104, 69, 260, 75, 63, 50, 48, 111, 50.0])


def ratio(weights):
    return (weights @ X) / (weights @ U)


def test_is_boot_city():
    """R boot, BCa, R = 9999: 1.2571 to 2.1684 (Monte-Carlo tolerance)."""
    assert ratio(np.ones((1, 10)))[0] == pytest.approx(1.5203125)
    ends = bca_interval(ratio, np.arange(10).astype(str), 9999, 0.95, np.random.default_rng(1))
    assert ends == pytest.approx((1.2571, 2.1684), abs=0.08)


def test_is_scipys():
    values = np.random.default_rng(3).exponential(size=40)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(4))
    ours = bca_interval(lambda w: (w @ values) / w.sum(1), np.arange(40).astype(str), 20_000, 0.95, np.random.default_rng(5))
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.03)


def test_patients_stay_whole():
    """Every patient twice: the interval is that of the patients, not of twice as many."""
    values = np.random.default_rng(6).normal(size=30)
    who = np.arange(30).astype(str)
    once = bca_interval(lambda w: (w @ values) / w.sum(1), who, 4000, 0.95, np.random.default_rng(7))
    doubled = np.repeat(values, 2)
    twice = bca_interval(lambda w: (w @ doubled) / w.sum(1), np.repeat(who, 2), 4000, 0.95, np.random.default_rng(7))
    assert twice == pytest.approx(once)


def test_what_has_no_interval():
    who = np.arange(10).astype(str)
    rng = np.random.default_rng(8)
    assert np.isnan(bca_interval(lambda w: np.ones(len(w)), who[:1], 500, 0.95, rng)).all()
    assert np.isnan(bca_interval(lambda w: np.where(w[:, 0] > 0, 1.0, np.nan), who, 500, 0.95, rng)).all()


def test_infinite_resamples_make_an_infinite_end():
    low, high = bca_interval(
        lambda w: np.where(w[:, 0] > 1, np.inf, (w @ np.arange(10.0)) / w.sum(1)), np.arange(10).astype(str), 2000, 0.95,
        np.random.default_rng(9),
    )  # fmt: skip
    assert np.isfinite(low) and high == np.inf
