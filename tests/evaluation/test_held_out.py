"""Metrics of one held-out set: against R, and what their intervals hold. And the gap that such a set finds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from radpipe.core.tables import FITS, make_table
from radpipe.errors import CohortError
from radpipe.evaluation.config import EvaluationSettings
from radpipe.evaluation.delong import delong_covariance
from radpipe.evaluation.held_out import evaluate_held_out
from radpipe.evaluation.sample_size import held_out_gap

SETTINGS = EvaluationSettings(bootstrap_resamples=200)


def held_out(y, p, **more) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One model's predictions, and the fit they came from."""
    table = pd.DataFrame({"case_id": [f"c{i:03d}" for i in range(len(y))], "y_true": np.asarray(y, np.int64), "p_1": p, **more})
    table = table.assign(p_0=1 - table["p_1"], repeat=0, fold=0, seed=0, model="m", role="test")
    fit = {c.name: 0 if c.dtype == "int64" else 0.5 if c.dtype == "float64" else "" for c in FITS.columns}
    return table, make_table(FITS, [{**fit, "model": "m", "n_train": 50}])


def of(metrics: pd.DataFrame, name: str) -> pd.Series:
    (row,) = metrics[(metrics["metric"] == name) & (metrics["repeat"] == -1) & (metrics["role"] == "test")].to_dict("records")
    return pd.Series(row)


def test_auc_is_pROCs_with_delongs_interval(binary, expected):
    metrics = evaluate_held_out(*held_out(binary["y"], binary["pA"]), SETTINGS)
    row, (low, auc, high) = of(metrics, "auc"), expected["ci_delong_A"]
    assert row["value"] == pytest.approx(auc, abs=1e-9)
    half = (high - low) / 2 / (auc * (1 - auc))  # pROC's plain interval, carried to the logit scale
    centre = np.log(auc / (1 - auc))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx([1 / (1 + np.exp(-(centre + s * half))) for s in (-1, 1)], abs=1e-6)
    assert "DeLong" in row["method"] and "held-out" in row["method"]
    precision = of(metrics, "average_precision")
    assert precision["value"] == pytest.approx(average_precision_score(binary["y"], binary["pA"]), abs=1e-12)
    assert precision["ci_low"] < precision["value"] < precision["ci_high"] and "whole patients" in precision["method"]
    calls = of(metrics, "sensitivity")
    assert calls["value"] == pytest.approx(np.mean(binary["pA"][binary["y"] == 1] >= 0.5))


def test_several_cases_a_patient_make_the_interval_no_narrower(binary):
    """Every case twice as two lesions of one patient: the interval of each case once, not narrower by the root of two."""
    widths = {}
    for copies, name in ((1, "once"), (2, "twice")):
        table, fits = held_out(np.repeat(binary["y"], copies), np.repeat(binary["pA"].to_numpy(), copies))
        patients = {case: f"p{k // copies}" for k, case in enumerate(table["case_id"])}
        row = of(evaluate_held_out(table, fits, SETTINGS, patients=patients), "auc")
        widths[name] = row["ci_high"] - row["ci_low"]
        assert ("bootstrap" in row["method"]) == (copies == 2)
    assert widths["twice"] == pytest.approx(widths["once"], rel=0.12)


def test_of_times_to_an_event(binary):
    rng = np.random.default_rng(1)
    n = 80
    signal = rng.normal(size=n)
    event = rng.random(n) < 0.7
    table, fits = held_out(event, 1 / (1 + np.exp(-signal)), time=rng.exponential(np.exp(-signal)).round(3), score=signal)
    row = of(evaluate_held_out(table, fits, SETTINGS, horizon=1.0), "harrell_c")
    assert 0.5 < row["ci_low"] < row["value"] < row["ci_high"] < 1


@pytest.mark.slow
def test_bootstrap_interval_covers():
    """Average precision of 60 cases: nominal 0.95; 60 sets, Monte-Carlo error 0.03. The truth by 200,000 cases."""
    rng = np.random.default_rng(0)

    def draw(n):
        y = (np.arange(n) % 5 < 2).astype(int)
        return y, stats.norm.cdf(rng.normal(size=n) + y - 0.5)

    truth = average_precision_score(*draw(200_000))
    rows = [of(evaluate_held_out(*held_out(*draw(60)), SETTINGS), "average_precision") for _ in range(60)]
    assert np.mean([row["ci_low"] <= truth <= row["ci_high"] for row in rows]) > 0.86


def test_folds_are_no_held_out_set(binary):
    table, fits = held_out(binary["y"], binary["pA"])
    with pytest.raises(CohortError, match="2 folds"):
        evaluate_held_out(table.assign(fold=np.arange(len(table)) % 2), fits, SETTINGS)


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_the_gap_is_found_in_80_percent(correlation):
    """DeLong's test on binormal scores whose AUCs lie that far apart, 600 sets: Monte-Carlo error 0.016."""
    gap = held_out_gap(60, 90, auc=0.75, correlation=correlation)
    aucs = (0.75 + gap / 2, 0.75 - gap / 2)
    shifts = np.sqrt(2) * stats.norm.ppf(aucs)
    rng = np.random.default_rng(4)
    y = np.repeat([1, 0], [60, 90])
    # The correlation of two AUCs' errors is a little below that of the scores (Hanley and McNeil 1983, table 1).
    found = 0
    for _ in range(600):
        noise = rng.multivariate_normal([0, 0], [[1, correlation * 1.06], [correlation * 1.06, 1]], size=150).T
        value, covariance = delong_covariance(y, noise + shifts[:, None] * y)
        error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
        found += abs(value[0] - value[1]) / error > stats.norm.ppf(0.975)
    assert 0.72 < found / 600 < 0.88
    assert held_out_gap(0, 90) == np.inf and held_out_gap(600, 900) < held_out_gap(60, 90)
