"""The reference models are those of the libraries they are named after, kept without pickle."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import SVC

from radpipe.models import average, forest, linear, logistic, prevalence, svm
from radpipe.models.calibrate import recalibration_of_classes
from radpipe.models.config import (
    AverageParams,
    CalibrationSettings,
    ForestParams,
    LinearParams,
    LogisticParams,
    PrevalenceParams,
    SvmParams,
)
from radpipe.models.model import Examples

BARE = CalibrationSettings(recalibrate=False)


def of_set(bunch, *, number: bool = False, every: int = 2) -> tuple[Examples, Examples, Examples]:
    """Training, selection and test part of one of scikit-learn's own data sets."""
    x, y = bunch.data[::every], bunch.target[::every]
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    ids = tuple(f"c{k:04}" for k in range(len(x)))
    further = {"kind": "number", "value": y.astype(float)} if number else {"n_classes": len(np.unique(y))}
    table = pd.DataFrame(x, index=ids, columns=[f"x{k:02}" for k in range(x.shape[1])])
    everyone = Examples(ids, ids, 0 * y if number else y, table, **further)
    n = len(ids)
    return everyone.take(ids[: n // 2]), everyone.take(ids[n // 2 : 2 * n // 3]), everyone.take(ids[2 * n // 3 :])


@pytest.mark.parametrize("bunch", [load_breast_cancer(), load_iris()], ids=["two classes", "three classes"])
def test_a_forest_says_what_scikit_learns_says(bunch):
    train, selection, test = of_set(bunch)
    fitted = forest.fit(train, selection, ForestParams(trees=20, calibration=BARE), seed=5)
    model = RandomForestClassifier(20, min_samples_leaf=2, random_state=forest.derive_seed(5, "forest") % 2**32)
    expected = model.fit(train.table.to_numpy(), train.y).predict_proba(test.table.to_numpy())
    np.testing.assert_allclose(fitted.core.predict(fitted.inputs.apply(test)), expected, atol=1e-12)
    np.testing.assert_allclose(fitted.predict_proba(test), np.clip(expected, 1e-6, 1), atol=2e-6)


def test_a_forest_of_numbers_too():
    train, selection, test = of_set(load_diabetes(), number=True)
    fitted = forest.fit(train, selection, ForestParams(trees=20), seed=5)
    model = RandomForestRegressor(
        20, min_samples_leaf=2, max_features=1 / 3, random_state=forest.derive_seed(5, "forest") % 2**32
    )
    expected = model.fit(train.table.to_numpy(), train.value).predict(test.table.to_numpy())
    np.testing.assert_allclose(fitted.predict_score(test), expected, rtol=1e-12)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_a_support_vector_machine_decides_as_libsvm(kernel):
    train, selection, test = of_set(load_breast_cancer())
    fitted = svm.fit(train, selection, SvmParams(kernel=kernel), seed=0)
    x = fitted.inputs.apply(train)
    model = SVC(kernel=kernel, gamma="auto", tol=1e-8).fit(x, train.y)
    x_test = fitted.inputs.apply(test)
    np.testing.assert_allclose(fitted.core.decide(x_test)[:, 0], model.decision_function(x_test), atol=1e-9)


def test_three_machines_for_three_classes():
    train, selection, test = of_set(load_iris(), every=1)
    fitted = svm.fit(train, selection, SvmParams(), seed=0)
    assert np.mean(fitted.predict_proba(test).argmax(axis=1) == test.y) > 0.9


def test_multinomial_logistic_regression_is_scikit_learns():
    train, selection, test = of_set(load_iris())
    fitted = logistic.fit(train, selection, LogisticParams(inputs="features"), seed=0)
    x = np.vstack([train.table, selection.table])
    centre, scale = x.mean(axis=0), x.std(axis=0, ddof=1)
    model = LogisticRegression(tol=1e-10, max_iter=10_000).fit((x - centre) / scale, np.append(train.y, selection.y))
    expected = model.predict_proba((test.table.to_numpy() - centre) / scale)
    np.testing.assert_allclose(fitted.predict_proba(test), expected, atol=1e-5)


def test_ridge_without_a_penalty_is_least_squares():
    train, selection, test = of_set(load_diabetes(), number=True)
    fitted = linear.fit(train, selection, LinearParams(penalty=0), seed=0)
    x, value = np.vstack([train.table, selection.table]), np.append(train.value, selection.value)
    np.testing.assert_allclose(
        fitted.predict_score(test), LinearRegression().fit(x, value).predict(test.table.to_numpy()), rtol=1e-8
    )
    shrunk = linear.fit(train, selection, LinearParams(penalty=50), seed=0)
    assert np.linalg.norm(shrunk.core.coefficients[:-1]) < np.linalg.norm(fitted.core.coefficients[:-1])


def test_the_unit_of_the_outcome_is_that_of_the_answer_and_nothing_else():
    train, selection, test = of_set(load_diabetes(), number=True)
    plain = linear.fit(train, selection, LinearParams(), seed=0).predict_score(test)
    other = [
        Examples(p.case_ids, p.patient_ids, p.y, p.table, kind="number", value=1000 * p.value + 5) for p in (train, selection)
    ]
    np.testing.assert_allclose(linear.fit(*other, LinearParams(), seed=0).predict_score(test), 1000 * plain + 5, rtol=1e-9)


def test_prevalence_is_a_count():
    train, selection, test = of_set(load_iris())
    y = np.append(train.y, selection.y)
    found = prevalence.fit(train, selection, PrevalenceParams(), seed=0).predict_proba(test)
    np.testing.assert_allclose(found, np.tile([np.mean(y == k) for k in range(3)], (len(test), 1)))


def test_an_average_is_halfway_before_it_is_recalibrated():
    ids = tuple("abcdefgh")
    table = pd.DataFrame({"ann": np.linspace(0.1, 0.8, 8), "cnn": np.linspace(0.9, 0.2, 8)[::-1]}, index=ids)
    everyone = Examples(ids, ids, np.arange(8) % 2, table)
    train, selection = everyone.take(ids[:4]), everyone.take(ids[4:])
    plain = average.fit(train, selection, AverageParams(of=("ann", "cnn"), calibration=BARE), seed=0)
    np.testing.assert_allclose(plain.predict_proba(everyone)[:, 1], (table["ann"] + table["cnn"]) / 2)
    # Whatever the members say of the training part, which they learnt from, the recalibration stays.
    wild = Examples(train.case_ids, train.patient_ids, train.y, train.table * 0 + 0.5)
    moved = [average.fit(part, selection, AverageParams(of=("ann", "cnn")), seed=0).calibration for part in (train, wild)]
    assert (moved[0].slope, moved[0].intercept) == (moved[1].slope, moved[1].intercept)


def test_recalibration_of_three_classes_finds_the_slope_that_was_planted():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(40_000, 3)) * 1.5
    z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
    truth = 0.6 * z + np.array([0.3, 0.0, -0.3])
    p = np.exp(truth) / np.exp(truth).sum(axis=1, keepdims=True)
    y = (p.cumsum(axis=1) > rng.random(40_000)[:, None]).argmax(axis=1)
    found = recalibration_of_classes(np.exp(z), y, CalibrationSettings())
    assert found.slope == pytest.approx(0.6, abs=0.02)
    np.testing.assert_allclose(found.intercepts, [0.3, 0, -0.3], atol=0.03)
