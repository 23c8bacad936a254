"""Order selection: the rules on errors given by hand, and on data of which the order is known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.models import load
from radpipe.models.ann.batch import Trained
from radpipe.models.ann.model import fit
from radpipe.models.ann.order import select_order
from radpipe.models.config import AnnParams, OrderSettings
from radpipe.models.model import Examples


def trained(error: float) -> Trained:
    return Trained([], np.array([[2 * error, error / 2, 0.0, error]]), 0)


def choose(errors: dict[int, float | list[float]], **keys):
    asked: list[int] = []

    def train(orders):
        asked.extend(orders)
        return {
            order: [trained(e) for e in (errors[order] if isinstance(errors[order], list) else [errors[order]])]
            for order in orders
        }

    found = select_order(train, OrderSettings(minimum=min(errors), maximum=max(errors), trials=1, **keys))
    return found, asked


def test_incremental_stops_after_so_many_rises_and_keeps_the_least():
    """Errors 5 4 6 3 5 7 1: rises at 3, 5 and 6; 7 is never met, though it is the least."""
    found, _ = choose({1: 5, 2: 4, 3: 6, 4: 3, 5: 5, 6: 7, 7: 1}, patience=3)
    assert found.order == 4 and found.stopped == "the selection error rose 3 times"
    assert [(row["order"], row["selection_error"], row["best"]) for row in found.history] == [
        (1, 5, 1), (2, 4, 2), (3, 6, 2), (4, 3, 4), (5, 5, 4), (6, 7, 4),
    ]  # fmt: skip


def test_a_gain_below_the_tolerance_is_none():
    found, _ = choose({1: 1.0, 2: 0.96, 3: 0.92}, tolerance=0.05)
    assert found.order == 3 and [row["best"] for row in found.history] == [1, 1, 3]


def test_trials_count_by_their_mean_or_their_least():
    errors: dict[int, float | list[float]] = {1: [3.0, 3.0], 2: [1.0, 6.0]}
    assert choose(errors, of_trials="mean")[0].order == 1
    best, _ = choose(errors, of_trials="minimum")
    assert best.order == 2 and best.history[1]["error"] == 0.5 and best.history[1]["trials"] == [1.0, 6.0] and best.networks == 4


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(0, 40), st.integers(0, 40), st.data())
def test_golden_section_finds_the_minimum_of_what_has_one(low, width, at, data):
    """Strictly falling, then strictly rising: never more orders than the range has, and about its logarithm when it is wide."""
    bottom = min(at, width)
    falls = data.draw(st.lists(st.floats(0.01, 5), min_size=width, max_size=width))
    errors = {low + bottom: 0.0}
    for k in range(bottom - 1, -1, -1):
        errors[low + k] = errors[low + k + 1] + falls[k]
    for k in range(bottom + 1, width + 1):
        errors[low + k] = errors[low + k - 1] + falls[k - 1]
    found, asked = choose(errors, strategy="golden_section")
    assert found.order == low + bottom
    assert len(asked) == len(set(asked)) <= min(width + 1, 6 + 2 * np.log(width + 1) / np.log(1.618))


def exclusive_or(n: int, seed: int, start: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, 2))
    ids = tuple(f"c{start + k:03}" for k in range(n))
    table = pd.DataFrame(x, index=ids, columns=["a", "b"])
    return Examples(ids, ids, (x[:, 0] * x[:, 1] > 0).astype(int), table)


@pytest.mark.parametrize("strategy", ["incremental", "golden_section"])
def test_the_order_is_chosen_inside_the_fold_and_travels_with_the_model(strategy):
    """One perceptron cannot tell exclusive-or, several can."""
    params = AnnParams(order=OrderSettings(strategy=strategy, maximum=5, trials=2, patience=4), weight=0.003, members=2)
    train, selection = exclusive_or(80, 0), exclusive_or(40, 1, 500)
    model = fit(train, selection, params, seed=1)
    assert model.order is not None and model.order.order > 1 and model.hidden == (model.order.order,)
    assert [network.perceptrons[0].weight.shape[0] for network in model.networks] == [model.order.order] * 2
    arrays, info = model.state()
    again = load("ann", arrays, json.loads(json.dumps(info)))
    assert again.order == model.order and again.predict_proba(selection).tobytes() == model.predict_proba(selection).tobytes()
    history = pd.DataFrame(model.order.history)
    assert history.selection_error[history.order == model.order.order].item() == history.selection_error.min()
    assert fit(train, selection, params, seed=1).order == model.order, "the same seed, the same choice"


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"below order\.minimum"):
        OrderSettings(minimum=3, maximum=2)
    with pytest.raises(ValueError, match="hidden is empty"):
        AnnParams(hidden=(), order=OrderSettings())
    with pytest.raises(ValueError, match="not a lower and a higher bound"):
        AnnParams(bounding=(2.0, 1.0))
    assert "time" in (AnnParams(recipe="opennn").misfit("time_to_event") or "")
    assert "mean_squared" in (AnnParams(error="cross_entropy").misfit("number") or "")
    assert "weighted_squared" in (AnnParams(recipe="opennn", error="weighted_squared").misfit("classes", 3) or "")
    assert AnnParams(recipe="opennn", error="weighted_squared").misfit("classes", 2) is None
