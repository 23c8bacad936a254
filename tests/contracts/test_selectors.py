"""What every selector in the registry must do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radpipe.selection.config import SelectionSettings
from radpipe.selection.registry import SELECTORS
from radpipe.selection.select import select_inputs


def table_with(rows: int, columns: int, seed: int, planted: float) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % 2
    values = rng.normal(size=(rows, columns))
    values[:, columns // 2] += planted * y
    return pd.DataFrame(values, columns=[f"f{k:03}" for k in range(columns)]), y


@pytest.mark.parametrize("name", SELECTORS)
class TestEverySelector:
    def test_keeps_a_planted_feature(self, name):
        table, y = table_with(60, 30, 1, planted=2.5)
        settings = SelectionSettings(selector=name, trees=50, rounds=3)
        found = select_inputs(table, y, settings, seed=1).set_index("feature")
        assert found.kept["f015"] and found.importance.idxmax() == "f015"
        assert found.kept.sum() <= settings.max_features

    def test_order_changes_nothing(self, name):
        table, y = table_with(30, 20, 2, planted=1.0)
        settings = SelectionSettings(selector=name, trees=20, rounds=2)
        first = select_inputs(table, y, settings, seed=1).set_index("feature")
        rows, columns = np.random.default_rng(0).permutation(30), np.random.default_rng(1).permutation(20)
        second = select_inputs(table.iloc[rows, columns], y[rows], settings, seed=1).set_index("feature")
        pd.testing.assert_frame_equal(second.loc[first.index], first, check_exact=True)

    def test_is_seeded(self, name):
        table, y = table_with(30, 20, 3, planted=1.0)
        settings = SelectionSettings(selector=name, trees=20, rounds=2)
        pd.testing.assert_frame_equal(
            select_inputs(table, y, settings, seed=4), select_inputs(table, y, settings, seed=4), check_exact=True
        )

    def test_a_permuted_outcome_leaves_no_favourite(self, name):
        """The planted feature stands out for its relation to the outcome, not for what it is."""
        table, y = table_with(40, 20, 4, planted=3.0)
        settings = SelectionSettings(selector=name, trees=30, rounds=2)
        rng = np.random.default_rng(9)
        places = []
        for run in range(10):
            found = select_inputs(table, rng.permutation(y), settings, seed=run).set_index("feature")
            places.append(int((found.importance > found.importance["f010"]).sum()))
        assert np.mean(places) > 3
