"""The L1 path against scikit-learn and, for Cox, against the conditions that a minimum must meet."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.linear_model import Lasso, LogisticRegression

from radpipe.selection import _lasso
from radpipe.selection._lasso import Loss, deviance, largest_penalty, lasso_path
from radpipe.selection.target import Kind, Target


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(80, 30))
    values[:, 5] = values[:, 4] + 0.1 * values[:, 5]
    return (values - values.mean(axis=0)) / values.std(axis=0)


def target(kind: Kind, x: np.ndarray, classes: int = 2) -> Target:
    rng = np.random.default_rng(1)
    signal = x[:, 0] - x[:, 4] + rng.normal(size=len(x))
    if kind == "number":
        return Target(kind, np.zeros(len(x), int), value=signal)
    if kind == "classes":
        return Target(kind, np.digitize(signal, np.quantile(signal, np.arange(1, classes) / classes)))
    # Times in whole months tie.
    return Target(kind, (rng.random(len(x)) < 0.7).astype(int), time=np.ceil(20 * np.exp(-signal) * rng.exponential(size=len(x))))


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lasso, "CLOSE", 1e-10)
    monkeypatch.setattr(_lasso, "MOST_STEPS", 20_000)


def test_two_classes_are_scikit_learns(x: np.ndarray, exact: None) -> None:
    y = target("classes", x)
    penalty = 0.2 * largest_penalty(x, y)
    path = lasso_path(x, y, np.array([penalty]))
    model = LogisticRegression(l1_ratio=1.0, solver="saga", C=1 / (len(x) * penalty), tol=1e-10, max_iter=100_000).fit(x, y.y)
    np.testing.assert_allclose(path.coefficients[0][:, 0], model.coef_[0], atol=1e-6)
    np.testing.assert_allclose(path.intercepts[0], model.intercept_, atol=1e-6)


def test_three_classes_are_scikit_learns(x: np.ndarray, exact: None) -> None:
    y = target("classes", x, classes=3)
    penalty = 0.3 * largest_penalty(x, y)
    path = lasso_path(x, y, np.array([penalty]))
    model = LogisticRegression(l1_ratio=1.0, solver="saga", C=1 / (len(x) * penalty), tol=1e-10, max_iter=100_000).fit(x, y.y)
    np.testing.assert_allclose(path.coefficients[0].T, model.coef_, atol=1e-5)


def test_numbers_are_scikit_learns(x: np.ndarray, exact: None) -> None:
    y = target("number", x)
    penalty = 0.1 * largest_penalty(x, y)
    model = Lasso(alpha=penalty, tol=1e-12).fit(x, Loss(y).answer[:, 0])
    np.testing.assert_allclose(lasso_path(x, y, np.array([penalty])).coefficients[0][:, 0], model.coef_, atol=1e-7)


@pytest.mark.parametrize("kind", ["classes", "number", "time_to_event"])
def test_slopes_are_those_of_finite_differences(x: np.ndarray, kind: Kind) -> None:
    loss = Loss(target(kind, x))
    eta = np.random.default_rng(2).normal(size=(80, 1))
    slope = approx_fprime(eta[:, 0], lambda values: loss.of(values[:, None])[0], 1e-7)
    np.testing.assert_allclose(loss.of(eta)[1][:, 0], slope, atol=1e-6)


def test_cox_by_hand_and_at_its_minimum(x: np.ndarray, exact: None) -> None:
    """Three patients, times 1, 2, 3, the first two with the event: log(sum of 3) - e1 + log(sum of 2) - e2."""
    three = Target("time_to_event", np.array([1, 1, 0]), time=np.array([1.0, 2.0, 3.0]))
    eta = np.array([[0.3], [-0.2], [0.7]])
    by_hand = np.log(np.exp(eta).sum()) - 0.3 + np.log(np.exp(eta[1:]).sum()) + 0.2
    assert Loss(three).of(eta)[0] * 3 == pytest.approx(float(by_hand), rel=1e-12)
    y = target("time_to_event", x)
    penalty = 0.2 * largest_penalty(x, y)
    path = lasso_path(x, y, np.array([penalty]))
    beta = path.coefficients[0][:, 0]
    slope = x.T @ Loss(y).of(x @ beta[:, None])[1][:, 0]
    there = beta != 0
    # Karush-Kuhn-Tucker: the slope is minus the penalty times the sign where a coefficient is in, and smaller where it is not.
    np.testing.assert_allclose(slope[there], -penalty * np.sign(beta[there]), atol=1e-7)
    assert 2 <= there.sum() < 20 and np.abs(slope[~there]).max() <= penalty + 1e-9


@pytest.mark.parametrize("kind", ["classes", "number", "time_to_event"])
def test_nothing_enters_at_the_largest_penalty_and_something_just_below(x: np.ndarray, kind: Kind) -> None:
    y = target(kind, x)
    most = largest_penalty(x, y)
    path = lasso_path(x, y, most * np.array([1.0001, 0.95, 0.5]))
    assert path.size_of(0).max() == 0 and 1 <= np.count_nonzero(path.size_of(1)) <= 2
    entered = path.entries()
    assert entered.max() <= 1 and np.argmax(entered) in (0, 4, 5)
    train, test = np.arange(60), np.arange(60, 80)
    lost = deviance(x, y, lasso_path(x[train], y.take(train), most * np.array([1.0001, 0.5])), train, test)
    assert lost[1] < lost[0]  # the signal is there in the others too
