"""ComBat against sva::ComBat (R, sva 3.46.0), and what it must refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from radpipe.errors import CohortError, ConfigError
from radpipe.harmonisation.combat import ComBat

REFERENCE = Path(__file__).parents[1] / "evaluation" / "reference"


@pytest.fixture(scope="module")
def data():
    """36 cases of three sites, 25 features, age."""
    x = pd.read_csv(REFERENCE / "combat_in.csv").to_numpy().T
    covariates = pd.read_csv(REFERENCE / "combat_cov.csv")
    return x, covariates["batch"].to_numpy(), covariates["age"].to_numpy(float)


def test_is_sva(data):
    x, sites, age = data
    expected = pd.read_csv(REFERENCE / "combat_expected.csv").to_numpy().T
    assert ComBat().fit_transform(x, sites=sites, covariates=age) == pytest.approx(expected, abs=1e-9)


def test_fit_and_transform_are_apart(data):
    """What is learnt does not depend on who is transformed, and cases come out alike alone and together."""
    x, sites, age = data
    combat = ComBat().fit(x, sites=sites, covariates=age)
    whole = combat.transform(x, sites=sites, covariates=age)
    alone = np.vstack([combat.transform(x[i : i + 1], sites=sites[i : i + 1], covariates=age[i : i + 1]) for i in range(len(x))])
    assert alone == pytest.approx(whole, abs=1e-12)
    half = np.arange(36) % 2 == 0
    part = ComBat().fit(x[half], sites=sites[half], covariates=age[half])
    changed = x.copy()
    changed[~half] += 100  # nothing of the others reaches the fit
    again = ComBat().fit(changed[half], sites=sites[half], covariates=age[half])
    assert np.array_equal(part.gamma_, again.gamma_)


def test_the_reference_site_stays_and_the_others_come_to_it(data):
    x, sites, _ = data
    found = ComBat(reference="A").fit_transform(x, sites=sites)
    assert found[sites == "A"] == pytest.approx(x[sites == "A"], abs=1e-12)
    gap = lambda v: np.abs(v[sites == "B"].mean(axis=0) - v[sites == "A"].mean(axis=0)).mean()  # noqa: E731
    assert gap(found) < 0.5 * gap(x)


def test_what_a_site_adds_is_taken_out_and_the_covariate_kept():
    """Planted: site shifts of 3 and scales of 2, age with a slope of 0.1 in every feature."""
    rng = np.random.default_rng(0)
    n, features = 300, 30
    sites = np.repeat(["one", "two"], n // 2)
    age = rng.normal(60, 10, n) + 5 * (sites == "two")
    noise = rng.normal(size=(n, features))
    x = 0.1 * age[:, None] + np.where((sites == "two")[:, None], 2 * noise + 3, noise)
    slope = lambda v: np.polyfit(age, v.mean(axis=1), 1)[0]  # noqa: E731
    found = ComBat(reference="one").fit_transform(x, sites=sites, covariates=age)
    shift = found[sites == "two"].mean() - found[sites == "one"].mean()
    assert shift == pytest.approx(0.1 * (age[sites == "two"].mean() - age[sites == "one"].mean()), abs=0.1)
    assert slope(found) == pytest.approx(0.1, abs=0.02)
    residual = found - 0.1 * age[:, None]
    assert residual[sites == "two"].std() / residual[sites == "one"].std() == pytest.approx(1.0, abs=0.1)


def test_constant_features_stay_as_they_are(data):
    x, sites, age = data
    with_flat = x.copy()
    with_flat[:, 3] = 5.0
    with_flat[sites == "B", 7] = 1.0
    combat = ComBat().fit(with_flat, sites=sites, covariates=age)
    found = combat.transform(with_flat, sites=sites, covariates=age)
    assert np.array_equal(found[:, [3, 7]], with_flat[:, [3, 7]]) and np.isfinite(found).all()
    assert combat.adjusted_.sum() == 23


def test_it_says_whom_it_saw(data):
    x, sites, _ = data
    names = [f"p{i}" for i in range(36)]
    combat = ComBat().fit(x, sites=sites, patients=names)
    assert combat.saw_ == sorted(names) and len(combat.saw_sha256_) == 64
    assert combat.saw_sha256_ != ComBat().fit(x[:35], sites=sites[:35], patients=names[:35]).saw_sha256_
    assert clone(ComBat(reference="A")).reference == "A"


def test_what_is_refused(data):
    x, sites, age = data
    combat = ComBat().fit(x, sites=sites, covariates=age)
    cases = [
        (lambda: combat.transform(x[:2], sites=["A", "D"], covariates=age[:2]), CohortError, "site 'D' was not among"),
        (lambda: ComBat().fit(x, sites=["new", *sites[1:]]), CohortError, "site 'new' has one case"),
        (lambda: ComBat().fit(x, sites=["A"] * 36), CohortError, "one site only"),
        (lambda: ComBat(reference="Z").fit(x, sites=sites), ConfigError, "no site 'Z'"),
        (lambda: ComBat().fit(x, sites=sites, covariates=(sites == "A").astype(float)), CohortError, "cannot be told apart"),
        (lambda: ComBat().fit(np.where(x == x[4, 2], np.nan, x), sites=sites), CohortError, "missing"),
        (lambda: ComBat().fit(x, sites=["", *sites[1:]]), CohortError, "no site"),
        (lambda: ComBat().fit(x, sites=sites[:5]), CohortError, "36 cases and 5 sites"),
        (lambda: combat.transform(x[:, :4], sites=sites, covariates=age), CohortError, "4 features"),
        (lambda: combat.transform(x, sites=sites), CohortError, "0 covariates"),
        (lambda: ComBat().fit(x, sites=sites, covariates=np.where(age > 60, np.nan, age)), CohortError, "covariate is missing"),
    ]
    for call, kind, words in cases:
        with pytest.raises(kind, match=words) as error:
            call()
        assert error.value.hint
