"""Cox's model held to R's survival, on the values of statistics_fixtures."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from radpipe.errors import CohortError
from radpipe.models.survival import Baseline, baseline, fit_cox, partial_likelihood, risk_sets


@pytest.fixture(scope="module")
def survival(shared_data):
    folder = shared_data / "statistics_fixtures"
    frame = pd.read_csv(folder / "survival.csv")
    x = frame[["x1", "x2"]].to_numpy(float)
    return x, frame["time"].to_numpy(float), frame["event"].to_numpy(int), json.loads((folder / "expected.json").read_text())


def test_coefficients_errors_and_likelihood_are_those_of_r(survival):
    x, time, event, expected = survival
    efron = fit_cox(x, time, event == 1)
    np.testing.assert_allclose(efron, expected["cox_efron_coef"], rtol=1e-7)
    np.testing.assert_allclose(fit_cox(x, time, event == 1, ties="breslow"), expected["cox_breslow_coef"], rtol=1e-7)
    value, gradient, information = partial_likelihood(x, efron, risk_sets(time, event == 1))
    assert value == pytest.approx(expected["cox_loglik"][0], rel=1e-9)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)
    np.testing.assert_allclose(np.sqrt(np.diag(np.linalg.inv(information))), expected["cox_efron_se"], rtol=1e-6)


def test_risks_by_a_time_have_the_brier_score_of_rs(survival):
    """riskRegression's Score of this model, weighted by the Kaplan-Meier curve of the censoring."""
    x, time, event, expected = survival
    beta = fit_cox(x, time, event == 1)
    found = []
    for horizon in (30, 60, 120):
        risk = baseline(x @ beta, time, event).risk(x @ beta, horizon)
        free = kaplan_meier(time, event == 0)
        weight = np.where(
            (time <= horizon) & (event == 1), 1 / free(time, before=True), np.where(time > horizon, 1 / free(horizon), 0)
        )
        found.append(np.mean(weight * ((time <= horizon) - risk) ** 2))
    np.testing.assert_allclose(found, expected["td_brier_30_60_120"], rtol=3e-4)


def kaplan_meier(time, event):
    moments = np.unique(time[event])
    at_risk = np.array([np.sum((time > moment) | (event & (time == moment))) for moment in moments])  # ties: events come first
    events = np.array([np.sum(event & (time == moment)) for moment in moments])
    curve = np.cumprod(1 - events / at_risk)

    def at(when, before=False):
        place = np.searchsorted(moments, when, side="left" if before else "right")
        return np.append(1.0, curve)[place]

    return at


def test_without_inputs_the_risk_is_that_of_kaplan_meiers_neighbour(survival):
    """exp(-Nelson-Aalen) lies above Kaplan-Meier's curve by second order in 1/n only."""
    _, time, event, expected = survival
    survivors = [1 - baseline(np.zeros(len(time)), time, event).risk(np.zeros(1), t)[0] for t in (30, 60, 120)]
    np.testing.assert_allclose(survivors, expected["km_30_60_120"], atol=5e-3)
    assert all(np.array(survivors) >= np.array(expected["km_30_60_120"]))


def test_derivatives_are_those_of_differences():
    rng = np.random.default_rng(0)
    x, time, event = rng.normal(size=(30, 3)), rng.integers(1, 9, 30).astype(float), rng.random(30) < 0.6
    sets, beta, h = risk_sets(time, event), rng.normal(size=3), 1e-6
    for ties in ("efron", "breslow"):
        _, gradient, information = partial_likelihood(x, beta, sets, ties)
        for k in range(3):
            up, down = beta + h * np.eye(3)[k], beta - h * np.eye(3)[k]
            a, b = partial_likelihood(x, up, sets, ties), partial_likelihood(x, down, sets, ties)
            assert (a[0] - b[0]) / (2 * h) == pytest.approx(gradient[k], rel=1e-5, abs=1e-6)
            np.testing.assert_allclose(-(a[1] - b[1]) / (2 * h), information[k], rtol=1e-5, atol=1e-6)


def test_a_hand_worked_partial_likelihood():
    """Three cases, events at 1 and 2: at 1 all three are at risk, at 2 the last two."""
    x, beta = np.array([[1.0], [0.0], [2.0]]), np.array([0.5])
    sets = risk_sets(np.array([1.0, 2.0, 3.0]), np.array([True, True, False]))
    by_hand = 0.5 - np.log(np.exp(0.5) + 1 + np.exp(1)) + 0 - np.log(1 + np.exp(1))
    assert partial_likelihood(x, beta, sets)[0] == pytest.approx(by_hand, rel=1e-12)


def test_more_columns_than_rows_have_the_ridge_solution_of_the_plain_way():
    rng = np.random.default_rng(1)
    x, time, event = rng.normal(size=(12, 30)), rng.exponential(size=12), rng.random(12) < 0.8
    beta = fit_cox(x, time, event, penalty=2.0)
    _, gradient, _ = partial_likelihood(x, beta, risk_sets(time, event))
    np.testing.assert_allclose(gradient - 2.0 * beta, 0, atol=1e-7)


def test_what_has_no_maximum_is_named():
    x, time = np.arange(6.0)[:, None], 6 - np.arange(6.0)
    with pytest.raises(CohortError, match="penalty above 0"):
        fit_cox(x, time, np.ones(6, bool))
    assert np.isfinite(fit_cox(x, time, np.ones(6, bool), penalty=1.0)).all()
    with pytest.raises(CohortError, match="no case has the event"):
        fit_cox(x, time, np.zeros(6, bool))


def test_competing_events_take_their_share():
    """Half of the hazard is the other event's: of those who have any, half have this one (constant hazards, Kalbfleisch 8.2)."""
    steps = np.linspace(0.001, 5, 5000)
    hazard = np.full(5000, 0.001)
    risk = Baseline(steps, hazard, hazard).risk(np.zeros(1), 5.0)[0]
    assert risk == pytest.approx(0.5 * (1 - np.exp(-10.0)), rel=1e-6)
    alone = Baseline(steps, hazard, 0 * hazard).risk(np.log([2.0]), 5.0)[0]
    assert alone == pytest.approx(1 - np.exp(-10.0), rel=1e-9)


def test_a_risk_that_is_nearly_sure_does_not_round_past_one():
    """Met on Carvalho2018: 1.0000000000000002, which is no probability."""
    rng = np.random.default_rng(0)
    base = Baseline(np.arange(1.0, 101.0), rng.uniform(0.001, 0.1, 100), np.zeros(100))
    risk = base.risk(np.linspace(-5, 20, 2000), 100.0)
    assert risk.max() == 1.0 and risk.min() >= 0.0 and (np.diff(risk) >= -1e-12).all()
