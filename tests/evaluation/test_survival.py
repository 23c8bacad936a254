"""Time to event against R (survival 3.5.3, riskRegression 2022.11.28), lifelines 0.30.3 and scikit-survival 0.28.0."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.errors import CohortError
from radpipe.evaluation import survival
from radpipe.evaluation.cox import fit_cox


@pytest.fixture(scope="module")
def data(reference):
    return pd.read_csv(reference / "survival.csv")


@pytest.fixture(scope="module")
def competing(data):
    """Every third row's event is another event (70 of the event meant, 32 of the other, 48 censored)."""
    code = data["event"].to_numpy().copy()
    code[(np.arange(len(code)) % 3 == 0) & (code == 1)] = 2
    return data["time"].to_numpy(float), code


def columns(data):
    return data["time"].to_numpy(float), data["event"].to_numpy(), data[["x1", "x2"]].to_numpy(float)


def test_cox_is_coxph(data, expected):
    time, event, x = columns(data)
    fit = fit_cox(time, event, x)
    assert fit.coefficients == pytest.approx(expected["cox_efron_coef"], rel=1e-9)
    assert fit.standard_errors == pytest.approx(expected["cox_efron_se"], rel=1e-9)
    assert fit.log_likelihood == pytest.approx(expected["cox_loglik"][0], rel=1e-12)
    assert fit_cox(time, event, x, ties="breslow").coefficients == pytest.approx(expected["cox_breslow_coef"], rel=1e-9)
    # another unit, another coefficient, the same test
    assert fit_cox(time, event, x * [1000, 1] + [5, 0]).p_values == pytest.approx(fit.p_values, rel=1e-8)


def test_cause_specific_hazard_censors_the_other_event(competing, data):
    time, code = competing
    x = data[["x1", "x2"]].to_numpy(float)
    assert fit_cox(time, code, x).coefficients == pytest.approx(fit_cox(time, (code == 1).astype(int), x).coefficients)
    assert fit_cox(time, code, x, cause=2).n_events == 32


def test_concordance_is_Rs(data, expected):
    time, event, x = columns(data)
    line = x @ np.array(expected["cox_efron_coef"])
    c, error = expected["cox_cindex_se"]
    assert survival.harrell_c(time, event, line) == pytest.approx(c, rel=1e-12)
    assert survival.harrell_c_error(time, event, line) == pytest.approx(error, rel=1e-12)
    assert survival.harrell_c(time, event, x[:, 0]) == pytest.approx(expected["harrellC_x1"][0], rel=1e-12)
    assert survival.uno_c(time, event, x[:, 0]) == pytest.approx(expected["unoC_x1"][0], rel=1e-12)


def test_auc_and_brier_at_times_are_riskRegressions(data, expected):
    time, event, x = columns(data)
    line = x @ np.array(expected["cox_efron_coef"])
    risk = np.exp(line)
    for k, at in enumerate((30, 60, 120)):
        assert survival.auc_at(time, event, line, at) == pytest.approx(expected["td_auc_30_60_120"][k], rel=1e-12)
        hazard = 0.0  # of Efron, as predict(coxph) has it
        for moment in np.unique(time[(event == 1) & (time <= at)]):
            died = (time == moment) & (event == 1)
            at_risk, own = risk[time >= moment].sum(), risk[died].sum()
            hazard += sum(1 / (at_risk - j / died.sum() * own) for j in range(died.sum()))
        predicted = 1 - np.exp(-hazard * risk)
        assert survival.brier_at(time, event, predicted, at) == pytest.approx(expected["td_brier_30_60_120"][k], rel=1e-12)


def test_curve_and_log_rank_are_survfits_and_survdiffs(data, expected):
    time, event, x = columns(data)
    curve = survival.kaplan_meier(time, event)
    assert curve.at([30, 60, 120]) == pytest.approx(expected["km_30_60_120"], rel=1e-12)
    test = survival.log_rank(time, event, x[:, 1].astype(int))
    assert [test.chi_square, test.p_value] == pytest.approx(expected["logrank_chisq_p"], rel=1e-9)
    # lifelines 0.30.3: log-log interval, median, three groups
    wanted = [
        (0.561288428361609, 0.7151117016325933),
        (0.3681547675680731, 0.5357014055888907),
        (0.15953879678255375, 0.3228900003179944),
    ]
    for at, ends in zip((30, 60, 120), wanted, strict=True):
        assert curve.interval_at(at) == pytest.approx(ends, rel=1e-9)
    assert curve.median == 53
    three = survival.log_rank(time, event, pd.factorize(data["site"])[0])
    assert (three.chi_square, three.p_value) == pytest.approx((0.32346093327535497, 0.8506704577118517), rel=1e-9)


def test_cumulative_incidence_is_scikit_survivals(competing):
    """scikit-survival 0.28.0, cumulative_incidence_competing_risks(conf_type="log-log", var_type="Dinse_Approx")."""
    curve = survival.aalen_johansen(*competing)
    assert curve.at([30, 60, 120]) == pytest.approx([0.24865143067264162, 0.3995373701555187, 0.5329858092781513], rel=1e-12)
    wanted = [
        (0.18243344198834852, 0.32033143480331466), (0.3169752111266968, 0.4806562233216131), (0.437313233673324, 0.6195633736917384),
    ]  # fmt: skip
    for at, ends in zip((30, 60, 120), wanted, strict=True):
        assert curve.interval_at(at) == pytest.approx(ends, rel=1e-9)
    # the two incidences and who is free of both are everybody; calling competing events censored tells too much
    free = survival.kaplan_meier(*competing).at([30, 60, 120])
    other = survival.aalen_johansen(*competing, cause=2).at([30, 60, 120])
    assert curve.at([30, 60, 120]) + other + free == pytest.approx(np.ones(3), rel=1e-12)
    time, code = competing
    assert np.all(1 - survival.kaplan_meier(time, (code == 1).astype(int)).at([30, 60, 120]) > curve.at([30, 60, 120]))


def test_without_censoring_everything_is_its_plain_self():
    rng = np.random.default_rng(0)
    time, score = rng.exponential(size=60), rng.normal(size=60)
    event = np.ones(60, int)
    assert survival.kaplan_meier(time, event).at(1.0)[0] == pytest.approx(np.mean(time > 1))
    assert survival.kaplan_meier(time, event).variance[29] == pytest.approx(0.5 * 0.5 / 60)  # Greenwood is the binomial
    assert survival.uno_c(time, event, score) == pytest.approx(survival.harrell_c(time, event, score))
    from sklearn.metrics import brier_score_loss, roc_auc_score

    dead = (time <= 1).astype(int)
    p = 1 / (1 + np.exp(-score))
    assert survival.auc_at(time, event, score, 1.0) == pytest.approx(roc_auc_score(dead, score))
    assert survival.brier_at(time, event, p, 1.0) == pytest.approx(brier_score_loss(dead, p))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2), st.integers(-3, 3)), min_size=3, max_size=15))
def test_concordance_is_its_definition(rows):
    time, code, score = (np.array(column) for column in zip(*rows, strict=True))
    pairs = right = 0.0
    for t, e, s in rows:
        for u, f, r in rows:
            if e == 1 and ((u > t or f == 2) or (u == t and f == 0)):
                pairs, right = pairs + 1, right + (s > r) + 0.5 * (s == r)
    found = survival.harrell_c(time.astype(float), code, score.astype(float))
    assert np.isnan(found) if not pairs else found == pytest.approx(right / pairs)
    if pairs:
        assert survival.harrell_c(time.astype(float), code, -score.astype(float)) == pytest.approx(1 - right / pairs)


def test_what_is_undefined_or_refused(data):
    time, event, x = columns(data)
    curve = survival.kaplan_meier(time, event)
    assert np.isnan(curve.at(time.max() + 1)[0]) and curve.at(0.0)[0] == 1
    assert np.isnan(survival.harrell_c(time, np.zeros_like(event), x[:, 0]))
    assert np.isnan(survival.auc_at(time, event, x[:, 0], 0.0)) and np.isnan(survival.brier_at(time, event, x[:, 1], 1e6))
    assert np.isnan(survival.log_rank(time, event, np.zeros(len(time), int)).p_value)
    for bad, words in ((np.append(time[1:], -1.0), "times are 0 or more"), (np.append(time[1:], np.nan), "times are 0 or more")):
        with pytest.raises(CohortError, match=words):
            survival.check_times(bad, event)
    with pytest.raises(CohortError, match="nobody has the event"):
        survival.check_times(time, np.zeros_like(event))
    with pytest.raises(CohortError, match="nobody has the event"):
        fit_cox(time, np.zeros_like(event), x)
    with pytest.raises(CohortError, match="does not vary"):
        fit_cox(time, event, np.column_stack([x, x[:, 0] * 2]))
    apart = fit_cox(np.arange(10.0), np.array([1] * 5 + [0] * 5), np.repeat([1.0, 0.0], 5))
    assert not apart.converged and np.isnan(apart.standard_errors[0])


def test_intervals_of_curves_cover_what_they_should():
    """Nominal 0.95; 400 cohorts of 60: Monte-Carlo error 0.011."""
    rng = np.random.default_rng(4)
    inside = np.zeros(2)
    for _ in range(400):
        first, second, censored = rng.exponential(1 / 0.6, 60), rng.exponential(1 / 0.3, 60), rng.uniform(0.2, 3, 60)
        time = np.minimum(np.minimum(first, second), censored)
        code = np.where(time == first, 1, np.where(time == second, 2, 0))
        low, high = survival.kaplan_meier(time, code).interval_at(1.0)
        inside[0] += low <= np.exp(-0.9) <= high
        low, high = survival.aalen_johansen(time, code).interval_at(1.0)
        inside[1] += low <= 0.6 / 0.9 * (1 - np.exp(-0.9)) <= high
    assert np.all(inside / 400 > 0.92) and np.all(inside / 400 < 0.985)
