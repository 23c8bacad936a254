"""The metrics table: what is in it, what is undefined, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from radpipe.core.tables import FITS, METRICS, check_table, empty_table
from radpipe.errors import CohortError
from radpipe.evaluation.config import EvaluationSettings
from radpipe.evaluation.metrics import evaluate
from radpipe.evaluation.resampled import corrected_mean, degrees_of_freedom

SETTINGS = EvaluationSettings(bootstrap_resamples=300)


def noisy(y, repeats, seed=0, strength=0.5):
    rng = np.random.default_rng(seed)
    return 1 / (1 + np.exp(-(strength * (2 * y - 1) + rng.normal(size=(repeats, len(y))))))


def whole(table, metric, role="test"):
    row = table[(table["metric"] == metric) & (table["repeat"] == -1) & (table["role"] == role)]
    assert len(row) == 1
    return row.iloc[0]


@pytest.fixture(scope="module")
def y():
    return np.array([1] * 15 + [0] * 25)


@pytest.fixture(scope="module")
def table(y, make_run):
    return evaluate(*make_run(y, {"net": noisy(y, 3)}), SETTINGS)


def test_auc_is_the_mean_of_the_folds(table, y, make_run):
    predictions, _ = make_run(y, {"net": noisy(y, 3)})
    tested = predictions[predictions["role"] == "test"]
    by_hand = [roc_auc_score(part["y_true"], part["p_1"]) for _, part in tested.groupby(["repeat", "fold"])]
    row = whole(table, "auc")
    assert row["value"] == pytest.approx(np.mean(by_hand), abs=1e-12)
    # 8 of 40 tested, 32 learnt; 15 folds; df = 3 - 1
    half = stats.t.ppf(0.975, 2) * np.sqrt((1 / 15 + 8 / 32) * np.var(by_hand, ddof=1))
    assert row["ci_low"] == pytest.approx(max(0, np.mean(by_hand) - half))
    assert row["ci_high"] == pytest.approx(min(1, np.mean(by_hand) + half))
    assert "conservative" in row["method"] and "Nadeau" in row["method"]
    assert np.sum((table["metric"] == "auc") & (table["fold"] >= 0) & (table["role"] == "test")) == 15


def test_pooled_metrics_by_hand(table, y, make_run):
    predictions, _ = make_run(y, {"net": noisy(y, 3)})
    tested = predictions[predictions["role"] == "test"]
    assert whole(table, "brier")["value"] == pytest.approx(np.mean((tested["p_1"] - tested["y_true"]) ** 2), rel=1e-12)
    called = tested["p_1"] >= 0.5
    assert whole(table, "sensitivity")["value"] == pytest.approx(called[tested["y_true"] == 1].mean())
    assert whole(table, "specificity")["value"] == pytest.approx(1 - called[tested["y_true"] == 0].mean())
    assert whole(table, "prevalence")["value"] == 15 / 40
    assert whole(table, "brier_reference")["value"] == pytest.approx(15 / 40 * 25 / 40)
    for metric in ("brier", "calibration_slope", "calibration_intercept", "calibration_in_the_large", "sensitivity"):
        row = whole(table, metric)
        assert row["ci_low"] < row["value"] < row["ci_high"], metric
        assert "interval: " in row["method"]


def test_train_test_gap(table):
    gap, on_train, on_test = whole(table, "auc_train_test_gap"), whole(table, "auc", "train"), whole(table, "auc")
    assert gap["value"] == pytest.approx(on_train["value"] - on_test["value"], abs=1e-12)
    assert np.isnan(on_train["ci_low"]) and "no interval" in on_train["method"]


def test_is_a_table_and_repeats_itself(table, y, make_run):
    check_table(table, METRICS)
    predictions, fits = make_run(y, {"net": noisy(y, 3)})
    shuffled = predictions.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(table, evaluate(shuffled, fits, SETTINGS))


def test_one_repeat_has_no_auc_interval(y, make_run):
    row = whole(evaluate(*make_run(y, {"net": noisy(y, 1)}), SETTINGS), "auc")
    assert np.isfinite(row["value"]) and np.isnan(row["ci_low"]) and "one repeat" in row["method"]


def test_folds_with_one_class_are_left_out_and_said(make_run):
    y = np.array([1] * 3 + [0] * 27)  # 5 folds, 3 events
    table = evaluate(*make_run(y, {"net": noisy(y, 2)}), SETTINGS)
    row = whole(table, "auc")
    assert np.isfinite(row["value"]) and "4 more have one class only" in row["method"]
    single = table[(table["metric"] == "auc") & (table["fold"] >= 0) & table["value"].isna() & (table["role"] == "test")]
    assert len(single) == 4 and single["method"].str.contains("one class").all()


def test_leave_one_out_has_no_auc(make_run):
    y = np.array([1] * 6 + [0] * 6)
    predictions, fits = make_run(y, {"net": noisy(y, 1)}, folds=2)
    tested = predictions[predictions["role"] == "test"].reset_index(drop=True)
    tested["fold"] = tested.index
    row = whole(evaluate(tested, fits, SETTINGS), "auc")
    assert np.isnan(row["value"]) and "no fold holds both classes" in row["method"]


def test_certain_and_separating_probabilities(y, make_run):
    exact = np.tile(y.astype(float), (2, 1))
    table = evaluate(*make_run(y, {"oracle": exact}), SETTINGS)
    slope = whole(table, "calibration_slope")
    assert np.isnan(slope["value"]) and "separate the classes perfectly" in slope["method"]
    assert "exactly 0 or 1" in slope["method"]
    auc = whole(table, "auc")
    assert auc["value"] == 1 and np.isnan(auc["ci_low"]) and "every fold has the same value" in auc["method"]
    assert whole(table, "sensitivity")["ci_low"] < 0.9  # 15 of 15 right does not prove 100 %


def test_constant_probabilities(y, make_run):
    table = evaluate(*make_run(y, {"dull": np.full((2, len(y)), 0.4)}), SETTINGS)
    assert whole(table, "auc")["value"] == 0.5
    assert "same probability" in whole(table, "calibration_slope")["method"]
    assert np.isfinite(whole(table, "calibration_in_the_large")["value"])


def test_predictions_without_fits(y, make_run):
    predictions, _ = make_run(y, {"theirs": noisy(y, 3)})
    table = evaluate(predictions, empty_table(FITS), SETTINGS)
    assert "threshold is not known" in whole(table, "sensitivity")["method"]
    assert np.isnan(whole(table, "auc")["ci_low"]) and "n_train unknown" in whole(table, "auc")["method"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(p_1=t["p_1"] * 3), "probabilities lie between"),
        (lambda t: t.assign(p_1=np.nan), "p_1"),
        (lambda t: t.assign(p_0=0.5), "add up to"),
        (lambda t: t.assign(y_true=t["y_true"] + 1), "two classes"),
        (lambda t: t.assign(y_true=np.where(t["fold"] == 1, 1 - t["y_true"], t["y_true"])), "outcome differs"),
        (lambda t: t.assign(role="test"), "two folds"),
    ],
)
def test_what_is_refused(change, words, y, make_run):
    predictions, fits = make_run(y, {"net": noisy(y, 1)})
    with pytest.raises(Exception, match=words) as error:
        evaluate(change(predictions), fits, SETTINGS)
    assert isinstance(error.value, CohortError) or error.type.__name__ == "SchemaError"
    assert error.value.hint


def test_patients_widen_the_bootstrap(y, make_run):
    """Cases of one patient go together into a resample: with all cases of a class one patient, there is no interval left."""
    predictions, fits = make_run(y, {"net": noisy(y, 2)})
    patients = {f"case_{i:03d}": f"p{i // 2}" for i in range(40)}
    apart, together = (whole(evaluate(predictions, fits, SETTINGS, patients=who), "brier") for who in (None, patients))
    assert apart["value"] == together["value"]
    assert (apart["ci_low"], apart["ci_high"]) != (together["ci_low"], together["ci_high"])


def test_degrees_of_freedom_follow_the_calibration():
    assert [degrees_of_freedom(r) for r in (1, 2, 3, 10, 11, 50)] == [0, 1, 2, 9, 9, 9]
    assert np.isnan(corrected_mean(np.array([0.7]), 0.25, 1).standard_error)
