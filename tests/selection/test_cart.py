"""The CART walk: scikit-learn's tree where nothing stops it, and stopped where nothing more can be told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from radpipe.selection.cart import rank
from radpipe.selection.config import SelectionSettings
from radpipe.selection.ranking import Inputs
from radpipe.selection.select import select_inputs
from radpipe.selection.target import Target


def inputs(values: np.ndarray, target: Target) -> Inputs:
    ranks = rankdata(values, axis=0)
    return Inputs(tuple(f"x{k}" for k in range(values.shape[1])), ranks, np.zeros(values.shape[1]), target, values)


@pytest.mark.parametrize("kind", ["two", "three", "number"])
def test_unstopped_it_is_scikit_learns_tree(kind: str) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(90, 5))
    signal = values[:, 0] + values[:, 1] * (values[:, 2] > 0) + 0.5 * rng.normal(size=90)
    settings = SelectionSettings(level=0.9999, permutations=19, leaf=6, max_features=None)
    if kind == "number":
        target = Target("number", np.zeros(90, int), value=signal)
        tree = DecisionTreeRegressor(min_samples_leaf=6).fit(rankdata(values, axis=0), rankdata(signal))
    else:
        y = np.digitize(signal, np.quantile(signal, [0.5] if kind == "two" else [0.3, 0.7]))
        target = Target.of(y)
        tree = DecisionTreeClassifier(min_samples_leaf=6).fit(rankdata(values, axis=0), y)
    found = rank(inputs(values, target), settings, seed=0)
    np.testing.assert_allclose(found.importance / found.importance.sum(), tree.feature_importances_, atol=0.02)
    assert np.argmax(found.importance) == tree.tree_.feature[0]


def test_the_next_input_is_the_one_that_tells_given_the_first() -> None:
    """b repeats a and says nothing beyond it; c tells apart only the patients whom a leaves together."""
    rng = np.random.default_rng(3)
    a, c = rng.normal(size=(2, 120))
    y = np.where(a > 0, 1, c > 0.2).astype(int)
    table = pd.DataFrame(
        {"a": a, "b": a + 0.6 * rng.normal(size=120), "c": c, **{f"n{k}": rng.normal(size=120) for k in range(10)}}
    )
    settings = SelectionSettings(selector="cart", redundancy=1.0, permutations=99)
    found = select_inputs(table, y, settings, seed=0).set_index("feature")
    assert set(found.index[found.kept]) == {"a", "c"}
    # By itself b is the more associated of the two.
    alone = select_inputs(table, y, SelectionSettings(selector="none", redundancy=1.0, max_features=2), seed=0).set_index(
        "feature"
    )
    assert set(alone.index[alone.kept]) == {"a", "b"}


def test_noise_is_split_on_in_about_level_of_the_cases() -> None:
    rng = np.random.default_rng(5)
    sure = 0
    for run in range(40):
        noise = rng.normal(size=(50, 30))
        sure += bool(
            rank(
                inputs(noise, Target.of(rng.permutation(np.arange(50) % 2))), SelectionSettings(permutations=39), seed=run
            ).important.any()
        )
    assert sure <= 6  # 2 are expected; 7 or more have a probability of 0.003
