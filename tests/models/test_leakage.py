"""Canaries: what only the test rows know must not reach a model, and what training rows know by chance must not count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split

from radpipe.core.registry import lookup
from radpipe.models import MODELS
from radpipe.models.config import AnnParams, LogisticParams, XgboostParams
from radpipe.models.model import Examples

TABLES = {
    "ann": AnnParams(inputs="features", members=1),
    "logistic": LogisticParams(inputs="features"),
    "xgboost": XgboostParams(rounds=40),
}


def noise(n: int, p: int, rng: np.random.Generator) -> Examples:
    ids = tuple(f"case_{k:03}" for k in range(n))
    table = pd.DataFrame(rng.normal(size=(n, p)), index=ids, columns=[f"x{k:04}" for k in range(p)])
    return Examples(ids, ids, rng.permutation(np.arange(n) % 2), table)


@pytest.mark.parametrize("kind", TABLES)
def test_a_column_that_is_the_outcome_in_test_rows_only_leaves_chance(kind):
    """The model learnt that the column means nothing, so in the test rows it still means nothing.

    Runs are independent draws; the mean AUC's own standard error says how far from 0.5 chance may bring it. A model that looked
    at the test rows would stand at 1.
    """
    aucs = []
    for run in range(20):
        rng = np.random.default_rng(run)
        everyone = noise(120, 5, rng)
        canary = np.where(np.arange(120) < 40, rng.normal(size=120), 0.0)
        canary[40:] = 3.0 * everyone.y[40:] * rng.choice([-1, 1])
        everyone = replace(everyone, table=everyone.table.assign(canary=canary))
        ids = everyone.case_ids
        model = lookup(MODELS, kind, "model")(everyone.take(ids[:30]), everyone.take(ids[30:40]), TABLES[kind], seed=run)
        test = everyone.take(ids[40:])
        aucs.append(roc_auc_score(test.y, model.predict_proba(test)[:, 1]))
    error = np.std(aucs, ddof=1) / np.sqrt(len(aucs))
    assert error < 0.1
    assert abs(np.mean(aucs) - 0.5) < 3.5 * error


@pytest.mark.parametrize("kind", TABLES)
def test_test_rows_cannot_change_the_fit(kind):
    """Whatever the test rows hold, the fitted numbers are the same bytes."""
    everyone = noise(50, 4, np.random.default_rng(1))
    wild = everyone.table.copy()
    wild.iloc[40:] = 1e6 * everyone.y[40:, None]
    states = []
    for table in (everyone.table, wild):
        examples = replace(everyone, table=table)
        ids = examples.case_ids
        fitted = lookup(MODELS, kind, "model")(examples.take(ids[:30]), examples.take(ids[30:40]), TABLES[kind], seed=1)
        states.append(fitted.state())
    assert states[0][1] == states[1][1]
    assert all(states[0][0][name].tobytes() == states[1][0][name].tobytes() for name in states[0][0])


def cross_validated(everyone: Examples, columns_of, seed: int) -> float:
    """Mean AUC within five folds; ``columns_of(training ids)`` are the inputs of a fold."""
    ids = np.array(everyone.case_ids)
    aucs = []
    for inside, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(ids, everyone.y):
        train, selection = train_test_split(ids[inside], test_size=0.25, stratify=everyone.y[inside], random_state=seed)
        chosen = replace(everyone, table=everyone.table[columns_of(train)])
        fit = lookup(MODELS, "ann", "model")
        params = AnnParams(hidden=(), members=1, iterations=50)
        model = fit(chosen.take(train), chosen.take(selection), params, seed=seed)
        part = chosen.take(ids[test])
        aucs.append(roc_auc_score(part.y, model.predict_proba(part)[:, 1]))
    return float(np.mean(aucs))


def ten_best(examples: Examples) -> list[str]:
    gap = examples.table[examples.y == 1].mean() - examples.table[examples.y == 0].mean()
    return list((gap.abs() / examples.table.std()).nlargest(10).index)


def test_ten_of_a_thousand_noise_features_chosen_inside_the_folds_are_worth_nothing():
    """And outside the folds they look like a discovery: the check can see the leak it is there to exclude."""
    inside, outside = [], []
    for run in range(8):
        everyone = noise(51, 1000, np.random.default_rng(100 + run))
        inside.append(cross_validated(everyone, lambda train, everyone=everyone: ten_best(everyone.take(train)), run))
        best = ten_best(everyone)
        outside.append(cross_validated(everyone, lambda train, best=best: best, run))
    error = np.std(inside, ddof=1) / np.sqrt(len(inside))
    assert abs(np.mean(inside) - 0.5) < 3.5 * error
    assert error < 0.05
    assert np.mean(outside) > 0.85
