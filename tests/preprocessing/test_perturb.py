"""Outlines changed a little: how far, in which direction, and what stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from radpipe.core.grid import Grid
from radpipe.core.image import Mask
from radpipe.errors import EmptyRoiError
from radpipe.preprocessing.perturb import perturb_mask

GRID = Grid((20, 60, 50), (3.0, 1.0, 1.5), (0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def ellipsoid() -> Mask:
    """Longer along y than along x, in mm."""
    z, y, x = (np.indices(GRID.shape) - np.array([10, 30, 25])[:, None, None, None]) * np.array(GRID.spacing_mm)[:, None, None, None]
    return Mask(GRID, (z / 14) ** 2 + (y / 18) ** 2 + (x / 9) ** 2 <= 1)


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_move_moves_the_middle_by_as_many_voxels(ellipsoid: Mask) -> None:
    for seed in range(3):
        moved = perturb_mask(ellipsoid, "translation", 2.0, chance(seed))
        step = np.subtract(center_of_mass(moved.voxels), center_of_mass(ellipsoid.voxels))
        assert np.linalg.norm(step) == pytest.approx(2.0, abs=0.4)  # voxels are whole
        assert moved.voxels.sum() == pytest.approx(ellipsoid.voxels.sum(), rel=0.03)


def test_a_turn_is_of_that_angle_in_mm_and_keeps_the_middle(ellipsoid: Mask) -> None:
    turned = perturb_mask(ellipsoid, "rotation", 20.0, chance())
    _, y, x = np.nonzero(turned.voxels)
    inertia = np.cov(y * 1.0, x * 1.5)
    angle = np.rad2deg(0.5 * np.arctan2(2 * inertia[0, 1], inertia[0, 0] - inertia[1, 1]))
    assert abs(angle) == pytest.approx(20.0, abs=1.5)
    np.testing.assert_allclose(center_of_mass(turned.voxels), center_of_mass(ellipsoid.voxels), atol=0.1)


def test_growth_and_shrinkage_are_nested_and_of_that_size(ellipsoid: Mask) -> None:
    before = int(ellipsoid.voxels.sum())
    for seed in range(6):
        fraction = chance(seed).uniform(-0.2, 0.2)
        changed = perturb_mask(ellipsoid, "volume", 0.2, chance(seed))
        assert int(changed.voxels.sum()) == round(before * (1 + fraction))
        small, large = (changed, ellipsoid) if fraction < 0 else (ellipsoid, changed)
        assert not (small.voxels & ~large.voxels).any()


def test_another_contour_keeps_the_volume_and_the_core(ellipsoid: Mask) -> None:
    changed = perturb_mask(ellipsoid, "contour", 1.5, chance())
    assert changed.voxels.sum() == ellipsoid.voxels.sum()
    dice = 2 * (changed.voxels & ellipsoid.voxels).sum() / (2 * ellipsoid.voxels.sum())
    assert 0.8 < dice < 0.99
    # Larger moves leave less in common.
    further = perturb_mask(ellipsoid, "contour", 4.0, chance())
    assert (further.voxels & ellipsoid.voxels).sum() < (changed.voxels & ellipsoid.voxels).sum()


@pytest.mark.parametrize("change", ["translation", "rotation", "volume", "contour"])
def test_same_chance_same_outline_and_the_given_one_is_left_alone(ellipsoid: Mask, change) -> None:
    before = ellipsoid.voxels.copy()
    one, two = (perturb_mask(ellipsoid, change, 0.4, chance(5)) for _ in range(2))
    np.testing.assert_array_equal(one.voxels, two.voxels)
    np.testing.assert_array_equal(ellipsoid.voxels, before)
    assert one.grid == ellipsoid.grid


def test_at_the_edge_of_the_image_it_stays_within(ellipsoid: Mask) -> None:
    voxels = np.zeros(GRID.shape, bool)
    voxels[:3, :4, -5:] = True
    for change in ("translation", "rotation", "volume", "contour"):
        assert perturb_mask(Mask(GRID, voxels), change, 0.3, chance()).voxels.any()


def test_nothing_left_is_said() -> None:
    voxels = np.zeros(GRID.shape, bool)
    with pytest.raises(EmptyRoiError, match="outline is empty"):
        perturb_mask(Mask(GRID, voxels), "volume", 0.1, chance())
    voxels[5, 5, 5] = True
    with pytest.raises(EmptyRoiError, match="nothing is left of the outline after its translation"):
        perturb_mask(Mask(GRID, voxels), "translation", 0.9, chance(1))
