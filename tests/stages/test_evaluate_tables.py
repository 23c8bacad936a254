"""What evaluate adds for times to an event: the AUC at several times, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from radpipe.core import tables as t
from radpipe.evaluation.config import EvaluationSettings
from radpipe.evaluation.time_auc import time_auc_table
from radpipe.stages import evaluate

REPEATS, FOLDS, N = 3, 3, 60


def predictions(censored: float = 0.0, selection: bool = True) -> pd.DataFrame:
    """N patients, each tested once a repeat; a score that says something."""
    rng = np.random.default_rng(2)
    score = rng.normal(size=N)
    time = np.round(np.exp(2.5 - 0.7 * score + rng.normal(size=N)), 3) + 0.1
    event = np.where(rng.random(N) < censored, 0, 1)
    rows = []
    for repeat in range(REPEATS):
        fold_of = rng.permutation(N) % FOLDS
        for fold in range(FOLDS):
            noise = rng.normal(size=N) * 0.5
            for i in range(N):
                role = "test" if fold_of[i] == fold else "selection" if selection and (i + fold) % 4 == 0 else "train"
                rows.append(
                    {"repeat": repeat, "fold": fold, "seed": 1, "model": "cox", "case_id": f"P{i:02d}", "role": role, "y_true": int(event[i]),
                     "p_0": 0.5, "p_1": 0.5, "score": score[i] + noise[i], "time": time[i]}
                )  # fmt: skip
    return t.make_table(t.PREDICTIONS, rows)


def test_without_censoring_it_is_the_auc_of_having_had_the_event_by_then():
    """The mean over folds of scikit-learn's AUC, and the interval of Nadeau and Bengio worked out here."""
    table = predictions()
    found = time_auc_table(table, EvaluationSettings())
    tested = table[table["role"] == "test"]
    assert 5 <= len(found) <= 9 and (np.diff(found["time"]) > 0).all()
    for row in found.to_dict("records"):
        by_fold = [
            roc_auc_score(part["time"] <= row["time"], part["score"])
            for _, part in tested.groupby(["repeat", "fold"])
            if 0 < (part["time"] <= row["time"]).sum() < len(part)
        ]
        assert row["auc"] == pytest.approx(np.mean(by_fold), abs=1e-12) and row["folds"] == len(by_fold)
        error = np.std(by_fold, ddof=1) * np.sqrt(1 / len(by_fold) + 20 / 40)  # tested over learnt from, selection part counted
        half = student.ppf(0.975, REPEATS - 1) * error
        assert row["ci_low"] == pytest.approx(max(np.mean(by_fold) - half, 0), abs=1e-12)
        assert row["ci_high"] == pytest.approx(min(np.mean(by_fold) + half, 1), abs=1e-12)
        first = tested[tested["repeat"] == 0]
        assert row["n_events"] == (first["time"] <= row["time"]).sum() and row["n_events"] + row["n_free"] == N
        assert "Nadeau and Bengio" in row["method"] and "3 repeats" in row["method"]


def test_censored_patients_count_by_weights_and_a_time_nobody_passes_has_no_value():
    censored = time_auc_table(predictions(0.4), EvaluationSettings())
    assert censored["auc"].between(0.5, 1).all() and "Blanche 2013" in censored["method"].iloc[0]
    few = predictions()
    few = few[(few["role"] != "test") | few["case_id"].isin(["P00", "P01"])]
    found = time_auc_table(few, EvaluationSettings())
    assert found["auc"].isna().any() and found.loc[found["auc"].isna(), "method"].str.startswith("undefined").all()


def test_of_classes_it_is_empty():
    table = predictions().drop(columns=["time", "score"])
    assert time_auc_table(table, EvaluationSettings()).empty


def test_evaluate_says_that_it_makes_every_table_the_page_reads():
    assert set(evaluate.MAKES) == {
        "metrics",
        "conformal",
        "conformal_sets",
        "decision_curves",
        "risk_groups",
        "time_auc",
        "subgroups",
    }
    assert set(evaluate.MAKES) <= set(t.SCHEMAS)
