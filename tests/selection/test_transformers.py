"""Input selection as scikit-learn knows it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from radpipe.selection.config import SelectionSettings
from radpipe.selection.select import select_inputs
from radpipe.selection.transformers import DropRedundant, DropUnrepeatable, DropUnusable, InputSelector


@parametrize_with_checks([DropUnusable(), DropRedundant(), InputSelector("mrmr"), InputSelector("none")])
def test_scikit_learns_own_checks(estimator, check) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def planted() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.where(np.arange(60) % 2, "sick", "well")
    table = pd.DataFrame(rng.normal(size=(60, 12)), columns=[f"c{k}" for k in range(12)])
    table["c3"] += 2.5 * (y == "sick")
    table["c10"] = np.exp(table["c3"])
    table["c11"] = 4.0
    return table, y


def test_steps_in_a_pipeline_do_what_the_workflow_does(planted) -> None:
    table, y = planted
    steps = make_pipeline(DropUnusable(), DropRedundant(0.9), InputSelector("cart", redundancy=1.0))
    names = steps.set_output(transform="pandas").fit_transform(table, y).columns
    whole = InputSelector("cart", redundancy=0.9).fit(table, y)
    assert list(names) == list(whole.get_feature_names_out())
    found = select_inputs(table, (y == "well").astype(int), SelectionSettings(selector="cart", redundancy=0.9), seed=0)
    assert list(whole.get_support()) == list(found.kept) and "c10" in whole.get_feature_names_out()  # before c3 by name
    np.testing.assert_array_equal(whole.transform(table), table.to_numpy()[:, whole.get_support()])


def test_columns_without_names_keep_their_places(planted) -> None:
    table, y = planted
    named = table.set_axis([f"n{k:02d}" for k in range(12)], axis=1)
    np.testing.assert_array_equal(
        InputSelector("mrmr").fit(table.to_numpy(), y).get_support(), InputSelector("mrmr").fit(named, y).get_support()
    )


def test_numbers_and_times(planted) -> None:
    table, _ = planted
    number = InputSelector("l1", kind="number", redundancy=0.99).fit(table, table["c5"] ** 3)
    assert number.get_support()[5]
    times = np.array([(k % 3 > 0, t) for k, t in enumerate(np.exp(-2 * table["c5"]))], dtype=[("event", bool), ("time", float)])
    assert InputSelector("cart", kind="time_to_event").fit(table, times).get_support()[5]
    with pytest.raises(ValueError, match="fields event and time"):
        InputSelector(kind="time_to_event").fit(table, table["c5"])


def test_measurements_that_disagree_go(planted) -> None:
    table, _ = planted
    again = table + 0.1 * np.random.default_rng(1).normal(size=table.shape)
    again["c7"] = -again["c7"]
    step = DropUnrepeatable([again]).fit(table)
    assert list(table.columns[~step.get_support()]) == ["c7", "c11"]  # the constant has no ICC
    with pytest.raises(ValueError, match="one or more tables of shape"):
        DropUnrepeatable().fit(table)


def test_growing_alone_needs_a_trainer(planted) -> None:
    table, y = planted
    with pytest.raises(ValueError, match="give InputSelector a trainer"):
        InputSelector("growing").fit(table, y)

    def nearest_mean(values, target, selection_values, selection_target, subsets, *, seed):
        gap = values[target.y == 1].mean(axis=0) - values[target.y == 0].mean(axis=0)
        return np.array([-np.corrcoef(selection_values[:, s] @ gap[list(s)], selection_target.y)[0, 1] for s in subsets])

    kept = InputSelector("growing", trainer=nearest_mean).fit(table, y).get_feature_names_out()
    assert "c10" in kept or "c3" in kept


def test_noise_chosen_before_cross_validation_looks_like_a_finding_and_inside_it_does_not() -> None:
    """51 patients, the best 10 of 1,000 noise features: AUC 0.94 where all patients chose, 0.50 where training parts did."""
    before, inside = [], []
    for run in range(8):
        rng = np.random.default_rng(run)
        y = rng.permutation(np.arange(51) % 2)
        noise = rng.normal(size=(51, 1000))
        folds = StratifiedKFold(5, shuffle=True, random_state=run)
        choose = InputSelector("none", redundancy=1.0, max_features=10)
        chosen = choose.fit(noise, y).transform(noise)
        before.append(cross_val_score(LogisticRegression(), chosen, y, cv=folds, scoring="roc_auc").mean())
        inside.append(cross_val_score(make_pipeline(choose, LogisticRegression()), noise, y, cv=folds, scoring="roc_auc").mean())
    assert np.mean(before) == pytest.approx(0.94, abs=0.03)
    assert np.mean(inside) == pytest.approx(0.50, abs=0.09)  # the mean of 8 has a standard error of about 0.03
