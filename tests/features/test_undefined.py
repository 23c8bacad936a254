"""Every value that is no measurement has a reason, and no measurement has one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract
from radpipe.features.undefined import REASONS

SETTINGS = FeatureSettings(params={"setting": {"minimumROIDimensions": 1}})


def of(voxels, inside):
    grid = Grid(inside.shape, (2.0, 1.5, 1.0))
    return extract(Image(grid, voxels), Mask(grid, inside), SETTINGS)


@pytest.fixture
def ball():
    z, y, x = np.indices((7, 8, 9))
    return (z - 3) ** 2 + (y - 4) ** 2 + (x - 4) ** 2 <= 9


def test_a_textured_region_needs_no_reason(ball):
    voxels = np.random.default_rng(0).integers(0, 300, ball.shape).astype(np.int16)
    assert of(voxels, ball).undefined == {}


def test_a_flat_region(ball):
    """What PyRadiomics sets there (its documentation: Correlation 1, Coarseness 10^6, MCC 1; the others 0) is said to be set."""
    found = of(np.full(ball.shape, 70, np.int16), ball)
    said = {name.removeprefix("original_"): (code, found.row[name]) for name, code in found.undefined.items()}
    assert said == {
        "firstorder_Skewness": ("one-intensity", 0.0), "firstorder_Kurtosis": ("one-intensity", 0.0),
        "glcm_Correlation": ("one-level", 1.0), "glcm_MCC": ("one-level", 1.0), "glcm_Imc1": ("one-level", 0.0), "glcm_Imc2": ("one-level", 0.0),
        "ngtdm_Coarseness": ("no-difference", 1e6), "ngtdm_Strength": ("no-difference", 0.0),
        "ngtdm_Contrast": ("one-level", 0.0), "ngtdm_Busyness": ("one-level", 0.0),
    }  # fmt: skip


def test_one_level_of_many_intensities_has_a_skewness(ball):
    voxels = np.where(ball, 51 + np.indices(ball.shape)[2], 0).astype(np.int16)  # 52 .. 58: one bin of 25
    undefined = of(voxels, ball).undefined
    assert "original_firstorder_Skewness" not in undefined and undefined["original_glcm_MCC"] == "one-level"


def test_voxels_that_do_not_touch(ball):
    apart = ball & (np.indices(ball.shape) % 2 == 0).all(axis=0)
    found = of(np.random.default_rng(0).integers(0, 300, ball.shape).astype(np.int16), apart)
    assert math.isnan(found.row["original_glcm_Contrast"]) and found.undefined["original_glcm_Contrast"] == "no-neighbours"
    assert found.undefined["original_ngtdm_Coarseness"] == "no-difference"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.1, 0.5]), st.sampled_from([1, 2, 40, 400]))
def test_no_value_is_undefined_without_a_reason(seed, share, spread):
    rng = np.random.default_rng(seed)
    inside = rng.random((5, 6, 7)) < share
    inside[2, 3, 3:5] = True
    found = of(rng.integers(0, spread, inside.shape).astype(np.int16), inside)
    assert {name for name, value in found.row.items() if not math.isfinite(value)} <= set(found.undefined) <= set(found.row)
    assert set(found.undefined.values()) <= set(REASONS)


def test_threads_change_nothing(ball):
    voxels = np.random.default_rng(0).normal(100, 60, ball.shape).astype(np.float32)
    grid = Grid(ball.shape, (2.0, 1.5, 1.0))
    one, two = (extract(Image(grid, voxels), Mask(grid, ball), SETTINGS, threads=n) for n in (1, 2))
    assert list(one.row.items()) == list(two.row.items()) and one.undefined == two.undefined
