"""Input selection: what goes, what stays, and that nothing but the training rows' content matters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from radpipe.core.tables import SELECTION, make_table
from radpipe.errors import CohortError, SchemaError
from radpipe.selection.config import SelectionSettings
from radpipe.selection.prepare import filled_ranks, relevance
from radpipe.selection.select import select_inputs

QUICK = SelectionSettings(trees=50, rounds=4)


@pytest.fixture
def planted() -> tuple[pd.DataFrame, np.ndarray]:
    """60 patients: one strong feature, the same in other units, a weaker one, noise, a constant, a column full of gaps."""
    rng = np.random.default_rng(5)
    y = np.arange(60) % 2
    columns = {f"noise_{k:02}": rng.normal(size=60) for k in range(12)}
    columns["strong"] = 2.0 * y + rng.normal(size=60)
    columns["strong_copy"] = -np.exp(columns["strong"])
    columns["weaker"] = 1.3 * y + rng.normal(size=60)
    columns["constant"] = 7.0 * np.ones(60) + 1e-13 * rng.normal(size=60)
    columns["gaps"] = np.where(np.arange(60) < 30, np.nan, columns["strong"])
    columns["few_gaps"] = np.where(np.arange(60) < 3, np.inf, rng.normal(size=60))
    table = pd.DataFrame(columns, index=[f"case_{k:02}" for k in range(60)])
    return table, y


def by_name(found: pd.DataFrame) -> pd.DataFrame:
    return found.set_index("feature")


def test_planted_features_are_kept_and_the_others_go_for_the_right_reason(planted):
    table, y = planted
    found = by_name(select_inputs(table, y, QUICK, seed=1))
    assert list(found.index) == list(table.columns)
    assert found.kept["strong"] and found.kept["weaker"]
    assert found.reason["strong_copy"] == "redundant" and found.redundant_with["strong_copy"] == "strong"
    assert found.reason["constant"] == "constant" and found.reason["gaps"] == "missing"
    assert found.reason["few_gaps"] in ("not_important", "over_limit", "kept")
    assert (found.importance[["strong_copy", "constant", "gaps"]] == 0).all()
    assert found.importance["strong"] == found.importance.max()
    assert (found.kept == (found.reason == "kept")).all()


def test_the_table_fits_the_schema(planted):
    table, y = planted
    make_table(SELECTION, select_inputs(table, y, QUICK, seed=1).assign(repeat=0, fold=0, sources="scalar"))


def test_order_of_rows_and_columns_changes_nothing(planted):
    table, y = planted
    first = by_name(select_inputs(table, y, QUICK, seed=1))
    rng = np.random.default_rng(0)
    rows, columns = rng.permutation(len(table)), rng.permutation(table.shape[1])
    second = select_inputs(table.iloc[rows, columns].reset_index(drop=True), y[rows], QUICK, seed=1)
    assert list(second.feature) == list(table.columns[columns])
    pd.testing.assert_frame_equal(by_name(second).loc[first.index], first, check_exact=True)


def test_same_seed_same_answer_and_another_seed_another_forest(planted):
    table, y = planted
    first, again, other = (select_inputs(table, y, QUICK, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert not np.array_equal(first.importance, other.importance)


def test_units_change_nothing(planted):
    """Ranks see no unit, no logarithm and no outlier's size."""
    table, y = planted
    first = select_inputs(table, y, QUICK, seed=1)
    scaled = table.assign(strong=np.exp(3 * table.strong), weaker=table.weaker * 1e30)
    assert list(select_inputs(scaled, y, QUICK, seed=1).kept) == list(first.kept)


def test_redundant_features_are_above_the_threshold_and_kept_ones_below():
    rng = np.random.default_rng(3)
    base = rng.normal(size=(40, 4))
    values = np.repeat(base, 5, axis=1) + 0.4 * rng.normal(size=(40, 20))
    table = pd.DataFrame(values, columns=[f"f{k:02}" for k in range(20)])
    y = (base[:, 0] > 0).astype(int)
    found = by_name(select_inputs(table, y, SelectionSettings(selector="none", redundancy=0.7, max_features=None), seed=0))
    rho = pd.DataFrame(np.abs(spearmanr(table).statistic), index=table.columns, columns=table.columns)
    auc = {name: abs(roc_auc_score(y, table[name]) - 0.5) for name in table}
    gone = found[found.reason == "redundant"]
    assert len(gone) > 5
    for name, other in gone.redundant_with.items():
        assert rho.loc[name, other] > 0.7 and found.kept[other] and auc[other] >= auc[name] - 1e-9
    kept = list(found.index[found.kept])
    assert rho.loc[kept, kept].to_numpy()[~np.eye(len(kept), dtype=bool)].max() <= 0.7
    assert select_inputs(table, y, SelectionSettings(selector="none", redundancy=1, max_features=None), seed=0).kept.all()


def test_ties_are_broken_by_name():
    rng = np.random.default_rng(0)
    y = np.arange(20) % 2
    value = y + 0.5 * rng.normal(size=20)
    table = pd.DataFrame({"b": value, "c": 3 * value, "a": value + 5})
    found = by_name(select_inputs(table, y, SelectionSettings(selector="none", redundancy=0.95), seed=0))
    assert found.kept.to_dict() == {"b": False, "c": False, "a": True}
    assert set(found.redundant_with[["b", "c"]]) == {"a"}


def test_relevance_is_the_distance_of_the_auc_from_chance():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 6, size=(50, 3)).astype(float), rng.integers(0, 2, size=50)
    expected = [2 * abs(roc_auc_score(y, column) - 0.5) for column in x.T]
    np.testing.assert_allclose(relevance(filled_ranks(x), y), expected, atol=1e-12)


def test_something_is_always_kept_and_never_more_than_the_limit(planted):
    table, y = planted
    noise = table.filter(like="noise")
    strict = SelectionSettings(trees=30, rounds=2, shadow_quantile=1.0)
    runs = [select_inputs(noise, np.random.default_rng(k).permutation(y), strict, seed=k) for k in range(8)]
    assert min(run.kept.sum() for run in runs) == 1
    for run in runs:
        assert run.importance[run.kept].min() >= run.importance[~run.kept].max()
    limited = select_inputs(table, y, QUICK.model_copy(update={"max_features": 1}), seed=1)
    assert list(limited.feature[limited.kept]) == ["strong"]
    assert limited.reason[limited.feature == "weaker"].item() == "over_limit"


def test_noise_is_rarely_kept():
    """Against the best of the shadows, about one useless feature in all of them passes: the same chance as the best shadow's."""
    rng = np.random.default_rng(7)
    strict = SelectionSettings(trees=30, rounds=2, shadow_quantile=1.0, redundancy=1.0, max_features=None)
    counts = []
    for run in range(12):
        table = pd.DataFrame(rng.normal(size=(40, 30)), columns=[f"f{k:02}" for k in range(30)])
        counts.append(select_inputs(table, np.arange(40) % 2, strict, seed=run).kept.sum())
    assert np.mean(counts) < 3


def test_what_cannot_be_used_is_named(planted):
    table, y = planted
    with pytest.raises(CohortError, match="one class"):
        select_inputs(table, np.zeros(60, int), QUICK, seed=0)
    with pytest.raises(SchemaError, match="constant or missing"):
        select_inputs(table[["constant", "gaps"]], y, QUICK, seed=0)
    with pytest.raises(SchemaError, match="'sex' does not hold numbers"):
        select_inputs(table.assign(sex="M"), y, QUICK, seed=0)
    with pytest.raises(SchemaError, match="two columns named 'strong'"):
        select_inputs(table.rename(columns={"strong_copy": "strong"}), y, QUICK, seed=0)
    with pytest.raises(SchemaError, match="60 rows of features but 59 outcomes"):
        select_inputs(table, y[1:], QUICK, seed=0)


def test_an_unknown_selector_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'tree'"):
        SelectionSettings(selector="tre")
