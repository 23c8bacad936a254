import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_hausdorff_distance
from scipy.spatial.distance import cdist

from radpipe.errors import EmptyRoiError
from radpipe.segmentation.metrics import dice, hausdorff95_mm, no_look_ellipsoid

SPACING = (3.0, 1.5, 2.0)


def blob(shape, centre, radius):
    grid = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2


masks = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).random((4, 5, 6)) < 0.4)


def hausdorff95_slowly(a, b, spacing):
    """Every surface voxel against every other."""

    def surface(mask):
        padded = np.pad(mask, 1)
        points = []
        for z, y, x in np.argwhere(mask) + 1:
            around = [
                padded[z - 1, y, x],
                padded[z + 1, y, x],
                padded[z, y - 1, x],
                padded[z, y + 1, x],
                padded[z, y, x - 1],
                padded[z, y, x + 1],
            ]
            if not all(around):
                points.append((z, y, x))
        return np.array(points) * spacing

    distances = cdist(surface(a), surface(b))
    return max(np.percentile(distances.min(1), 95), np.percentile(distances.min(0), 95))


def test_dice_by_hand():
    a, b = np.zeros((2, 4, 4), bool), np.zeros((2, 4, 4), bool)
    a[0, :2] = True  # 8 voxels
    b[0, 1:3] = True  # 8 voxels, 4 of them shared
    assert dice(a, b) == 2 * 4 / 16
    assert dice(a, ~a) == 0.0
    assert dice(a, np.zeros_like(a)) == 0.0
    assert dice(np.zeros_like(a), np.zeros_like(a)) == 1.0


def test_masks_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        dice(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 3), bool))
    with pytest.raises(ValueError, match="bool"):
        dice(np.zeros((2, 2, 2)), np.zeros((2, 2, 2), bool))


def test_hausdorff_of_two_voxels_is_their_distance():
    a, b = np.zeros((5, 5, 5), bool), np.zeros((5, 5, 5), bool)
    a[0, 0, 0] = b[1, 2, 3] = True
    assert hausdorff95_mm(a, b, SPACING) == pytest.approx(np.sqrt(3.0**2 + 3.0**2 + 6.0**2))


def test_hausdorff95_of_a_plate_and_the_plate_with_a_spike():
    """100 voxels coincide, one stands 4 voxels off: rank 0.95 * 100 = 95 of 0 .. 100 is still at distance 0."""
    a = np.zeros((6, 10, 10), bool)
    a[0] = True
    b = a.copy()
    b[4, 0, 0] = True
    assert hausdorff95_mm(a, b, SPACING) == 0.0
    # A row of 10 of 100 voxels moved by one slice: more than 5 % are 3 mm off (the old places: 1.5 mm to the next row).
    c = a.copy()
    c[0, 0], c[1, 0] = False, True
    assert hausdorff95_mm(a, c, SPACING) == pytest.approx(3.0)


@settings(max_examples=60, deadline=None)
@given(a=masks, b=masks)
def test_hausdorff_equals_its_slow_twin(a, b):
    assert hausdorff95_mm(a, b, SPACING) == pytest.approx(hausdorff95_slowly(a, b, SPACING), rel=1e-12)
    assert hausdorff95_mm(a, b, SPACING) == hausdorff95_mm(b, a, SPACING)
    assert hausdorff95_mm(a, a, SPACING) == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_hausdorff_equals_monai(seed):
    rng = np.random.default_rng(seed)
    a, b = (blob((24, 26, 28), rng.uniform(9, 15, 3), rng.uniform(4, 9)) for _ in range(2))
    with_monai = compute_hausdorff_distance(
        torch.tensor(a)[None, None], torch.tensor(b)[None, None], include_background=True, percentile=95, spacing=SPACING
    )
    assert hausdorff95_mm(a, b, SPACING) == pytest.approx(float(with_monai), rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(a=masks, b=masks, factor=st.floats(0.1, 10.0))
def test_hausdorff_is_a_length_and_moves_with_the_masks(a, b, factor):
    scaled = tuple(factor * s for s in SPACING)
    assert hausdorff95_mm(a, b, scaled) == pytest.approx(factor * hausdorff95_mm(a, b, SPACING), rel=1e-9)
    moved = [np.pad(m, ((2, 1), (0, 3), (1, 1))) for m in (a, b)]
    assert hausdorff95_mm(*moved, SPACING) == hausdorff95_mm(a, b, SPACING)


def test_hausdorff_to_nothing_is_refused():
    a = np.zeros((3, 3, 3), bool)
    with pytest.raises(EmptyRoiError):
        hausdorff95_mm(a, ~a, SPACING)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 4), (3, 4, 5), (20, 31, 40)])
def test_the_no_look_ellipsoid_lies_in_the_middle_and_is_never_empty(shape):
    mask = no_look_ellipsoid(shape)
    assert mask.shape == shape and mask.any()
    if min(shape) > 2:
        for axis in range(3):
            assert (mask == np.flip(mask, axis)).all()


def test_the_no_look_ellipsoid_has_the_volume_of_an_ellipsoid():
    shape = (60, 80, 100)
    share = no_look_ellipsoid(shape, fill=0.5).mean()
    assert share == pytest.approx(np.pi / 6 * 0.5**3, rel=0.01)
