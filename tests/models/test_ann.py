"""The ANN against scikit-learn, against itself, and in the two recipes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from radpipe.errors import ConfigError
from radpipe.models.ann.model import fit
from radpipe.models.config import AnnParams, CalibrationSettings
from radpipe.models.model import Examples


def examples(n: int, p: int = 3, seed: int = 0, signal: float = 1.0, start: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    ids = tuple(f"case_{start + k:03}" for k in range(n))
    values = rng.normal(size=(n, p)) * 10.0 ** np.arange(p) + signal * y[:, None] * 10.0 ** np.arange(p)
    return Examples(ids, ids, y, pd.DataFrame(values, index=ids, columns=[f"x{k}" for k in range(p)]))


UNCALIBRATED = CalibrationSettings(recalibrate=False)


@pytest.mark.parametrize("c", [0.3, 10.0])
def test_without_hidden_layer_it_is_logistic_regression(c):
    """Mean cross-entropy + weight / 2 |w|^2 is scikit-learn's objective over n with weight 1 / (n C)."""
    train = examples(40)
    params = AnnParams(
        hidden=(),
        weight=1 / (40 * c),
        iterations=1000,
        minimum_iterations=1000,
        patience=1000,
        members=1,
        calibration=UNCALIBRATED,
    )
    model = fit(train, examples(10, seed=1, start=100), params, seed=0)
    x = train.table.to_numpy()
    scaled = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    peer = LogisticRegression(C=c, tol=1e-12, max_iter=100_000).fit(scaled, train.y)
    layer = model.networks[0].perceptrons[0]
    np.testing.assert_allclose(layer.weight.detach().numpy()[0], peer.coef_[0], atol=1e-6)
    np.testing.assert_allclose(layer.bias.detach().numpy(), peer.intercept_, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(train), peer.predict_proba(scaled), atol=1e-6)


def test_every_iteration_lowers_the_loss_and_the_parts_add_up():
    model = fit(examples(30), examples(10, seed=1, start=100), AnnParams(members=1), seed=0)
    history = pd.DataFrame(model.history)
    assert np.all(np.diff(history.loss) <= 1e-12)
    np.testing.assert_allclose(history.loss, history.error + history.regularisation, rtol=1e-12)
    assert history.error[0] == pytest.approx(np.log(2)), "it starts at the prevalence"


def test_early_stopping_keeps_the_best_of_what_the_selection_part_saw():
    params = AnnParams(members=1, weight=0.0, hidden=(8,), minimum_iterations=3, patience=15)
    model = fit(examples(20, p=6, signal=0.3), examples(12, p=6, seed=1, signal=0.3, start=100), params, seed=2)
    errors = [row["selection_error"] for row in model.history]
    assert model.facts()["selection_error"] == min(errors[3:])
    assert len(errors) < params.iterations, "it stopped before the last iteration"
    assert model.facts()["epochs"] == len(errors) - 1 == errors.index(min(errors[3:])) + 15


def test_the_kept_parameters_are_those_of_the_kept_step():
    selection = examples(12, p=6, seed=1, signal=0.3, start=100)
    params = AnnParams(members=1, weight=0.0, hidden=(8,), calibration=UNCALIBRATED)
    model = fit(examples(20, p=6, signal=0.3), selection, params, seed=2)
    p = model.predict_proba(selection)[:, 1]
    cross_entropy = -np.mean(np.where(selection.y == 1, np.log(p), np.log(1 - p)))
    assert model.facts()["selection_error"] == pytest.approx(cross_entropy, rel=1e-9)


def test_regularisation_shrinks():
    sizes = []
    for weight in (0.0, 0.1, 1.0):
        params = AnnParams(hidden=(), weight=weight, members=1, patience=500)
        model = fit(examples(30), examples(10, seed=1, start=100), params, seed=0)
        sizes.append(float(model.networks[0].perceptrons[0].weight.detach().norm()))
    assert sizes[0] > sizes[1] > sizes[2]


def test_opennn_recipe_regresses_scaled_targets_and_clips():
    """No hidden layer, no penalty: least squares on -1 and 1, mapped back to [0, 1] and clipped."""
    train = examples(30, signal=2.0)
    params = AnnParams(
        recipe="opennn", hidden=(), weight=0.0, members=1, iterations=1000, minimum_iterations=1000, calibration=UNCALIBRATED
    )
    model = fit(train, examples(10, seed=1, start=100), params, seed=0)
    design = np.column_stack([train.table, np.ones(30)])
    fitted = design @ np.linalg.lstsq(design, 2.0 * train.y - 1, rcond=None)[0]
    np.testing.assert_allclose(model.predict_proba(train)[:, 1], np.clip((fitted + 1) / 2, 0, 1), atol=1e-7)


def test_an_ensemble_is_the_mean_of_its_members():
    train, selection = examples(24), examples(10, seed=1, start=100)
    model = fit(train, selection, AnnParams(members=3, calibration=UNCALIBRATED), seed=5)
    import torch

    x = torch.from_numpy(train.table.to_numpy(copy=True))
    mean = np.mean([network(x)[:, 0].detach().numpy() for network in model.networks], axis=0)
    np.testing.assert_array_equal(model.predict_proba(train)[:, 1], mean)
    assert {row["member"] for row in model.history} == {0, 1, 2}
    weights = [network.perceptrons[0].weight.detach().numpy() for network in model.networks]
    assert not np.allclose(weights[0], weights[1])


def test_recipes_and_errors_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="does not go with recipe"):
        AnnParams(recipe="opennn", error="cross_entropy")
    with pytest.raises(ConfigError, match="does not go with recipe"):
        fit(examples(24), examples(10, seed=1, start=100), AnnParams(recipe="modern", error="mean_squared"), seed=0)


def test_the_threshold_is_on_the_recalibrated_scale():
    train, selection = examples(40, signal=3.0), examples(20, seed=1, signal=3.0, start=100)
    model = fit(train, selection, AnnParams(members=1), seed=0)
    facts = model.facts()
    called = model.predict_proba(train)[:, 1] >= facts["threshold"]
    assert np.mean(called == train.y) > 0.9
    raw = expit(
        (np.log(facts["threshold"] / (1 - facts["threshold"])) - facts["recalibration_intercept"]) / facts["recalibration_slope"]
    )
    assert 0 < raw < 1
