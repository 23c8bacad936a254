"""Negative controls: what is dealt anew, what stays, and what is flagged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.comparison.controls import judge, noise_columns, permuted
from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.evaluation.formulas import auc
from radpipe.preprocessing.controls import random_region, shuffle_voxels


def cohort(n: int, seed: int, twice: int = 3) -> tuple[pd.DataFrame, dict[str, int]]:
    """n patients, the first few with two cases; and the fold each case is tested in."""
    rng = np.random.default_rng(seed)
    patients = [f"P{k:02d}" for k in range(n)]
    outcome = dict(zip(patients, rng.integers(0, 2, n), strict=True))
    rows = [
        {"case_id": f"{p}_a", "patient_id": p, "outcome": outcome[p], "time": 10.0 * outcome[p] + int(p[1:])} for p in patients
    ]
    rows += [{**row, "case_id": row["case_id"].replace("_a", "_b")} for row in rows[:twice]]
    fold = {p: int(k) for p, k in zip(patients, rng.integers(0, 4, n), strict=True)}
    return pd.DataFrame(rows), {row["case_id"]: fold[row["patient_id"]] for row in rows}


@settings(max_examples=40, deadline=None)
@given(n=st.integers(4, 30), seed=st.integers(0, 10_000))
def test_outcomes_are_dealt_within_folds_and_by_patient(n: int, seed: int) -> None:
    table, fold = cohort(n, seed)
    found = permuted(table, fold, np.random.default_rng(seed))
    assert list(found["case_id"]) == list(table["case_id"])
    assert not found.drop_duplicates(["patient_id", "outcome"])["patient_id"].duplicated().any()
    people, dealt = (frame.drop_duplicates("patient_id") for frame in (table, found))
    for name in set(fold.values()):
        before, after = (
            [tuple(row) for row in frame.loc[frame["case_id"].map(fold) == name, ["outcome", "time"]].to_numpy()]
            for frame in (people, dealt)
        )
        assert sorted(before) == sorted(after)  # status and time travel together
    assert found["outcome"].dtype == table["outcome"].dtype


def test_no_model_beats_chance_on_average_after_it() -> None:
    """A model that knows every true outcome, and one that knows the outcomes learnt from, have an expected AUC of 0.5."""
    table, fold = cohort(40, 5, twice=0)
    truth = table["outcome"].to_numpy()
    folds = table["case_id"].map(fold).to_numpy()
    omniscient, prevalence = [], []
    for seed in range(120):
        y = permuted(table, fold, np.random.default_rng(seed))["outcome"].to_numpy()
        for name in range(4):
            own = folds == name
            omniscient.append(auc(y[own], truth[own].astype(float)))
            risk = np.full(own.sum(), y[~own].mean()) + 1e-3 * truth[own]
            prevalence.append(auc(y[own], risk))
    for values in (omniscient, prevalence):
        assert np.nanmean(values) == pytest.approx(0.5, abs=4 * np.nanstd(values) / np.sqrt(np.isfinite(values).sum()))


def test_what_is_flagged() -> None:
    rng = np.random.default_rng(3)
    clean = judge(0.5 + 0.1 * rng.normal(size=100), 0.95, "auc")
    assert not clean.flagged
    assert clean.p_value == pytest.approx(1 / 101)  # no permuted run reached 0.95
    leaking = judge(0.56 + 0.1 * rng.normal(size=100), 0.8, "auc")
    assert leaking.flagged
    assert leaking.low > 0.5
    assert judge(np.append(np.full(50, 0.4), np.full(49, 0.6)), 0.55, "auc").p_value == pytest.approx(50 / 100)
    assert judge(np.full(100, 0.7), 0.7, "auc").flagged  # every run the same, and not at chance


def test_the_flag_keeps_its_error_rate() -> None:
    rng = np.random.default_rng(11)
    flagged = sum(judge(0.5 + 0.1 * rng.normal(size=100), 0.5, "auc").flagged for _ in range(2000))
    assert 5 <= flagged <= 40  # 1 % of 2,000 is 20; binomial 99.9 % interval


def test_noise_is_reproducible_and_tells_nothing() -> None:
    names = [f"P{k}" for k in range(200)]
    first, again = (noise_columns(names, 50, np.random.default_rng(2)) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert first.shape == (200, 50)
    assert abs(np.corrcoef(first.T.to_numpy())[np.triu_indices(50, 1)]).max() < 0.35


GRID = Grid((12, 14, 16), (3.0, 2.0, 2.0), (0.0, 0.0, 0.0))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 5))
def test_shuffling_keeps_the_histogram_and_moving_keeps_the_shape(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    image = Image(GRID, rng.integers(0, 100, GRID.shape).astype(np.int16))
    voxels = np.zeros(GRID.shape, bool)
    voxels[2 : 2 + size, 3 : 3 + size, 1 : 1 + size] = rng.random((size, size, size)) < 0.7
    voxels[2, 3, 1] = True
    mask = Mask(GRID, voxels)
    shuffled = shuffle_voxels(image, voxels, rng)
    assert np.array_equal(shuffled.voxels[~voxels], image.voxels[~voxels])
    assert np.array_equal(np.sort(shuffled.voxels[voxels]), np.sort(image.voxels[voxels]))
    assert shuffled.voxels.dtype == np.int16
    moved, overlap = random_region(image, mask, rng)
    assert moved.voxels.sum() == voxels.sum()
    here, there = (np.argwhere(m) - np.argwhere(m).min(axis=0) for m in (voxels, moved.voxels))
    assert np.array_equal(here, there)
    assert overlap == pytest.approx((moved.voxels & voxels).sum() / voxels.sum())
    assert overlap <= 0.1  # there is room elsewhere


def test_a_region_that_fills_the_image_stays_and_says_so() -> None:
    image = Image(GRID, np.ones(GRID.shape))
    moved, overlap = random_region(image, Mask(GRID, np.ones(GRID.shape, bool)), np.random.default_rng(0))
    assert overlap == 1.0
    assert moved.voxels.all()
