"""Net benefit, ECE, numbers, several classes, optimism and AUC intervals against R, scikit-learn, scipy and worked cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from radpipe.errors import CohortError, ConfigError
from radpipe.evaluation import calibration, numbers, optimism, several_classes
from radpipe.evaluation import net_benefit as decisions
from radpipe.evaluation.delong import auc_interval
from radpipe.evaluation.formulas import auc
from radpipe.evaluation.sample_size import reach, riley_number, riley_time
from radpipe.evaluation.survival import kaplan_meier

AT = np.array([0.1, 0.25, 0.5])


def test_net_benefit_is_Rs(binary, expected):
    y = binary["y"].to_numpy()
    for model in ("A", "B"):
        found = decisions.net_benefit(y, binary[f"p{model}"].to_numpy(), AT)
        assert found == pytest.approx(expected[f"netbenefit_p{model}_0.10_0.25_0.50"], rel=1e-12)
    assert decisions.treat_all(y.mean(), AT) == pytest.approx(expected["netbenefit_all"], rel=1e-12)


def test_net_benefit_of_another_prevalence_and_weights(binary):
    """dcurves' df_binary figures of treating all: prevalence 105/750 at t = .25 -> -0.1466667; .15 -> -0.13333333."""
    assert decisions.treat_all(105 / 750, np.array([0.25]))[0] == pytest.approx(-0.1466667, abs=1e-7)
    assert decisions.treat_all(0.15, np.array([0.25]))[0] == pytest.approx(-0.13333333, abs=1e-8)
    y, p = binary["y"].to_numpy(), binary["pA"].to_numpy()
    own = decisions.net_benefit(y, p, AT)
    assert decisions.net_benefit(y, p, AT, prevalence=float(y.mean())) == pytest.approx(own)
    doubled = decisions.net_benefit_of(y, p, AT, np.where(y == 1, 2.0, 1.0)[None, :])[0]
    assert doubled == pytest.approx(decisions.net_benefit(np.append(y, y[y == 1]), np.append(p, p[y == 1]), AT))
    with pytest.raises(ConfigError, match="threshold"):
        decisions.net_benefit(y, p, np.array([1.0]))


def test_net_benefit_of_time_to_event(reference):
    data = pd.read_csv(reference / "survival.csv")
    time, event = data["time"].to_numpy(float), data["event"].to_numpy()
    risk = 1 / (1 + np.exp(-data["x1"].to_numpy()))
    everybody = decisions.net_benefit_at(time, event, np.ones(len(time)), AT, 60)
    assert everybody == pytest.approx(decisions.treat_all(1 - kaplan_meier(time, event).at(60)[0], AT))
    # nobody censored: it is the plain one
    plain = decisions.net_benefit((time <= 60).astype(int), risk, AT)
    assert decisions.net_benefit_at(time, np.ones_like(event), risk, AT, 60) == pytest.approx(plain)
    assert decisions.net_benefit_at(time, event, np.zeros(len(time)), AT, 60).tolist() == [0, 0, 0]


def test_ece_of_right_and_wrong_probabilities():
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    y = (rng.random(len(p)) < p).astype(int)
    assert calibration.expected_calibration_error(y, p, 10) < 0.006
    assert calibration.expected_calibration_error(np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.6, 0.8]), 2) == pytest.approx(
        0.25
    )
    assert calibration.expected_calibration_error(y, np.full(len(p), y.mean()), 1) == pytest.approx(0, abs=1e-12)  # not proper


def test_numbers_are_scikit_learns():
    rng = np.random.default_rng(1)
    truth = rng.normal(5, 2, 50)
    predicted = truth + rng.normal(size=50).round(1)
    assert numbers.rmse(truth, predicted) == pytest.approx(sk.root_mean_squared_error(truth, predicted))
    assert numbers.mae(truth, predicted) == pytest.approx(sk.mean_absolute_error(truth, predicted))
    assert numbers.r2(truth, predicted) == pytest.approx(sk.r2_score(truth, predicted))
    assert numbers.spearman(truth, predicted) == pytest.approx(stats.spearmanr(truth, predicted).statistic)
    assert np.isnan(numbers.r2(np.ones(3), np.zeros(3))) and np.isnan(numbers.spearman(truth, np.ones(50)))


def test_spearman_is_Rs(binary, expected):
    assert numbers.spearman(binary["A"].to_numpy(), binary["B"].to_numpy()) == pytest.approx(expected["spearman_AB_rho_p"][0])


def test_several_classes_are_scikit_learns():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, 80)
    p = rng.dirichlet([1, 1, 1], 80)
    assert several_classes.macro_auc(y, p) == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr", average="macro"))
    assert several_classes.log_loss(y, p) == pytest.approx(sk.log_loss(y, p))
    assert several_classes.accuracy(y, p) == pytest.approx(sk.accuracy_score(y, p.argmax(axis=1)))
    assert several_classes.brier_of_classes(y, p) == pytest.approx(
        np.mean([sk.brier_score_loss(y == k, p[:, k]) for k in range(3)]) * 3
    )
    two = np.column_stack([1 - p[:, 0], p[:, 0]])
    assert several_classes.macro_auc((y > 1).astype(int), two) == pytest.approx(auc((y > 1).astype(int), p[:, 0]))
    assert np.isnan(several_classes.macro_auc(np.minimum(y, 1), p))


def test_auc_interval_is_pROCs(binary, expected):
    low, value, high = expected["ci_delong_A"]
    found = auc_interval(binary["y"].to_numpy(), binary["A"].to_numpy(), logit=False)
    assert found == pytest.approx((value, low, high), rel=1e-9)
    inside = auc_interval(binary["y"].to_numpy(), binary["A"].to_numpy())
    assert low - 0.02 < inside[1] < value < inside[2] < high
    perfect = auc_interval(np.array([0, 0, 1, 1]), np.array([1.0, 2, 3, 4]))
    assert perfect[0] == 1 and np.isnan(perfect[1:]).all()


def coverage(make, interval, truth, sets):
    ends = np.array([interval(*make()) for _ in range(sets)])
    return float(np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])))


def test_intervals_cover_what_they_should():
    """Nominal 0.95 at 20 + 30 cases, a true AUC of 0.90 and a Spearman of about 0.5; Monte-Carlo error of 500 sets 0.01."""
    rng = np.random.default_rng(3)
    y = np.repeat([1, 0], [20, 30])
    gap = stats.norm.ppf(0.9) * np.sqrt(2)
    covered = coverage(lambda: (y, rng.normal(size=50) + gap * y), lambda *a: auc_interval(*a)[1:], 0.9, 500)
    assert 0.92 < covered < 0.98
    rho = 0.5
    true_spearman = 6 / np.pi * np.arcsin(rho / 2)

    def pair():
        x = rng.normal(size=40)
        return x, rho * x + np.sqrt(1 - rho**2) * rng.normal(size=40)

    covered = coverage(pair, lambda a, b: numbers.correlation_interval(numbers.spearman(a, b), 40), true_spearman, 500)
    assert 0.92 < covered < 0.98


def fit(x, y):
    model = LogisticRegression(C=1e6, max_iter=1000).fit(x, y)
    return lambda rows: model.predict_proba(rows)[:, 1]


def test_optimism_of_a_model_of_noise():
    """No signal, so the truth is an AUC of 0.5 and an error of the prevalence: both corrections come near, neither apparent does."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(80, 6)), np.repeat([0, 1], 40)
    found = optimism.bootstrap_optimism(fit, x, y, auc, 40, np.random.default_rng(5))
    assert found.apparent > 0.58 and abs(found.corrected - 0.5) < 0.1 and found.n_resamples == 40
    wrong = lambda truth, p: ((p >= 0.5) != truth).astype(float)  # noqa: E731
    point = optimism.point_632_plus(fit, x, y, wrong, 40, np.random.default_rng(6))
    assert point.apparent < 0.42 and abs(point.value - 0.5) < 0.08
    assert point.no_information == pytest.approx(0.5, abs=0.01) and 0.632 <= point.weight <= 1


def test_optimism_of_a_rule_that_learns_nothing_is_none():
    y = np.repeat([0, 1], 10)
    x = np.arange(20.0)[:, None]
    rule = lambda rows, outcome: lambda new: new[:, 0] / 20  # noqa: E731
    found = optimism.bootstrap_optimism(rule, x, y, auc, 50, np.random.default_rng(0))
    assert found.apparent == 1 and found.optimism == 0
    with pytest.raises(CohortError, match="too few"):
        optimism.bootstrap_optimism(rule, x[:2], np.array([0, 1]), lambda *a: np.nan, 3, np.random.default_rng(0))


def test_sample_sizes_are_pmsampsizes():
    """The examples of the R package's help, and two more run with pmsampsize for Python (its criteria 1 to 3)."""
    asked = riley_number(25, mean=1.9, sd=0.6, r2_adjusted=0.2)
    assert (asked.shrinkage, asked.optimism, asked.residual, asked.patients) == (918, 401, 259, 918)
    other = riley_number(8, mean=3, sd=9, r2_adjusted=0.4)
    assert (other.shrinkage, other.optimism, other.residual) == (101, 97, 242)
    # its fourth, by hand: t * sd * sqrt((1 - R2) / n) is at most a tenth of the mean, and not with one patient fewer
    half = [stats.t.ppf(0.975, n - 9) * 9 * np.sqrt(0.6 / n) for n in (other.mean, other.mean - 1)]
    assert half[0] <= 0.3 < half[1]
    time = riley_time(30, event_rate=0.065, mean_follow_up=2.07, horizon=2, r2_cox_snell=0.051)
    assert (time.shrinkage, time.optimism, time.patients, time.events) == (5143, 1039, 5143, 692)
    assert (time.risk_low, time.risk, time.risk_high) == pytest.approx((0.113, 0.122, 0.130), abs=5e-4)
    time = riley_time(12, event_rate=0.2, mean_follow_up=1.5, horizon=1, r2_cox_snell=0.15)
    assert (time.shrinkage, time.optimism, time.events) == (659, 296, 198)
    for call in (
        lambda: riley_number(5, 0.0, 1.0), lambda: riley_time(5, 0.0, 2, 1), lambda: riley_time(5, 0.001, 1, 1, 0.5), lambda: reach(0, 10),
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            call()


def test_what_a_comparison_can_reach():
    """STATISTICS.md, correlation .7: equivalence 0 of 400 at n = 180, 24 % at 400, 92 % at 1,000."""
    chances = [reach(round(0.37 * n), n - round(0.37 * n), correlation=0.7).p_equivalent for n in (180, 400, 1000)]
    assert chances[0] < 0.05 and 0.15 < chances[1] < 0.35 and 0.75 < chances[2] < 0.97
    small, large = reach(13, 21), reach(800, 1200)
    assert small.verdicts == ("not_resolved",) and "equivalent" in large.verdicts and large.detectable_gap < 0.06
    assert reach(30, 50, repeats=1).verdicts == ("not_resolved",)
    # simulation of STATISTICS.md: n = 100, gap .15 between independent models found in .61 (power of the primary test)
    middling = reach(40, 60, auc=0.72, correlation=0.3)
    assert 0.1 < middling.detectable_gap < 0.3
