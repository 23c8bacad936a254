"""How often the printed intervals hold the truth, by seeded simulation. The other intervals are simulated where they are tested:
DeLong, Spearman (test_pure_metrics), Kaplan-Meier, Aalen-Johansen (test_survival), differences of two models (tests/comparison),
associations (tests/correlation)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from radpipe.evaluation import calibration, weighted
from radpipe.evaluation import net_benefit as decisions
from radpipe.evaluation.bootstrap import bca_interval
from radpipe.evaluation.formulas import wilson_interval
from radpipe.evaluation.resampled import corrected_mean, degrees_of_freedom

N, RESAMPLES = 80, 400
WHO = np.array([f"p{i:02d}" for i in range(N)])


def cohort(rng):
    """Outcomes of 80 patients whose true risk is known, and overconfident predictions of it (logit times 1.5)."""
    line = rng.normal(size=N)
    y = (rng.random(N) < 1 / (1 + np.exp(-line))).astype(np.int64)
    return y, 1 / (1 + np.exp(-1.5 * line))


def covered(statistic, sets, truth, rng):
    inside = 0
    for _ in range(sets):
        y, p = cohort(rng)
        low, high = bca_interval(lambda w, y=y, p=p: statistic(y, p, w), WHO, RESAMPLES, 0.95, rng)
        inside += low <= truth <= high
    return inside / sets


def expectation(statistic, rng, draws=40):
    """The truth, from 40 x 80 x 60 patients."""
    found = []
    for _ in range(draws):
        parts = [cohort(rng) for _ in range(60)]
        y, p = np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])
        found.append(float(statistic(y, p, np.ones((1, len(y))))[0]))
    return float(np.mean(found))


STATISTICS = {
    "brier": lambda y, p, w: (w @ (p - y) ** 2) / w.sum(axis=1),
    "slope": lambda y, p, w: calibration.logistic_fits(y, calibration.logit(p), w)[1],
    "net_benefit": lambda y, p, w: decisions.net_benefit_of(y, p, np.array([0.4]), w)[:, 0],
}


@pytest.mark.parametrize(("name", "sets"), [("brier", 250), ("slope", 60), ("net_benefit", 250)])
def test_bootstrap_intervals(name, sets):
    """Nominal 0.95 at 80 patients; Monte-Carlo error 0.014 (slope 0.028)."""
    rng = np.random.default_rng(20)
    truth = expectation(STATISTICS[name], rng)
    assert covered(STATISTICS[name], sets, truth, rng) >= (0.91 if name != "slope" else 0.88)


def test_brier_at_a_time():
    """80 patients, a third censored; the truth from 80,000 uncensored ones."""
    rng = np.random.default_rng(21)

    def patients(n):
        line = rng.normal(size=n)
        return line, rng.exponential(np.exp(-line)), 1 - np.exp(-np.exp(line) * 0.7)

    _, time, risk = patients(80_000)
    truth = np.mean((risk - (time <= 0.7)) ** 2)
    inside = 0
    for _ in range(120):
        _, time, risk = patients(N)
        limit = rng.uniform(0.2, 3, N)
        seen, event = np.minimum(time, limit), (time <= limit).astype(np.int64)
        ends = bca_interval(lambda w, t=seen, e=event, r=risk: weighted.brier_at(t, e, r, 0.7, w), WHO, RESAMPLES, 0.95, rng)
        inside += ends[0] <= truth <= ends[1]
    assert inside / 120 >= 0.88


def test_wilson_interval_exactly():
    """No simulation: the coverage at n = 20 and 60, mean over all proportions, by the binomial distribution."""
    for n in (20, 60):
        counts = np.arange(n + 1)
        ends = np.array([wilson_interval(k / n, n, 0.95) for k in counts])
        shares = np.linspace(0.02, 0.98, 97)
        of_share = [binom.pmf(counts, n, p)[(ends[:, 0] <= p) & (p <= ends[:, 1])].sum() for p in shares]
        assert np.mean(of_share) == pytest.approx(0.95, abs=0.01) and min(of_share) > 0.83


def test_interval_of_a_mean_over_folds():
    """10 x 5 folds of a nearest-mean classifier, 60 patients: the interval holds the AUC that such a classifier has on average."""
    rng = np.random.default_rng(22)
    y = np.repeat([0, 1], 30)
    intervals, means = [], []
    for _ in range(150):
        x = rng.normal(size=(60, 6)) + 0.35 * y[:, None]
        values = []
        for _ in range(10):
            order = np.concatenate([rng.permutation(30), 30 + rng.permutation(30)])
            fold_of = np.empty(60, int)
            fold_of[order] = np.arange(60) % 5
            for fold in range(5):
                test = fold_of == fold
                direction = x[~test & (y == 1)].mean(axis=0) - x[~test & (y == 0)].mean(axis=0)
                score = x[test] @ direction
                values.append(np.mean(score[y[test] == 1][:, None] > score[y[test] == 0]))
        mean = corrected_mean(np.array(values), 12 / 48, degrees_of_freedom(10))
        means.append(mean.mean)
        intervals.append(mean.interval(0.95))
    truth = float(np.mean(means))
    inside = float(np.mean([low <= truth <= high for low, high in intervals]))
    assert 0.88 <= inside <= 1.0
    assert 0.5 < truth < norm.cdf(0.35 * np.sqrt(6 / 2)) + 0.05
