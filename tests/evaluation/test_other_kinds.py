"""Metrics of several classes, numbers and times; prediction sets, subgroups, curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn import metrics as sk

from radpipe.core.tables import CONFORMAL, CONFORMAL_SETS, DECISION_CURVES, METRICS, RISK_GROUPS, SUBGROUPS, check_table
from radpipe.errors import CohortError
from radpipe.evaluation import survival
from radpipe.evaluation.config import EvaluationSettings
from radpipe.evaluation.conformal import conformal_tables, fit_conformal, least_for
from radpipe.evaluation.curves import decision_curves, risk_groups
from radpipe.evaluation.metrics import evaluate, pooled_auc
from radpipe.evaluation.predictions import scores_of
from radpipe.evaluation.subgroups import subgroup_table, subgroups_of

SETTINGS = EvaluationSettings(bootstrap_resamples=200)
N, REPEATS, FOLDS = 60, 3, 4


def whole(table, metric, role="test"):
    rows = table[(table["metric"] == metric) & (table["repeat"] == -1) & (table["role"] == role)]
    assert len(rows) == 1, metric
    return rows.iloc[0]


@pytest.fixture(scope="module")
def run(make_run):
    """kind -> predictions, fits, truth (n rows): one model, three repeats."""
    rng = np.random.default_rng(11)
    signal = rng.normal(size=N)
    _, fits = make_run(np.repeat([0, 1], N // 2), {"net": np.full((REPEATS, N), 0.5)}, folds=FOLDS)
    code = rng.choice([0, 1, 2], N, p=[0.3, 0.5, 0.2])
    truth = {
        "number": pd.DataFrame({"y_true": 0, "value": 5 + 2 * signal + rng.normal(size=N)}),
        "time_to_event": pd.DataFrame({"y_true": code, "time": rng.exponential(np.exp(-signal)).round(3)}),
        "classes": pd.DataFrame({"y_true": np.digitize(signal, [-0.4, 0.4])}),
    }

    def make(kind):
        rows = []
        for repeat in range(REPEATS):
            fold_of = np.random.default_rng(repeat).permutation(np.arange(N) % FOLDS)
            for fold in range(FOLDS):
                said = signal + 0.7 * np.random.default_rng(100 * repeat + fold).normal(size=N)
                role = np.where(fold_of == fold, "test", np.where(np.arange(N) % 4 == 0, "selection", "train"))
                part = truth[kind].assign(
                    repeat=repeat, fold=fold, seed=7, model="net", case_id=[f"case_{i:03d}" for i in range(N)], role=role
                )
                p = softmax(np.stack([-1.5 * said, np.full(N, 0.3), 1.5 * said], axis=1), axis=1)
                if kind == "number":
                    part = part.assign(p_0=np.nan, p_1=np.nan, score=5 + 2 * said)
                elif kind == "time_to_event":
                    part = part.assign(p_0=1 / (1 + np.exp(said)), p_1=1 / (1 + np.exp(-said)), score=said)
                else:
                    part = part.assign(p_0=p[:, 0], p_1=p[:, 1], p_2=p[:, 2])
                rows.append(part)
        table = pd.concat(rows, ignore_index=True)
        return table.astype({"case_id": "string[pyarrow]"}), fits

    from radpipe.core.tables import make_table
    from radpipe.evaluation.predictions import ANY_PREDICTIONS

    return lambda kind: (make_table(ANY_PREDICTIONS, make(kind)[0]), fits)


def test_numbers(run):
    predictions, fits = run("number")
    table = evaluate(predictions, fits, SETTINGS)
    check_table(table, METRICS)
    tested = predictions[predictions["role"] == "test"]
    by_repeat = [sk.r2_score(part["value"], part["score"]) for _, part in tested.groupby("repeat")]
    assert whole(table, "r2")["value"] == pytest.approx(np.mean(by_repeat))
    by_fold = [part["value"].corr(part["score"], method="spearman") for _, part in tested.groupby(["repeat", "fold"])]
    assert whole(table, "spearman")["value"] == pytest.approx(np.mean(by_fold))
    rmse = whole(table, "rmse")
    assert rmse["ci_low"] < rmse["value"] < rmse["ci_high"] < whole(table, "rmse_reference")["value"]
    assert np.isfinite(whole(table, "spearman_train_test_gap")["value"])
    assert table["method"].str.len().min() > 5


def test_several_classes(run):
    predictions, fits = run("classes")
    table = evaluate(predictions, fits, SETTINGS)
    tested = predictions[predictions["role"] == "test"]
    p = tested[["p_0", "p_1", "p_2"]]
    assert whole(table, "log_loss")["value"] == pytest.approx(sk.log_loss(tested["y_true"], p))
    assert whole(table, "accuracy")["value"] == pytest.approx(np.mean(p.to_numpy().argmax(axis=1) == tested["y_true"]))
    by_fold = [
        sk.roc_auc_score(part["y_true"], part[["p_0", "p_1", "p_2"]], multi_class="ovr")
        for _, part in tested.groupby(["repeat", "fold"])
    ]
    assert whole(table, "macro_auc")["value"] == pytest.approx(np.mean(by_fold))
    assert whole(table, "macro_auc")["ci_low"] > 0.5 and whole(table, "auc_class_2")["value"] > 0.6
    assert whole(table, "accuracy")["value"] > whole(table, "accuracy_reference")["value"]
    assert "auc" not in set(table["metric"])


def test_times_with_competing_events(run):
    predictions, fits = run("time_to_event")
    table = evaluate(predictions, fits, SETTINGS, horizon=0.8)
    tested = predictions[predictions["role"] == "test"]
    by_fold = [
        survival.harrell_c(*(part[c].to_numpy() for c in ("time", "y_true", "score")))
        for _, part in tested.groupby(["repeat", "fold"])
    ]
    assert whole(table, "harrell_c")["value"] == pytest.approx(np.mean(by_fold))
    brier = whole(table, "brier_at_horizon")
    by_repeat = [
        survival.brier_at(*(part[c].to_numpy() for c in ("time", "y_true", "p_1")), 0.8) for _, part in tested.groupby("repeat")
    ]
    assert brier["value"] == pytest.approx(np.mean(by_repeat)) and brier["ci_low"] < brier["value"] < brier["ci_high"]
    assert whole(table, "competing_events")["value"] == (tested[tested["repeat"] == 0]["y_true"] == 2).sum()
    first = tested[tested["repeat"] == 0]
    share = survival.aalen_johansen(first["time"].to_numpy(), first["y_true"].to_numpy()).at(0.8)[0]
    assert whole(table, "incidence_at_horizon")["value"] == pytest.approx(share)
    # without a horizon only what needs none
    assert {"harrell_c", "uno_c"} <= set(evaluate(predictions, fits, SETTINGS)["metric"])
    assert "brier_at_horizon" not in set(evaluate(predictions, fits, SETTINGS)["metric"])
    with pytest.raises(CohortError, match="times are 0 or more"):
        evaluate(predictions.assign(time=-predictions["time"]), fits, SETTINGS)
    with pytest.raises(CohortError, match="nobody has the event"):
        evaluate(predictions.assign(y_true=0), fits, SETTINGS)
    with pytest.raises(CohortError, match="score"):
        evaluate(predictions.assign(score=np.nan), fits, SETTINGS)


def test_risk_groups_are_kaplan_meiers_and_aalen_johansens(run):
    predictions, _ = run("time_to_event")
    table = risk_groups(predictions, SETTINGS)
    check_table(table, RISK_GROUPS)
    assert set(table["kind"]) == {"incidence"} and "conditional on these groups" in table["method"].iloc[0]
    early = table[(table["repeat"] == 0) & (table["time"] <= 0.5)].groupby("group")["value"].max()
    assert early[1] > early[0]  # the higher risk has its events earlier
    alone = predictions.assign(y_true=(predictions["y_true"] == 1).astype("int64"))
    table = risk_groups(alone, SETTINGS)
    assert set(table["kind"]) == {"event_free"} and len(set(table["group"])) == 2
    counts = table[(table["repeat"] == 0)].groupby("group")["n"].first()
    assert counts.sum() == N
    assert len(risk_groups(run("number")[0], SETTINGS)) == 0


def two_classes(make_run, n=60, strength=1.0, repeats=2):
    y = np.array([1] * (n // 3) + [0] * (n - n // 3))
    rng = np.random.default_rng(3)
    p = 1 / (1 + np.exp(-(strength * (2 * y - 1) + rng.normal(size=(repeats, n)))))
    return y, p, *make_run(y, {"net": p})


def test_ece_and_decision_curve_of_a_run(make_run):
    y, p, predictions, fits = two_classes(make_run)
    table = evaluate(predictions, fits, SETTINGS)
    ece = whole(table, "ece")
    assert "10 bins" in ece["method"] and np.isnan(ece["ci_low"])
    curve = decision_curves(predictions, SETTINGS)
    check_table(curve, DECISION_CURVES)
    row = curve[curve["threshold"] == 0.25].iloc[0]
    by_hand = np.mean([np.mean((q >= 0.25) & (y == 1)) - np.mean((q >= 0.25) & (y == 0)) / 3 for q in p])
    assert row["net_benefit"] == pytest.approx(by_hand) and row["ci_low"] < by_hand < row["ci_high"]
    assert row["treat_all"] == pytest.approx(1 / 3 - 2 / 3 / 3)


def test_decision_curve_of_times(run):
    predictions, _ = run("time_to_event")
    assert len(decision_curves(predictions, SETTINGS)) == 0
    curve = decision_curves(predictions, SETTINGS, horizon=0.8)
    assert len(curve) == len(SETTINGS.decision_thresholds) and "Aalen-Johansen" in curve["method"].iloc[0]


def test_leave_one_out_is_refused(make_run):
    y = np.array([1] * 6 + [0] * 6)
    predictions, fits = make_run(y, {"net": np.linspace(0.1, 0.9, 12)[None]}, folds=2)
    tested = predictions[predictions["role"] == "test"].reset_index(drop=True)
    alone = tested.assign(fold=tested.index.astype("int64"))
    assert "AUC of 0.26" in whole(evaluate(alone, fits, SETTINGS), "auc")["method"]
    with pytest.raises(CohortError, match=r"leave-one-out AUC is refused"):
        pooled_auc(scores_of(alone, "test")["net"])
    assert 0 <= pooled_auc(scores_of(tested, "test")["net"]) <= 1


# prediction sets


def test_the_rule_by_hand():
    y = np.array([0] * 10 + [1] * 9)
    p1 = np.concatenate([np.linspace(0.1, 0.55, 10), np.linspace(0.4, 0.9, 9)])
    rule = fit_conformal(y, np.column_stack([1 - p1, p1]), 0.9)
    assert rule.thresholds == pytest.approx([0.45, 0.4]) and rule.vacuous == [False, False]
    assert rule.sets(np.array([[0.44, 0.56], [0.5, 0.5], [0.7, 0.3]])).tolist() == [[False, True], [True, True], [True, False]]
    assert least_for(0.9) == 9 and least_for(0.8) == 4 and least_for(0.95) == 19
    few = fit_conformal(y[:18], np.column_stack([1 - p1, p1])[:18], 0.9)
    assert few.vacuous == [False, True] and few.sets(np.array([[1.0, 0.0]])).all()


def test_sets_hold_the_class_as_often_as_promised():
    """Exchangeable simulation, 60 + 60 calibration cases, 300 sets of 100 + 100: 0.90 to 0.92 of each class on average."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(300):
        y = np.repeat([0, 1], 160)
        p1 = 1 / (1 + np.exp(-(rng.normal(size=320) + 1.5 * y)))
        calibration = (np.arange(320) % 160) < 60
        p = np.column_stack([1 - p1, p1])
        sets = fit_conformal(y[calibration], p[calibration], 0.9).sets(p[~calibration])
        held.append([sets[y[~calibration] == k, k].mean() for k in (0, 1)])
    assert np.all(np.abs(np.mean(held, axis=0) - 0.905) < 0.012)


def test_tables_of_sets(make_run):
    _, _, predictions, _ = two_classes(make_run, n=120)
    summary, sets = conformal_tables(predictions, SETTINGS)
    check_table(summary, CONFORMAL)
    check_table(sets, CONFORMAL_SETS)
    assert len(sets) == 240 and set(summary["class"]) == {0, 1}
    own = sets[sets["y_true"] == 0]["holds_truth"].mean()
    assert summary.set_index("class").loc[0, "coverage"] == pytest.approx(own) and 0.75 < own <= 1
    assert summary["n"].tolist() == [80, 40]
    one = summary.set_index("class").loc[1]
    assert one["vacuous_fits"] > 0 and one["method"].startswith("vacuous in") and one["fewest_calibration"] < 9
    without = conformal_tables(predictions[predictions["role"] == "test"], SETTINGS)[0]
    assert without["method"].str.contains("no predictions of the selection part").all() and without["coverage"].isna().all()


# subgroups


def test_groups_of_a_column():
    ages = pd.Series([str(a) for a in range(40, 60)])
    assert {k: int(v.sum()) for k, v in subgroups_of(ages).items()} == {"up to 49.5": 10, "above 49.5": 10}
    sexes = pd.Series(["f", "m", "", None, "f"])
    assert {k: int(v.sum()) for k, v in subgroups_of(sexes).items()} == {"f": 2, "m": 1, "not known": 2}
    assert subgroups_of(pd.Series([f"name {i}" for i in range(9)])) == {}


def test_subgroups_of_a_run(make_run):
    y, p, predictions, _ = two_classes(make_run)
    cases = [f"case_{i:03d}" for i in range(60)]
    clinical = pd.DataFrame({"case_id": cases, "side": ["l", "r"] * 30, "rare": ["x"] * 3 + ["y"] * 57})
    settings = EvaluationSettings(bootstrap_resamples=200, subgroup_least=8)
    table = subgroup_table(predictions, clinical, ["side", "rare"], settings)
    check_table(table, SUBGROUPS)
    row = table[(table["group"] == "l") & (table["metric"] == "auc")].iloc[0]
    tested = predictions[(predictions["role"] == "test") & predictions["case_id"].isin(cases[::2])]
    wins = pairs = 0.0
    for _, part in tested.groupby(["repeat", "fold"]):
        for high in part.loc[part["y_true"] == 1, "p_1"]:
            for low in part.loc[part["y_true"] == 0, "p_1"]:
                wins, pairs = wins + (high > low) + 0.5 * (high == low), pairs + 1
    assert row["value"] == pytest.approx(wins / pairs) and row["ci_low"] < row["value"] < row["ci_high"]
    brier = table[(table["group"] == "l") & (table["metric"] == "brier")].iloc[0]
    assert brier["value"] == pytest.approx(np.mean((p[:, ::2] - y[::2]) ** 2))
    rare = table[table["group"] == "x"]
    assert rare["value"].isna().all() and rare["method"].str.startswith("too few to say: 3 with and 0 without").all()
    with pytest.raises(CohortError, match="missing"):
        subgroup_table(predictions, clinical, ["grade"], settings)


def test_subgroups_of_other_kinds(run):
    settings = EvaluationSettings(bootstrap_resamples=200, subgroup_least=8)
    clinical = pd.DataFrame({"case_id": [f"case_{i:03d}" for i in range(N)], "side": ["l", "r"] * (N // 2)})
    times = subgroup_table(run("time_to_event")[0], clinical, ["side"], settings)
    assert set(times["metric"]) == {"harrell_c"} and times["value"].notna().all()
    numbers = subgroup_table(run("number")[0], clinical, ["side"], settings)
    part = run("number")[0]
    part = part[(part["role"] == "test") & part["case_id"].isin(clinical["case_id"][::2])]
    found = numbers[numbers["group"] == "l"].iloc[0]["value"]
    assert found == pytest.approx(np.sqrt(np.mean((part["score"] - part["value"]) ** 2)))
    assert len(subgroup_table(run("classes")[0], clinical, ["side"], settings)) == 0


def test_settings_refuse_impossible_thresholds():
    for bad in ((), (0.5, 0.2), (0.2, 1.0)):
        with pytest.raises(ValueError, match="decision_thresholds"):
            EvaluationSettings(decision_thresholds=bad)
