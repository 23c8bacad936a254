"""What every selector in the registry must do, for every kind of outcome it says it can do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from radpipe.errors import ConfigError
from radpipe.selection.config import SelectionSettings
from radpipe.selection.registry import KINDS, SELECTORS, WITH_SELECTION_PART
from radpipe.selection.select import SelectionPart, select_inputs
from radpipe.selection.target import Kind, Target
from radpipe.typing import FloatArray

QUICK = {"trees": 20, "rounds": 2, "subsamples": 20, "permutations": 39}


def ridge_trainer(
    values: FloatArray, target: Target, selection_values: FloatArray, selection_target: Target, subsets: Sequence[Sequence[int]],
    *, seed: int,
) -> FloatArray:  # fmt: skip
    """A real model in the network's place, quicker than one: ridge regression on standardised columns, squared error."""
    centre, scale = values.mean(axis=0), values.std(axis=0)
    x, unseen = (values - centre) / scale, (selection_values - centre) / scale
    y, truth = target.responses(), selection_target.responses()
    return np.array([((Ridge(3.0).fit(x[:, s], y).predict(unseen[:, s]).reshape(truth.shape) - truth) ** 2).mean() for s in subsets])


def outcomes(signal: np.ndarray, kind: Kind, rng: np.random.Generator) -> Target:
    """Outcomes that a signal (n,) foretells. For classes three of them, for times a third of them censored."""
    n = len(signal)
    if kind == "classes":
        return Target(kind, (np.argsort(np.argsort(signal)) * 3 // n).astype(np.int64))
    if kind == "number":
        return Target(kind, np.zeros(n, np.int64), value=np.exp(signal))
    event = np.where(np.arange(n) % 3 == 0, 0, 1)
    return Target(kind, event, time=rng.exponential(size=n) * np.exp(-3 * signal))


def select(name: str, table: pd.DataFrame, outcome, seed: int, chosen_by: int = 0, **settings):
    """With the last ``chosen_by`` rows as selection part for those that ask it, which also others must then leave alone."""
    target = Target.of(outcome)
    train = np.arange(len(table) - chosen_by)
    rest = np.arange(len(table) - chosen_by, len(table))
    part = SelectionPart(table.iloc[rest], target.take(rest)) if name in WITH_SELECTION_PART else None
    found = select_inputs(
        table.iloc[train], target.take(train), SelectionSettings(selector=name, **{**QUICK, **settings}), seed=seed,
        selection=part, trainer=ridge_trainer if part else None,
    )  # fmt: skip
    return found.set_index("feature")


def table_with(rows: int, columns: int, seed: int, planted: float) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % 2
    values = rng.normal(size=(rows, columns))
    values[:, columns // 2] += planted * y
    return pd.DataFrame(values, columns=[f"f{k:03}" for k in range(columns)]), y


@pytest.mark.parametrize("name", SELECTORS)
class TestEverySelector:
    def test_keeps_a_planted_feature(self, name):
        table, y = table_with(80, 30, 1, planted=2.5)
        found = select(name, table, y, 1, chosen_by=20)
        assert found.kept["f015"] and found.importance.idxmax() == "f015"
        assert found.kept.sum() <= SelectionSettings().max_features

    def test_keeps_a_planted_feature_for_every_kind_of_outcome(self, name):
        for kind in KINDS[name]:
            rng = np.random.default_rng(6)
            table = pd.DataFrame(rng.normal(size=(90, 15)), columns=[f"f{k:02}" for k in range(15)])
            target = outcomes(table["f07"].to_numpy() + 0.3 * rng.normal(size=90), kind, rng)
            found = select(name, table, target, 1, chosen_by=24)
            assert found.kept["f07"] and found.importance.idxmax() == "f07", kind

    def test_order_changes_nothing(self, name):
        table, y = table_with(40, 20, 2, planted=1.0)
        table["f003"] = np.round(table["f003"])  # ties
        table["twin"] = -2 * table["f010"]
        chosen_by = 12 if name in WITH_SELECTION_PART else 0
        first = select(name, table, y, 1, chosen_by=chosen_by)
        rng = np.random.default_rng(0)
        rows = np.r_[rng.permutation(40 - chosen_by), 40 - chosen_by + rng.permutation(chosen_by)]
        columns = rng.permutation(21)
        second = select(name, table.iloc[rows, columns], y[rows], 1, chosen_by=chosen_by)
        pd.testing.assert_frame_equal(second.loc[first.index], first, check_exact=True)

    def test_is_seeded(self, name):
        table, y = table_with(40, 20, 3, planted=1.0)
        pd.testing.assert_frame_equal(
            select(name, table, y, 4, chosen_by=12), select(name, table, y, 4, chosen_by=12), check_exact=True
        )

    def test_a_permuted_outcome_leaves_no_favourite(self, name):
        """The planted feature stands out for its relation to the outcome, not for what it is."""
        table, y = table_with(40, 20, 4, planted=3.0)
        rng = np.random.default_rng(9)
        places = []
        for run in range(10):
            found = select(name, table, rng.permutation(y), run, chosen_by=10)
            places.append(int((found.importance > found.importance["f010"]).sum()))
        assert np.mean(places) > 3

    def test_a_canary_that_only_others_rows_know_is_not_chosen(self, name):
        """A column equal to the outcome outside the rows that are given, and noise inside, ranks as noise."""
        table, y = table_with(70, 12, 5, planted=2.0)
        rng = np.random.default_rng(2)
        table["canary"] = np.where(np.arange(70) < 50, rng.normal(size=70), y)
        found = select(name, table.iloc[:50], y[:50], 1, chosen_by=14, max_features=1)
        assert list(found.index[found.kept]) == ["f006"]


@pytest.mark.parametrize("name", sorted(set(SELECTORS) - WITH_SELECTION_PART))
def test_the_selection_part_is_not_looked_at_unless_it_is_asked(name):
    table, y = table_with(30, 8, 1, planted=1.0)
    settings = SelectionSettings(selector=name, **QUICK)
    part = SelectionPart(table.iloc[:10] * np.nan, y[:10])
    pd.testing.assert_frame_equal(
        select_inputs(table, y, settings, seed=1), select_inputs(table, y, settings, seed=1, selection=part), check_exact=True
    )


@pytest.mark.parametrize("name", sorted(WITH_SELECTION_PART))
def test_who_asks_a_network_says_so_without_one(name):
    table, y = table_with(30, 8, 1, planted=1.0)
    with pytest.raises(ConfigError, match="needs the selection part and a network"):
        select_inputs(table, y, SelectionSettings(selector=name), seed=0)
