"""Each kind of association against R, scipy and simulation; false discoveries, mixed model, thirds, clusters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from radpipe.core.tables import ASSOCIATIONS, FEATURE_CLUSTERS, TERTILES, check_table
from radpipe.correlation import association
from radpipe.correlation.mixed import fit_mixed
from radpipe.correlation.screen import Outcome, benjamini_hochberg, cluster_features, screen, tertile_curves
from radpipe.errors import CohortError
from radpipe.evaluation.survival import kaplan_meier, log_rank

REFERENCE = Path(__file__).parents[1] / "evaluation" / "reference"


@pytest.fixture(scope="module")
def expected():
    return json.loads((REFERENCE / "expected.json").read_text())


@pytest.fixture(scope="module")
def binary():
    return pd.read_csv(REFERENCE / "binary.csv")


@pytest.fixture(scope="module")
def survival():
    return pd.read_csv(REFERENCE / "survival.csv")


def test_two_classes_are_wilcox_test(binary, expected):
    found = association.with_classes(binary["B"].to_numpy(), binary["y"].to_numpy())
    w, p = expected["wilcoxon_B_W_p"]
    assert found.p_value == pytest.approx(p, rel=1e-9)
    assert found.effect == pytest.approx(expected["auc_A_B_C"][1]) and found.ci_low > 0.5
    assert 1 - found.effect == pytest.approx(w / (45 * 75))  # R's W counts the class 0


def test_numbers_are_cor_test(binary, expected):
    found = association.with_number(binary["A"].to_numpy(), binary["B"].to_numpy())
    assert [found.effect, found.p_value] == pytest.approx(expected["spearman_AB_rho_p"], rel=1e-9)
    assert found.ci_low < found.effect < found.ci_high


def test_partial_correlation_is_its_formula(binary):
    """With one covariate: (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2)) of the ranks' correlations."""
    x, y, z = (binary[name].to_numpy(float) for name in ("A", "B", "C"))
    xy, xz, yz = (stats.spearmanr(a, b).statistic for a, b in ((x, y), (x, z), (y, z)))
    found = association.with_number(x, y, z[:, None])
    assert found.effect == pytest.approx((xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2)))
    assert found.measure == "partial_spearman" and "117 df" in found.method


def test_grades_are_scipys_kendall(binary):
    found = association.with_order(binary["B"].to_numpy(), binary["C"].to_numpy(float))
    theirs = stats.kendalltau(binary["B"], binary["C"], method="asymptotic")
    assert (found.effect, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))


def test_times_are_coxph(survival, expected):
    time, event = survival["time"].to_numpy(float), survival["event"].to_numpy()
    x, other = survival["x1"].to_numpy(), survival["x2"].to_numpy(float)
    found = association.with_time(x, time, event, other[:, None])
    beta, error = expected["cox_efron_coef"][0] * x.std(ddof=1), expected["cox_efron_se"][0] * x.std(ddof=1)
    wanted = np.exp([beta, beta - 1.959963984540054 * error, beta + 1.959963984540054 * error])
    assert [found.effect, found.ci_low, found.ci_high] == pytest.approx(wanted.tolist(), rel=1e-8)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(beta / error), rel=1e-6)


def test_logistic_regression_is_scikit_learns(binary):
    from sklearn.linear_model import LogisticRegression

    x, z, y = binary["A"].to_numpy(), binary[["C"]].to_numpy(float), binary["y"].to_numpy()
    found = association.with_classes_adjusted(x, y, z)
    design = np.column_stack([x / x.std(ddof=1), z])
    theirs = LogisticRegression(C=1e10, tol=1e-10, max_iter=10_000).fit(design, y)
    assert np.log(found.effect) == pytest.approx(theirs.coef_[0, 0], rel=1e-4)
    assert found.ci_low > 1 and found.p_value < 1e-4


def test_mixed_model_is_lmer(expected):
    data = pd.read_csv(REFERENCE / "mixed.csv")
    fit = fit_mixed(data["v"].to_numpy(), np.column_stack([np.ones(len(data)), data["t"]]), data["id"].to_numpy())
    assert fit.coefficients == pytest.approx(expected["lmer_fixef"], rel=1e-9)
    assert [fit.variance_between, fit.variance_within] == pytest.approx(expected["lmer_var_id_resid"], rel=1e-6)
    assert fit.log_likelihood == pytest.approx(expected["lmer_reml_loglik"][0], rel=1e-9)


def test_false_discoveries_are_p_adjust(expected):
    p = np.array(
        [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528, 0.759, 1]
    )
    assert benjamini_hochberg(p) == pytest.approx(expected["bh"], rel=1e-12)
    shuffled = np.random.default_rng(0).permutation(15)
    assert benjamini_hochberg(p[shuffled]) == pytest.approx(np.array(expected["bh"])[shuffled])
    with_gap = benjamini_hochberg(np.append(p, np.nan))
    assert with_gap[:15] == pytest.approx(expected["bh"]) and np.isnan(with_gap[15])


def cohort(n=80, several=1, seed=0):
    """Volume drives the outcome; 'echo' follows volume only, 'own' the outcome itself, 'noise' nothing."""
    rng = np.random.default_rng(seed)
    volume = rng.normal(size=n)
    own = rng.normal(size=n)
    line = volume + own
    features = pd.DataFrame({"echo": volume + 0.5 * rng.normal(size=n), "own": own, "noise": rng.normal(size=n), "flat": 1.0})
    return features, pd.DataFrame({"volume": volume}), line, rng


def outcomes(line, rng):
    n = len(line)
    time = rng.exponential(np.exp(-line)).round(4) + 1e-3
    return {
        "binary": Outcome("y", "binary", (line + rng.normal(size=n) > 0).astype(float)),
        "ordinal": Outcome("y", "ordinal", np.digitize(line + rng.normal(size=n), [-1, 0, 1]).astype(float)),
        "continuous": Outcome("y", "continuous", line + rng.normal(size=n)),
        "time_to_event": Outcome("y", "time_to_event", (rng.random(n) < 0.8).astype(float), time),
    }


@pytest.mark.parametrize("kind", ["binary", "ordinal", "continuous", "time_to_event"])
def test_adjusting_takes_out_what_is_volume(kind):
    features, covariates, line, rng = cohort(n=160)
    outcome = outcomes(line, rng)[kind]
    table = screen(features, outcome, covariates=covariates)
    check_table(table, ASSOCIATIONS)
    p = table.set_index(["analysis", "feature"])["p_value"]
    assert p["unadjusted", "echo"] < 0.01 and p["adjusted", "echo"] > 0.03 and p["adjusted", "own"] < 0.001
    assert np.isnan(p["unadjusted", "flat"]) and (table["n"] == 160).all()
    assert table[table["analysis"] == "adjusted"]["method"].str.contains("beside volume|same for every").all()
    known = table.dropna(subset=["effect"])
    assert ((known["ci_low"] <= known["effect"]) & (known["effect"] <= known["ci_high"])).all()
    assert (known["q_value"] >= known["p_value"]).all()


def test_noise_is_called_as_often_as_promised():
    """120 features of noise, every test at 0.05: Monte-Carlo error 0.02."""
    rng = np.random.default_rng(1)
    line = rng.normal(size=60)
    for outcome in outcomes(line, rng).values():
        noise = pd.DataFrame(rng.normal(size=(60, 120)), columns=[f"f{k}" for k in range(120)])
        table = screen(noise, outcome)
        assert (table["p_value"] < 0.05).mean() <= 0.11, outcome.kind
        excluded = (table["ci_low"] > table["no_effect"]) | (table["ci_high"] < table["no_effect"])
        assert excluded.mean() <= 0.11, outcome.kind  # the intervals cover what is true
        assert (table["q_value"] < 0.05).sum() <= 3


def test_several_lesions_go_through_the_mixed_model():
    """30 patients of 4 lesions, the outcome a patient's: lesions taken as patients would call noise in a third of the tries."""
    rng = np.random.default_rng(2)
    patients = np.repeat([f"p{k:02d}" for k in range(30)], 4)
    y = np.repeat(rng.permutation([0, 1] * 15), 4).astype(float)
    levels = np.repeat(rng.normal(size=(30, 60)), 4, axis=0)
    features = pd.DataFrame(levels + 0.5 * rng.normal(size=(120, 60))).add_prefix("f")
    table = screen(features, Outcome("y", "binary", y), patients=patients.tolist())
    assert set(table["measure"]) == {"difference_in_sd"} and (table["p_value"] < 0.05).mean() < 0.14
    naive = screen(features, Outcome("y", "binary", y))
    assert (naive["p_value"] < 0.05).mean() > 0.2
    time = np.repeat(rng.exponential(size=30), 4)
    table = screen(features.iloc[:, :3], Outcome("t", "time_to_event", np.ones(120), time), patients=patients.tolist())
    assert (table["n"] == 30).all() and table["method"].str.startswith("mean of the patient's regions").all()


def test_thirds_are_kaplan_meiers(survival):
    outcome = Outcome("death", "time_to_event", survival["event"].to_numpy(float), survival["time"].to_numpy(float))
    table = tertile_curves(survival[["x1"]], outcome, ["x1"])
    check_table(table, TERTILES)
    third = np.digitize(survival["x1"], np.quantile(survival["x1"], [1 / 3, 2 / 3]), right=True)
    own = third == 2
    curve = kaplan_meier(survival["time"].to_numpy(float)[own], survival["event"].to_numpy()[own])
    part = table[table["tertile"] == "highest"]
    assert part["event_free"].to_numpy()[1:] == pytest.approx(curve.value) and part["event_free"].iloc[0] == 1
    p = log_rank(survival["time"].to_numpy(float), survival["event"].to_numpy(), third).p_value
    assert part["p_value"].iloc[0] == pytest.approx(p)


def test_clusters_of_features():
    rng = np.random.default_rng(3)
    base = rng.normal(size=(50, 2))
    features = pd.DataFrame(
        {
            "a": base[:, 0],
            "b": base[:, 1],
            "a_twin": -np.exp(base[:, 0]),
            "flat": 1.0,
            "b_twin": base[:, 1] + 0.01 * rng.normal(size=50),
        }
    )
    table, rho = cluster_features(features)
    check_table(table, FEATURE_CLUSTERS)
    cluster = table.set_index("feature")["cluster"]
    assert cluster["a"] == cluster["a_twin"] != cluster["b"] == cluster["b_twin"] and len(table) == 4
    order = table["feature"].tolist()
    assert rho[order.index("a"), order.index("a_twin")] == pytest.approx(-1)
    assert len(cluster_features(features[["a", "flat"]])[0]) == 1


def test_what_cannot_be_told_says_so(survival):
    few = association.with_classes(np.arange(12.0), np.array([1] * 3 + [0] * 9))
    assert np.isnan(few.effect) and few.method.startswith("too few to say: 3 and 9")
    apart = association.with_classes(np.arange(20.0), np.array([0] * 10 + [1] * 10))
    assert apart.effect == 1 and np.isnan(apart.ci_low) and "separated" in apart.method
    assert "infinite" in association.with_time(np.repeat([2.0, 1.0], 10), np.arange(20.0), np.array([1] * 10 + [0] * 10)).method
    assert "too few" in association.with_time(np.arange(20.0), np.arange(20.0), np.array([1] * 4 + [0] * 16)).method
    separated = association.with_classes_adjusted(
        np.arange(40.0), np.array([0] * 20 + [1] * 20), np.random.default_rng(0).normal(size=(40, 1))
    )
    assert "separate the classes" in separated.method
    assert "tell the feature" in association.with_number(np.arange(20.0), np.arange(20.0) ** 0.5, np.arange(20.0)[:, None]).method
    with pytest.raises(CohortError, match="same for everybody"):
        Outcome("y", "binary", np.ones(5)).check()
    for time, event, words in (([-1.0, 2], [1.0, 0], "times are 0 or more"), ([1.0, 2], [0.0, 0], "nobody has the event")):
        with pytest.raises(CohortError, match=words):
            Outcome("y", "time_to_event", np.array(event), np.array(time)).check()
    with pytest.raises(CohortError, match="no level of a patient"):
        fit_mixed(np.arange(5.0), np.ones((5, 1)), np.arange(5))
