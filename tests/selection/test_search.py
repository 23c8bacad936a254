"""mRMR, growing and pruning worked by hand; what stability selection promises of noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from radpipe.selection import growing, mrmr, pruning, subsamples
from radpipe.selection.config import SelectionSettings
from radpipe.selection.ranking import Inputs
from radpipe.selection.target import Target


def inputs(relevance: Sequence[float], errors: dict[int, float] | None = None, asked: list[int] | None = None) -> Inputs:
    """Inputs of these relevances; a network whose selection error depends on how many inputs it has."""
    p = len(relevance)
    rng = np.random.default_rng(0)
    ranks = rng.permuted(np.tile(np.arange(1.0, 21), (p, 1)), axis=1).T
    target = Target.of(np.arange(20) % 2)

    def trainer(values, target, selection_values, selection_target, subsets, *, seed):
        for subset in subsets:
            assert list(subset) == sorted(subset)
            if asked is not None:
                asked.append(len(subset))
        return np.array([(errors or {})[len(subset)] for subset in subsets])

    part = (ranks[:5], target.take(np.arange(5)), trainer) if errors else (None, None, None)
    return Inputs(tuple(f"x{k}" for k in range(p)), ranks, np.asarray(relevance, float), target, ranks, *part)


ALL = SelectionSettings(max_features=None)


def kept(ranking) -> list[int]:
    return np.flatnonzero(ranking.important).tolist()


def test_growing_takes_the_number_with_the_least_error_in_order_of_relevance() -> None:
    errors = {1: 0.9, 2: 0.6, 3: 0.5, 4: 0.55, 5: 0.7}
    found = growing.rank(inputs([0.1, 0.5, 0.3, 0.4, 0.2], errors), ALL, seed=0)
    assert kept(found) == [1, 2, 3] and [step[0] for step in found.steps] == [1, 2, 3, 4, 5]
    assert kept(growing.rank(inputs([0.1, 0.5, 0.3, 0.4, 0.2], errors), SelectionSettings(max_features=2), seed=0)) == [1, 3]


def test_growing_stops_after_so_many_rises_even_if_better_comes_later() -> None:
    errors = {1: 0.5, 2: 0.6, 3: 0.55, 4: 0.7, 5: 0.8, 6: 0.1}
    found = growing.rank(inputs(np.linspace(0.6, 0.1, 6), errors), ALL, seed=0)  # three of six rises: at 2, 4 and 5
    assert kept(found) == [0] and [step[0] for step in found.steps] == [1, 2, 3, 4, 5]
    patient = SelectionSettings(max_features=None, selection_failures=4)
    assert len(kept(growing.rank(inputs(np.linspace(0.6, 0.1, 6), errors), patient, seed=0))) == 6


def test_growing_takes_the_strongly_related_at_once_and_leaves_the_unrelated() -> None:
    errors = {k: 1 / k for k in range(1, 6)}
    settings = SelectionSettings(max_features=None, maximum_correlation=0.4, minimum_correlation=0.15)
    asked: list[int] = []
    found = growing.rank(inputs([0.5, 0.45, 0.3, 0.2, 0.1], errors, asked), settings, seed=0)
    assert asked[0] == 2 and kept(found) == [0, 1, 2, 3]
    assert kept(growing.rank(inputs([0.3, 0.99999, 0.95], errors), settings, seed=0)) == [1]  # linearly separable


def test_pruning_starts_with_all_and_prefers_fewer_of_equals() -> None:
    errors = {5: 0.5, 4: 0.4, 3: 0.4, 2: 0.6, 1: 0.7}
    found = pruning.rank(inputs([0.1, 0.5, 0.3, 0.4, 0.2], errors), ALL, seed=0)
    assert kept(found) == [1, 2, 3] and [step[0] for step in found.steps] == [5, 4, 3, 2, 1]
    assert kept(pruning.rank(inputs([0.1, 0.5, 0.3, 0.4, 0.2], errors), SelectionSettings(max_features=4), seed=0)) == [1, 2, 3]


def test_a_network_that_cannot_be_trained_is_never_the_best() -> None:
    found = growing.rank(inputs([0.3, 0.2], {1: np.nan, 2: 0.9}), ALL, seed=0)
    assert kept(found) == [0, 1]


def test_mrmr_by_hand() -> None:
    """x0 leads. x1 is x0 again: 0.8 - 1. x2 is unrelated to x0: 0.3 - 0. Then x1: 0.8 - (1 + 0) / 2."""
    a = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])
    c = np.array([4.0, 3, 7, 8, 2, 1, 5, 6])  # Spearman with a: 0
    assert np.corrcoef(a, c)[0, 1] == pytest.approx(0, abs=0.1)
    overlap = abs(np.corrcoef(a, c)[0, 1])
    one = Inputs(
        ("x0", "x1", "x2"), np.column_stack([a, a, c]), np.array([0.9, 0.8, 0.3]), Target.of(np.arange(8) % 2), a[:, None]
    )
    found = mrmr.rank(one, SelectionSettings(max_features=2), seed=0)
    assert kept(found) == [0, 2]
    assert found.importance[0] == 0.9 and found.importance[2] == pytest.approx(0.3 - overlap, abs=1e-9)
    third = mrmr.rank(one, SelectionSettings(max_features=3), seed=0)
    assert third.importance[1] == pytest.approx(min(0.3 - overlap, 0.8 - (1 + overlap) / 2), abs=1e-9)


def test_stability_selection_keeps_about_as_much_noise_as_it_says_at_most() -> None:
    rng = np.random.default_rng(2)
    counts = []
    for run in range(10):
        values = rng.normal(size=(60, 40))
        ranks = values.argsort(axis=0).argsort(axis=0) + 1.0
        noise = Inputs(tuple(f"x{k:02d}" for k in range(40)), ranks, np.zeros(40), Target.of(np.arange(60) % 2), values)
        counts.append(subsamples.rank(noise, SelectionSettings(subsamples=20), seed=run).important.sum())
    assert np.mean(counts) <= 1.0  # false_inclusions
