from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import EmptyRoiError, FileProblem
from radpipe.io.volumes import read_image, read_mask
from radpipe.preprocessing.config import PreprocessingSettings
from radpipe.preprocessing.normalise import normalise, zscore
from radpipe.preprocessing.prepare import prepare
from radpipe.preprocessing.resample import resample_image, resample_mask, with_spacing

TURN = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)  # a quarter about z: x and y of the patient swap
GRID = Grid((9, 10, 12), (3.0, 2.0, 1.0), (-5.0, 7.0, 100.0), TURN)


def centre(grid: Grid) -> np.ndarray:
    return grid.world_mm((np.array(grid.shape) - 1) / 2)


@given(st.tuples(*[st.integers(1, 40)] * 3), st.tuples(*[st.floats(0.3, 6)] * 3), st.tuples(*[st.floats(0.3, 8)] * 3))
def test_the_new_grid_covers_the_old_one_around_the_same_centre(shape, old, new) -> None:
    grid = Grid(shape, old, (1.0, 2.0, 3.0), TURN)
    made = with_spacing(grid, new)
    np.testing.assert_allclose(centre(made), centre(grid), atol=1e-6)
    for n, m, a, b in zip(shape, made.shape, old, new, strict=True):
        assert m * b >= n * a * (1 - 1e-5) and (m == 1 or (m - 1) * b < n * a)


def test_a_ramp_stays_the_same_ramp_in_the_patient() -> None:
    """Linear interpolation of a linear field is exact wherever the old voxel centres surround the new one."""
    slope = np.array([0.3, -0.2, 0.5])
    index = np.stack(np.meshgrid(*map(np.arange, GRID.shape), indexing="ij"), -1)
    image = Image(GRID, GRID.world_mm(index) @ slope)
    made = resample_image(image, with_spacing(GRID, (2.5, 1.5, 1.7)))
    index = np.stack(np.meshgrid(*map(np.arange, made.grid.shape), indexing="ij"), -1)
    inner = made.voxels[1:-1, 1:-1, 1:-1]
    np.testing.assert_allclose(inner, (made.grid.world_mm(index) @ slope)[1:-1, 1:-1, 1:-1], atol=1e-9)


def test_as_scipy_interpolates() -> None:
    """map_coordinates at the new voxels' centres; its mode "nearest" is the edge that is carried on."""
    voxels = np.random.default_rng(0).standard_normal(GRID.shape)
    made = resample_image(Image(GRID, voxels), with_spacing(GRID, (2.0, 3.1, 0.7)))
    steps = [
        (n - 1) / 2 + (np.arange(m) - (m - 1) / 2) * b / a
        for n, m, a, b in zip(GRID.shape, made.grid.shape, GRID.spacing_mm, made.grid.spacing_mm, strict=True)
    ]
    there = ndimage.map_coordinates(voxels, np.meshgrid(*steps, indexing="ij"), order=1, mode="nearest")
    np.testing.assert_allclose(made.voxels, there, atol=1e-9)


def test_there_and_back_keeps_a_mask() -> None:
    z, y, x = np.ogrid[:40, :40, :40]
    mask = Mask(Grid((40, 40, 40), (2.0, 2.0, 2.0)), (z - 20) ** 2 + (y - 18) ** 2 + (x - 22) ** 2 < 12**2)
    coarse = resample_mask(mask, with_spacing(mask.grid, (3.0, 3.0, 3.0)))
    assert coarse.volume_ml == pytest.approx(mask.volume_ml, rel=0.02)
    back = resample_mask(coarse, mask.grid)
    dice = 2 * (back.voxels & mask.voxels).sum() / (back.voxels.sum() + mask.voxels.sum())
    assert dice > 0.93 and back.grid == mask.grid


def test_the_same_grid_is_left_alone_and_dtype_kept() -> None:
    image = Image(GRID, np.arange(np.prod(GRID.shape), dtype=np.int16).reshape(GRID.shape), "HU")
    assert resample_image(image, with_spacing(GRID, GRID.spacing_mm)) is image
    made = resample_image(image, with_spacing(GRID, (2.0, 2.0, 2.0)))
    assert made.voxels.dtype == np.int16 and made.unit == "HU"


def test_a_region_that_vanishes_is_said() -> None:
    voxels = np.zeros(GRID.shape, bool)
    voxels[0, 0, 0] = True
    with pytest.raises(EmptyRoiError, match=r"1 voxels\) vanishes at 8 x 8 x 8 mm"):
        resample_mask(Mask(GRID, voxels), with_spacing(GRID, (8.0, 8.0, 8.0)))


def test_spacing_is_given_in_x_y_z() -> None:
    image = Image(GRID, np.random.default_rng(0).standard_normal(GRID.shape))
    mask = Mask(GRID, np.ones(GRID.shape, bool))
    made, outline = prepare(image, mask, PreprocessingSettings(spacing_mm=(1.0, 2.0, 4.0), intensity="none"), "CT")
    assert made.grid.spacing_mm == (4.0, 2.0, 1.0) == outline.grid.spacing_mm
    assert made.grid == outline.grid and made.voxels.dtype == np.float32


@pytest.mark.parametrize(
    ("modality", "values", "expected"),
    [
        ("CT", [-1000, -200, 50, 300, 3000], [0, 0, 0.5, 1, 1]),
        ("PET", [-0.1, 0, 5, 20, 80], [0, 0, 0.5, 1, 1]),
    ],
)
def test_intensities_by_modality(modality: str, values, expected) -> None:
    voxels = np.array(values, np.float64).reshape(1, 1, 5)
    made = normalise(Image(Grid((1, 1, 5), (1, 1, 1)), voxels), PreprocessingSettings(), modality)
    np.testing.assert_allclose(made.voxels.ravel(), expected, atol=1e-6)
    assert made.voxels.dtype == np.float32 and made.unit == "normalised"


@given(st.floats(0.01, 1e4), st.floats(-1e3, 1e3), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_zscore_knows_neither_scale_nor_offset(scale: float, offset: float, seed: int) -> None:
    voxels = np.random.default_rng(seed).gamma(2, 1, (6, 7, 8))
    first, second = zscore(voxels.astype(np.float32)), zscore((scale * voxels + offset * scale).astype(np.float32))
    # float32 holds seven digits of the offset, and the scale sees what is left
    np.testing.assert_allclose(first, second, atol=1e-5 * (1 + abs(offset)))


def test_zscore_is_of_the_body() -> None:
    body = np.random.default_rng(0).normal(100, 10, 4000)
    voxels = np.concatenate([np.zeros(6000), body]).reshape(10, 10, 100).astype(np.float32)
    inside = zscore(voxels)[voxels > 50]
    assert inside.mean() == pytest.approx(0, abs=0.01) and inside.std() == pytest.approx(1, abs=0.01)
    assert zscore(voxels).min() == -5


def test_a_constant_image() -> None:
    with pytest.raises(FileProblem, match="same value"):
        zscore(np.full((3, 3, 3), 7, np.float32))
    two = np.zeros((3, 3, 3), np.float32)
    two[0] = 1
    assert np.isfinite(zscore(two)).all()


def test_the_real_cohort_at_5_mm() -> None:
    from radpipe.datasets import load_sts_pet

    dataset = load_sts_pet()
    ratios, shifts = [], []
    for row in dataset.manifest.to_dict("records"):
        image, mask = read_image(dataset.folder / row["image_path"], unit="SUV"), read_mask(dataset.folder / row["mask_path"])
        made, outline = prepare(image, mask, PreprocessingSettings(spacing_mm=(5, 5, 5)), "PET")
        assert made.voxels.min() >= 0 and made.voxels.max() <= 1
        ratios.append(outline.volume_ml / mask.volume_ml)
        centres = [m.grid.world_mm(np.argwhere(m.voxels).mean(0)) for m in (mask, outline)]
        shifts.append(np.subtract(*centres))
    # A single small lesion gains or loses up to a tenth by nearest neighbour; the cohort does not.
    assert np.mean(ratios) == pytest.approx(1, abs=0.01) and np.ptp(ratios) < 0.3
    # mm between the centres of mass: less than half a new voxel each, and nothing on average.
    assert np.linalg.norm(shifts, axis=1).max() < 2.5 and np.abs(np.mean(shifts, axis=0)).max() < 0.3


@pytest.mark.parametrize(
    "bad",
    [
        {"spacing_mm": (0, 1, 1)},
        {"spacing_mm": (1, 1)},
        {"ct_window_hu": (300, -200)},
        {"pet_max_suv": 0},
        {"spacing": (1, 1, 1)},
    ],
)
def test_settings_have_bounds(bad) -> None:
    with pytest.raises(ValidationError):
        PreprocessingSettings(**bad)
