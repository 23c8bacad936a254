"""The comparison table: what it says, what it refuses, and that it is not fooled."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from radpipe.comparison.compare import compare_models
from radpipe.comparison.config import ComparisonSettings
from radpipe.comparison.corrected_t import paired_t
from radpipe.comparison.holm import holm
from radpipe.core.tables import COMPARISON, check_table
from radpipe.errors import CohortError

Y = np.array([1] * 30 + [0] * 50)


def noisy(strength, repeats=10, seed=0, y=Y):
    rng = np.random.default_rng(seed)
    return 1 / (1 + np.exp(-(strength * (2 * y - 1) + rng.normal(size=(repeats, len(y))))))


def pair(table, a, b):
    row = table[(table["model_a"] == a) & (table["model_b"] == b)]
    assert len(row) == 1
    return row.iloc[0]


@pytest.fixture(scope="module")
def tables(make_tables):
    return make_tables(Y, {"ann": noisy(1.2), "cnn": noisy(0.1, seed=1), "volume": noisy(0.1, seed=2)})


def test_the_numbers_are_those_of_the_folds(tables):
    predictions, splits = tables
    table = compare_models(predictions, splits, ComparisonSettings(primary=("cnn", "ann")))
    check_table(table, COMPARISON)
    aucs = {
        (model, repeat, fold): roc_auc_score(part["y_true"], part["p_1"])
        for (model, repeat, fold), part in predictions.groupby(["model", "repeat", "fold"])
    }
    d = np.array([aucs["cnn", r, f] - aucs["ann", r, f] for r in range(10) for f in range(5)])
    row = pair(table, "cnn", "ann")  # written as the workflow has it
    by_hand = paired_t(d, 16 / 64, 10, ComparisonSettings(), "")  # 64 learnt from: the selection part counts
    assert row["effect"] == pytest.approx(d.mean(), abs=1e-12)
    assert row["p_value"] == pytest.approx(by_hand.p_value, rel=1e-9)
    assert row["p_adjusted"] == row["p_value"] and row["primary"]
    assert row["verdict"] == "b_better"
    assert "0.250" in row["method"] and "selection part" in row["method"]
    others = table[~table["primary"]]
    assert len(others) == 2 and others["p_adjusted"].tolist() == pytest.approx(holm(others["p_value"].to_numpy()).tolist())
    assert others["method"].str.contains("Holm over 2 pairs").all()


def test_swapping_the_primary_pair_flips_signs_only(tables):
    one = pair(compare_models(*tables, ComparisonSettings(primary=("ann", "cnn"))), "ann", "cnn")
    other = pair(compare_models(*tables, ComparisonSettings(primary=("cnn", "ann"))), "cnn", "ann")
    assert one["effect"] == -other["effect"] and one["statistic"] == -other["statistic"]
    assert (one["ci_low"], one["ci_high"]) == (-other["ci_high"], -other["ci_low"])
    assert (one["verdict"], other["verdict"]) == ("a_better", "b_better")
    for column in ("p_value", "p_adjusted", "p_equivalence", "df", "margin", "method", "primary", "test", "metric"):
        assert one[column] == other[column], column


@pytest.mark.parametrize("repeats", [1, 2, 10])
def test_a_model_with_itself_is_never_better(repeats, make_tables):
    scores = noisy(1.0, repeats)
    row = compare_models(*make_tables(Y, {"one": scores, "same": scores}), ComparisonSettings()).iloc[0]
    assert row["verdict"] == ("not_resolved" if repeats == 1 else "equivalent")
    assert row["effect"] == 0


def test_brier_is_better_when_lower(make_tables):
    truth = np.clip(Y + np.random.default_rng(0).normal(scale=0.2, size=(10, 80)), 0, 1)
    settings = ComparisonSettings(metric="brier", primary=("near", "far"))
    row = compare_models(*make_tables(Y, {"near": truth, "far": noisy(0.0)}), settings).iloc[0]
    assert row["effect"] < 0 and row["verdict"] == "a_better"


def test_one_repeat_resolves_nothing(make_tables):
    table = compare_models(*make_tables(Y, {"good": noisy(3.0, 1), "bad": noisy(0.0, 1)}), ComparisonSettings())
    assert table.loc[0, "verdict"] == "not_resolved" and np.isnan(table.loc[0, "p_value"])
    assert "one repeat" in table.loc[0, "method"]


def test_delong_carries_no_verdict(tables):
    table = compare_models(*tables, ComparisonSettings(primary=("ann", "cnn"), conditional=("delong",)))
    rows = table[table["test"] == "delong"]
    assert len(rows) == 3 and (rows["verdict"] == "not_resolved").all() and not rows["primary"].any()
    assert rows["method"].str.contains("conditional on these scores").all()
    assert rows["p_value"].min() < 0.001  # it does say that these two score vectors differ


def test_a_missing_fit_is_not_tested(tables):
    predictions, splits = tables
    without = predictions[~((predictions["model"] == "cnn") & (predictions["repeat"] == 3) & (predictions["fold"] == 2))]
    table = compare_models(without, splits, ComparisonSettings(primary=("ann", "cnn")))
    row = pair(table, "ann", "cnn")
    assert row["verdict"] == "not_resolved" and "cnn has no predictions in repeat 3 fold 2" in row["method"]
    assert np.isfinite(pair(table, "ann", "volume")["p_value"])
    gone = compare_models(predictions[predictions["model"] != "cnn"], splits, ComparisonSettings(primary=("ann", "cnn")))
    assert "cnn has no predictions; see" in pair(gone, "ann", "cnn")["method"]


def test_other_patients_are_refused(tables):
    predictions, splits = tables
    case = predictions["case_id"].iloc[0]
    with pytest.raises(CohortError, match=f"lacks test cases that other models have: {case}"):
        compare_models(
            predictions[~((predictions["model"] == "cnn") & (predictions["case_id"] == case))], splits, ComparisonSettings()
        )
    renamed = predictions.assign(case_id=predictions["case_id"].str.replace("case_000", "somebody"))
    with pytest.raises(CohortError, match="somebody"):
        compare_models(renamed, splits, ComparisonSettings())
    with pytest.raises(CohortError, match="do not test there"):
        compare_models(predictions, splits.assign(fold=(splits["fold"] + 1) % 5), ComparisonSettings())
    with pytest.raises(CohortError, match="no such fold"):
        compare_models(predictions.assign(repeat=predictions["repeat"] + 10), splits, ComparisonSettings())


def test_a_case_that_failed_for_everyone_is_left_out(tables):
    predictions, splits = tables
    row = compare_models(predictions[predictions["case_id"] != "case_005"], splits, ComparisonSettings()).iloc[0]
    assert np.isfinite(row["p_value"])


def test_margin_and_pair_are_checked():
    with pytest.raises(ValueError, match="margin"):
        ComparisonSettings(margin=0)
    with pytest.raises(ValueError, match="two different models"):
        ComparisonSettings(primary=("ann", "ann"))


def test_order_of_rows_does_not_matter(tables):
    predictions, splits = tables
    one = compare_models(predictions, splits, ComparisonSettings())
    other = compare_models(
        predictions.sample(frac=1, random_state=1), splits.sample(frac=1, random_state=2), ComparisonSettings()
    )
    pd.testing.assert_frame_equal(one, other)


def test_holm_by_hand():
    # Holm 1979's procedure on .01 .04 .03 .005: .03 .06 .06 .02 (R: p.adjust(c(.01, .04, .03, .005), "holm"))
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert np.isnan(holm(np.array([np.nan, 0.04])))[0] and holm(np.array([np.nan, 0.04]))[1] == 0.04


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_never_lowers(p_values):
    p = np.array(p_values)
    adjusted = holm(p)
    assert np.all(adjusted >= p) and np.all(adjusted <= 1)
    assert np.all(np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0)
