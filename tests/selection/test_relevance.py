"""Relevance of numbers and times, what is left of it given the volume, and stability over folds that share patients."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, rankdata, spearmanr
from sklearn.model_selection import StratifiedKFold

from radpipe.errors import CohortError, SchemaError
from radpipe.selection.confounding import answer_of, given_volume
from radpipe.selection.prepare import filled_ranks, relevance
from radpipe.selection.stability import nogueira
from radpipe.selection.target import Target


def test_of_a_number_it_is_spearman() -> None:
    rng = np.random.default_rng(0)
    x, value = rng.integers(0, 9, size=(40, 3)).astype(float), rng.normal(size=40).round(1)
    expected = [abs(spearmanr(column, value).statistic) for column in x.T]
    found = relevance(filled_ranks(x), Target("number", np.zeros(40, int), value=value))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_of_times_it_is_harrells_c_by_r(shared_data: Path) -> None:
    """survival::concordance of one column, with ties in times and in the column; R counts a tie in the column for half."""
    folder = shared_data / "statistics_fixtures"
    table = pd.read_csv(folder / "survival.csv")
    expected = json.loads((folder / "expected.json").read_text())["harrellC_x1"][0]
    target = Target("time_to_event", table["event"].to_numpy(), time=table["time"].to_numpy(float))
    found = relevance(filled_ranks(table[["x1"]].to_numpy(float)), target)
    assert found[0] == pytest.approx(2 * (expected - 0.5), abs=1e-12)


def test_of_times_by_hand() -> None:
    """Patients A (1, event), B (2, censored), C (3, event), D (3, censored), E (4, event).

    Pairs whose order is known: A with all four, C with D (one time, C had the event) and with E. With x = 5 4 1 3 2, a large x going
    early: A is right four times; C wrong twice. C-index 4/6, so 2 |4/6 - 1/2| = 1/3.
    """
    target = Target("time_to_event", np.array([1, 0, 1, 0, 1]), time=np.array([1.0, 2, 3, 3, 4]))
    found = relevance(np.array([[5.0, 1.0], [4, 1], [1, 1], [3, 1], [2, 1]]), target)
    np.testing.assert_allclose(found, [1 / 3, 0.0], atol=1e-12)


def test_martingale_residuals_by_hand() -> None:
    """Three of three at risk at 1, one of two at 2: hazards 1/3 and 1/3 + 1/2 + ...; residuals sum to 0."""
    target = Target("time_to_event", np.array([1, 1, 0, 2]), time=np.array([1.0, 2, 3, 3]))
    np.testing.assert_allclose(target.responses()[:, 0], [1 - 1 / 4, 1 - 1 / 4 - 1 / 3, -7 / 12, -7 / 12], atol=1e-12)
    assert target.responses().sum() == pytest.approx(0, abs=1e-12)


def test_outcomes_that_tell_nothing_are_named() -> None:
    with pytest.raises(CohortError, match="no event"):
        Target("time_to_event", np.array([0, 2]), time=np.ones(2)).refuse_empty()
    with pytest.raises(CohortError, match="one value only"):
        Target("number", np.zeros(2, int), value=np.ones(2)).refuse_empty()
    with pytest.raises(SchemaError, match="negative or not finite"):
        Target("time_to_event", np.array([0, 1]), time=np.array([1.0, -2.0]))
    with pytest.raises(SchemaError, match="without a value"):
        Target("number", np.zeros(2, int))


def test_partial_spearman_is_the_correlation_of_residuals() -> None:
    rng = np.random.default_rng(4)
    volume = rng.exponential(size=70)
    feature = volume**0.7 * np.exp(0.3 * rng.normal(size=70))
    y = (volume * np.exp(rng.normal(size=70)) > 0.8).astype(int)
    found = given_volume(feature, volume, answer_of(Target.of(y))[0])
    x, z, out = rankdata(feature), rankdata(volume), rankdata(y)
    left = [values - np.polyval(np.polyfit(z, values, 1), z) for values in (x, out)]
    assert found.partial == pytest.approx(pearsonr(*left).statistic, abs=1e-12)
    assert found.rho_volume == pytest.approx(spearmanr(feature, volume).statistic, abs=1e-12)
    assert found.association == pytest.approx(spearmanr(feature, y).statistic, abs=1e-12)
    assert found.low < found.partial < found.high and found.association > found.high  # most of it was the volume
    again = given_volume(np.log(feature), -1 / volume, answer_of(Target.of(y))[0])
    assert again == found  # ranks


def test_the_volume_itself_has_nothing_left_and_gaps_are_left_out() -> None:
    volume = np.arange(20.0)
    answer = answer_of(Target.of(np.arange(20) % 2))[0]
    assert np.isnan(given_volume(2 * volume, volume, answer).partial)
    short = given_volume(np.where(volume < 15, np.nan, volume), volume, answer)
    assert short.n == 5 and np.isnan(short.association)


def test_the_interval_of_a_partial_association_covers() -> None:
    """Feature and outcome are both the volume and noise of their own: nothing is left given it."""
    rng = np.random.default_rng(8)
    covered = []
    for _ in range(400):
        volume = rng.normal(size=60)
        noise = rng.normal(size=(2, 60))
        found = given_volume(
            volume + noise[0], volume, answer_of(Target("number", np.zeros(60, int), value=volume + noise[1]))[0]
        )
        covered.append(found.low <= 0 <= found.high)
    assert 0.91 < np.mean(covered) < 0.99


def test_folds_share_patients_and_the_interval_must_know() -> None:
    """The three most relevant of 20 features, in 2 x 5 folds of 60 patients: the interval for independent folds misses the mean over
    cohorts far more often than once in twenty."""
    rng = np.random.default_rng(2)
    names = [f"f{k}" for k in range(20)]

    def cohort() -> tuple[pd.DataFrame, np.ndarray]:
        y = np.arange(60) % 2
        return pd.DataFrame(rng.normal(size=(60, 20)) + 0.5 * y[:, None] * (np.arange(20) < 5), columns=names), y

    values, naive, wide = [], [], []
    for run in range(60):
        table, y = cohort()
        ranks = table.to_numpy()
        kept = []
        for repeat in range(2):
            for train, _ in StratifiedKFold(5, shuffle=True, random_state=100 * run + repeat).split(ranks, y):
                related = relevance(filled_ranks(ranks[train]), y[train])
                kept.append(related >= np.sort(related)[-3])
        value, low, high = nogueira(np.array(kept))
        values.append(value)
        naive.append((low, high))
        wide.append(nogueira(np.array(kept), 1 / 4)[1:])
    truth = np.mean(values)
    cover = [np.mean([low <= truth <= high for low, high in ends]) for ends in (naive, wide)]
    # Over 300 other cohorts 0.52 and 0.82 were seen: better, and still too narrow.
    assert cover[0] < 0.8 and cover[1] > 0.8
