"""Networks side by side: gradients, optima, and each as it would be alone."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize, rosen, rosen_der
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression, Ridge

from radpipe.models import load
from radpipe.models.ann.batch import SubsetTrainer, Untrained, _Batch, train_batch
from radpipe.models.ann.head import Head
from radpipe.models.ann.lbfgs import minimise
from radpipe.models.ann.loss import ERRORS, REGULARISATIONS, LossIndex
from radpipe.models.ann.model import fit
from radpipe.models.config import AnnParams, CalibrationSettings
from radpipe.models.model import Examples
from radpipe.models.survival import fit_cox
from radpipe.networks.perceptron import ACTIVATIONS

LONG = {"iterations": 2000, "minimum_iterations": 2000, "patience": 2000}
PLAIN = {"members": 1, "hidden": (), "calibration": CalibrationSettings(recalibrate=False), **LONG}


def outcome(kind: str, n: int = 60, p: int = 4, seed: int = 0, start: int = 0, classes: int = 2) -> Examples:
    """Columns on scales of their own, with something to learn in the first two."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    signal = x[:, 0] - 0.5 * x[:, 1] + rng.normal(size=n)
    ids = tuple(f"c{start + k:03}" for k in range(n))
    table = pd.DataFrame(x * 10.0 ** np.arange(p) + 3, index=ids, columns=[f"x{k}" for k in range(p)])
    if kind == "number":
        return Examples(ids, ids, np.zeros(n, int), table, kind="number", value=40 + 7 * signal)
    if kind == "time_to_event":
        # Whole days, so that there are ties.
        time = np.ceil(5 * rng.exponential(np.exp(-signal)))
        return Examples(ids, ids, (rng.random(n) < 0.7).astype(int), table, kind="time_to_event", time=time, horizon=5.0)
    y = np.searchsorted(np.linspace(-0.8, 0.8, classes - 1) if classes > 2 else [0.0], signal)
    return Examples(ids, ids, y, table, n_classes=classes)


def scaled(examples: Examples) -> np.ndarray:
    x = examples.table.to_numpy()
    return (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)


def batch_of(error: str, regularisation: str, activation: str, outputs: int) -> _Batch:
    rng = np.random.default_rng(3)
    x = torch.from_numpy(rng.normal(size=(9, 4)))
    targets = torch.from_numpy(np.where(np.arange(9)[:, None] % (outputs + 2) == np.arange(outputs), 1.0, 0.0))
    if error == "cox":
        targets = torch.from_numpy(np.column_stack([np.arange(9) // 2, np.arange(9) % 4 < 3]).astype(float))
    elif error != "cross_entropy":
        targets = 2 * targets - 1
    elif outputs > 1:
        targets[:, 0] = 1 - targets[:, 1:].sum(1)
    index = LossIndex.learnt(targets, error, regularisation, 0.07)
    settings = AnnParams(activation=activation)
    return _Batch(
        [Untrained(1, (3, 2))], x=x, targets=targets, x_selection=x, targets_selection=targets, index=index, output=[0.1] * outputs,
        settings=settings, rows=None, rows_selection=None,
    )  # fmt: skip


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("regularisation", REGULARISATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_against_finite_differences(error, regularisation, activation):
    for outputs in (1, 3) if error not in ("cox", "weighted_squared") else (1,):
        one = batch_of(error, regularisation, activation, outputs)
        size = one.theta.shape[1]
        # away from the kinks of relu and l1
        theta = one.theta + 0.3 * np.random.default_rng(5).normal(size=size)
        _, gradient = one.evaluate(theta, np.array([0]))
        step = 1e-6
        moves = step * np.vstack([np.eye(size), -np.eye(size)])
        values, _ = one.evaluate(theta + moves, np.zeros(2 * size, int))
        np.testing.assert_allclose(gradient[0], (values[:size] - values[size:]) / (2 * step), rtol=1e-5, atol=2e-8)


def parts(kind: str = "classes", classes: int = 2, p: int = 4):
    train, selection = outcome(kind, p=p, classes=classes), outcome(kind, 20, p, seed=1, start=100, classes=classes)
    params = AnnParams()
    head = Head.learnt(train, classes, params)
    targets = head.targets(train)
    index = LossIndex.learnt(targets, params.error_of(kind), "l2", 0.05)
    given = {"targets": targets, "targets_selection": head.targets(selection), "index": index, "output": head.at_start(targets)}
    return {"x": torch.from_numpy(scaled(train)), "x_selection": torch.from_numpy(scaled(selection)), **given}


@pytest.mark.parametrize(("kind", "classes"), [("classes", 2), ("classes", 3), ("number", 2), ("time_to_event", 2)])
def test_each_becomes_what_it_becomes_alone(kind, classes):
    """Of all widths and subsets of inputs, whoever stands beside it."""
    given, settings = parts(kind, classes), AnnParams(iterations=60)
    networks = [Untrained(k, (1 + k % 4,), (None, (0, 2), (1,))[k % 3]) for k in range(12)]
    together = train_batch(networks, settings=settings, **given)
    for place in (0, 4, 5, 11):
        alone = train_batch([networks[place]], settings=settings, **given)[0]
        assert together[place].kept == alone.kept
        np.testing.assert_allclose(together[place].log, alone.log, rtol=1e-7, atol=1e-10)
        for mine, own in zip(together[place].layers, alone.layers, strict=True):
            np.testing.assert_allclose(mine[0], own[0], rtol=1e-5, atol=1e-7)
            assert mine[0].shape == own[0].shape and mine[1].shape == own[1].shape
    unseen = together[1].layers[0][0][:, [1, 3]]
    assert not unseen.any(), "an input it does not see has no weight"


def test_a_subset_of_inputs_is_a_table_of_fewer_columns():
    given, settings = parts(p=5), AnnParams(iterations=60)
    subset = train_batch([Untrained(7, (3,), (1, 3))], settings=settings, **given)[0]
    fewer = {**given, "x": given["x"][:, [1, 3]], "x_selection": given["x_selection"][:, [1, 3]]}
    alone = train_batch([Untrained(7, (3,))], settings=settings, **fewer)[0]
    np.testing.assert_allclose(subset.log, alone.log, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(subset.layers[0][0][:, [1, 3]], alone.layers[0][0], rtol=1e-6, atol=1e-9)


def test_networks_may_have_rows_of_their_own():
    """Folds side by side, of different sizes: what is padded has no weight."""
    given, settings = parts(), AnnParams(iterations=40)
    folds = [torch.arange(0, 40), torch.arange(15, 60)]
    x, targets, rows = torch.zeros(2, 45, 4, dtype=torch.float64), torch.zeros(2, 45, 1, dtype=torch.float64), torch.zeros(2, 45)
    for place, fold in enumerate(folds):
        x[place, : len(fold)], targets[place, : len(fold)], rows[place, : len(fold)] = (
            given["x"][fold],
            given["targets"][fold],
            1.0,
        )
    selection = {name: given[name].expand(2, *given[name].shape) for name in ("x_selection", "targets_selection")}
    networks = [Untrained(1, (3,)), Untrained(2, (2,))]
    side_by_side = train_batch(
        networks, x, targets, **selection, index=given["index"], output=given["output"], settings=settings, rows=rows
    )
    for place, fold in enumerate(folds):
        own = {**given, "x": given["x"][fold], "targets": given["targets"][fold]}
        alone = train_batch([networks[place]], settings=settings, **own)[0]
        np.testing.assert_allclose(side_by_side[place].log, alone.log, rtol=1e-7, atol=1e-10)


def test_lbfgs_finds_the_minima_of_rosenbrocks_function():
    """From 6 places at once, in 5 dimensions: at (1, ..., 1), or where scipy's BFGS ends from the same place."""
    starts = np.random.default_rng(0).uniform(-1.5, 1.5, size=(6, 5))
    ends = np.array(starts)

    def evaluate(theta, which):
        return np.array([rosen(row) for row in theta]), np.array([rosen_der(row) for row in theta])

    def report(step, which, theta, value):
        ends[which] = theta
        return np.zeros(len(which), bool)

    minimise(evaluate, starts, report, iterations=500)
    # The function has a second, higher minimum near (-1, 1, ..., 1).
    for start, end in zip(starts, ends, strict=True):
        np.testing.assert_allclose(rosen_der(end), 0, atol=1e-6)
        peers = [minimize(rosen, start, jac=rosen_der, method=method, tol=1e-12).x for method in ("BFGS", "L-BFGS-B", "CG")]
        assert any(np.allclose(end, peer, atol=1e-4) for peer in [np.ones(5), *peers])


def test_three_classes_without_hidden_layer_are_softmax_regression():
    train = outcome("classes", classes=3)
    model = fit(train, outcome("classes", 20, seed=1, start=100, classes=3), AnnParams(weight=1 / (60 * 0.5), **PLAIN), seed=0)
    peer = LogisticRegression(C=0.5, tol=1e-12, max_iter=100_000).fit(scaled(train), train.y)
    layer = model.networks[0].perceptrons[0]
    np.testing.assert_allclose(layer.weight.detach(), peer.coef_, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(train), peer.predict_proba(scaled(train)), atol=1e-6)


def test_the_l1_penalty_finds_the_lasso():
    """At the same loss as scikit-learn's, with the same weights at 0."""
    train = outcome("classes", p=5)
    model = fit(train, outcome("classes", 20, 5, seed=1, start=100), AnnParams(regularisation="l1", weight=0.05, **PLAIN), seed=0)
    peer = LogisticRegression(l1_ratio=1, solver="saga", C=1 / (60 * 0.05), tol=1e-10, max_iter=100_000).fit(
        scaled(train), train.y
    )
    weights = model.networks[0].perceptrons[0].weight.detach().numpy()[0]
    np.testing.assert_allclose(weights, peer.coef_[0], atol=1e-5)
    assert np.count_nonzero(np.abs(weights) < 1e-6) == np.count_nonzero(peer.coef_[0] == 0) > 0


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_numbers_without_hidden_layer_are_ridge_regression(optimiser):
    """Mean squared error of the standardised number + weight / 2 |w|^2 is ridge with alpha = n weight / 2."""
    train = outcome("number")
    params = AnnParams(weight=0.2, optimiser=optimiser, learning_rate=0.02, **{**PLAIN, "iterations": 600})
    model = fit(train, outcome("number", 20, seed=1, start=100), params, seed=0)
    sd = train.value.std(ddof=1)
    peer = Ridge(alpha=60 * 0.2 / 2, tol=1e-12).fit(scaled(train), (train.value - train.value.mean()) / sd)
    tolerance = 1e-6 if optimiser == "lbfgs" else 1e-3
    np.testing.assert_allclose(model.networks[0].perceptrons[0].weight.detach()[0], peer.coef_, atol=tolerance)
    np.testing.assert_allclose(
        model.predict_score(train), train.value.mean() + sd * peer.predict(scaled(train)), atol=50 * tolerance
    )


def test_times_without_hidden_layer_are_cox_regression(shared_data):
    """R's survival: coxph(Surv(time, event) ~ x1 + x2), Efron's ties; its coefficients and its log likelihood."""
    folder = shared_data / "statistics_fixtures"
    wanted = json.loads((folder / "expected.json").read_text())
    rows = pd.read_csv(folder / "survival.csv")
    ids = tuple(f"c{k:03}" for k in range(len(rows)))
    table = rows[["x1", "x2"]].astype(float).set_axis(list(ids))
    train = Examples(ids, ids, rows["event"], table, kind="time_to_event", time=rows["time"].to_numpy(float), horizon=60.0)
    model = fit(train, Examples(**_renamed(train)), AnnParams(weight=0.0, **PLAIN), seed=0)
    coefficients = model.networks[0].perceptrons[0].weight.detach().numpy()[0] / table.std(ddof=1).to_numpy()
    np.testing.assert_allclose(coefficients, wanted["cox_efron_coef"], rtol=1e-6)
    assert model.facts()["train_error"] * rows["event"].sum() == pytest.approx(-wanted["cox_loglik"][0], rel=1e-9)


def _renamed(train: Examples) -> dict:
    """The same patients under other names, as a selection part that says nothing new."""
    ids = tuple(f"s{name}" for name in train.case_ids)
    return {
        "case_ids": ids, "patient_ids": ids, "y": train.y, "table": train.table.set_axis(list(ids)).rename(columns=str),
        "kind": train.kind, "time": train.time, "horizon": train.horizon,
    }  # fmt: skip


def test_times_with_a_penalty_are_ridge_cox_regression():
    """The peer (Newton's method, held to R by itself) takes the penalty per data set, the network per event."""
    train = outcome("time_to_event", 80)
    params = AnnParams(weight=0.1, **PLAIN)
    model = fit(train, outcome("time_to_event", 20, seed=1, start=100), params, seed=0)
    peer = fit_cox(scaled(train), train.time, train.y == 1, penalty=0.1 * train.y.sum())
    np.testing.assert_allclose(model.networks[0].perceptrons[0].weight.detach()[0], peer, atol=1e-6)


def test_subsets_are_told_apart_by_the_selection_error():
    train, selection = outcome("classes", 80), outcome("classes", 40, seed=1, start=100)
    trainer = SubsetTrainer(AnnParams(hidden=(2,)))
    x, x_selection = train.table.to_numpy(), selection.table.to_numpy()
    errors = trainer(x, train, x_selection, selection, [[0], [0, 1], [2, 3], [3]], seed=3)
    assert errors.shape == (4,) and max(errors[:2]) < min(errors[2:])
    np.testing.assert_allclose(trainer(x, train, x_selection, selection, [[0, 1]], seed=3), errors[1:2], rtol=1e-7)


@pytest.mark.parametrize(
    ("kind", "classes", "recipe"),
    [
        ("classes", 3, "modern"),
        ("classes", 3, "opennn"),
        ("number", 2, "modern"),
        ("number", 2, "opennn"),
        ("time_to_event", 2, "modern"),
    ],
)
def test_every_kind_of_outcome_is_learnt_and_saved(kind, classes, recipe):
    train, selection = outcome(kind, classes=classes), outcome(kind, 30, seed=1, start=100, classes=classes)
    test = outcome(kind, 60, seed=2, start=200, classes=classes)
    model = fit(train, selection, AnnParams(recipe=recipe, members=2), seed=4)
    truth = test.table["x0"] - 5 * test.table["x1"] / 100
    arrays, info = model.state()
    again = load("ann", arrays, json.loads(json.dumps(info, allow_nan=False)))
    if kind != "classes":
        score = model.predict_score(test)
        assert spearmanr(score, truth).statistic > 0.6
        assert again.predict_score(test).tobytes() == score.tobytes()
    if kind != "number":
        p = model.predict_proba(test)
        assert p.shape == (60, classes) and np.allclose(p.sum(axis=1), 1) and p.min() >= 0
        assert again.predict_proba(test).tobytes() == p.tobytes()
        if kind == "classes":
            assert np.mean(p.argmax(axis=1) == test.y) > 0.5


def test_numbers_are_held_within_bounds():
    train, selection = outcome("number"), outcome("number", 20, seed=1, start=100)
    far = outcome("number", 60, seed=2, start=200)
    far.table.iloc[:, 0] = 50 * (far.table.iloc[:, 0] - 3)
    for bounding, low, high in (("training", train.value.min(), train.value.max()), ((39.0, 41.0), 39.0, 41.0)):
        score = fit(train, selection, AnnParams(bounding=bounding, members=1, activation="linear"), seed=0).predict_score(far)
        assert score.min() == low and score.max() == high


def test_a_selection_part_without_an_event_is_survived():
    train, selection = outcome("time_to_event"), outcome("time_to_event", 20, seed=1, start=100)
    model = fit(train, selection.take(np.array(selection.case_ids)[selection.y == 0]), AnnParams(members=2), seed=0)
    assert np.isfinite(model.predict_proba(train)).all() and np.isfinite(model.facts()["selection_error"])
