"""Selection learns on the rows it is given, and what it likes there by chance is worth nothing elsewhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from radpipe.selection.config import SelectionSettings
from radpipe.selection.select import select_inputs


def test_ten_of_a_thousand_noise_features_selected_inside_folds_predict_at_chance():
    settings = SelectionSettings(trees=20, rounds=1, max_features=10)
    aucs = []
    for run in range(8):
        rng = np.random.default_rng(run)
        y = rng.permutation(np.arange(51) % 2)
        table = pd.DataFrame(rng.normal(size=(51, 1000)), columns=[f"f{k:03}" for k in range(1000)])
        folds = []
        for train, test in StratifiedKFold(5, shuffle=True, random_state=run).split(table, y):
            found = select_inputs(table.iloc[train], y[train], settings, seed=run)
            kept = list(found.feature[found.kept])
            assert len(kept) == 10
            scores = LogisticRegression().fit(table.iloc[train][kept], y[train]).decision_function(table.iloc[test][kept])
            folds.append(roc_auc_score(y[test], scores))
        aucs.append(np.mean(folds))
    assert abs(np.mean(aucs) - 0.5) < 3.5 * np.std(aucs, ddof=1) / np.sqrt(len(aucs))


def test_a_canary_that_only_the_test_rows_know_is_not_chosen():
    rng = np.random.default_rng(1)
    y = np.arange(60) % 2
    table = pd.DataFrame(rng.normal(size=(60, 20)), columns=[f"f{k:02}" for k in range(20)])
    table["real"] = 2.0 * y + rng.normal(size=60)
    table["canary"] = np.where(np.arange(60) < 40, rng.normal(size=60), y)
    found = select_inputs(table.iloc[:40], y[:40], SelectionSettings(max_features=1, rounds=3), seed=0)
    assert list(found.feature[found.kept]) == ["real"]
