import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import ndimage

from radpipe.segmentation.config import SegmentationSettings
from radpipe.segmentation.postprocess import to_mask

SPACING = (10.0, 10.0, 10.0)  # 1 ml a voxel


def two_pieces():
    """A piece of 8 voxels at 0.6 and one of 6 at 0.9: more voxels against more probability (4.8 against 5.4)."""
    probability = np.full((6, 6, 6), 0.1, np.float32)
    probability[:2, :2, :2] = 0.6
    probability[4:6, 4:6, 4:6] = 0.9
    probability[5, 5, 4:6] = 0.1
    return probability


@pytest.mark.parametrize(("keep", "voxels"), [("all", 14), ("largest", 8), ("largest_by_probability", 6)])
def test_which_pieces_stay(keep, voxels):
    assert to_mask(two_pieces(), SegmentationSettings(keep=keep, threshold=0.5), SPACING).sum() == voxels


def test_small_pieces_go_and_nothing_is_left_empty_not_replaced():
    settings = SegmentationSettings(keep="all", min_volume_ml=7.0, threshold=0.5)
    assert to_mask(two_pieces(), settings, SPACING).sum() == 8
    assert not to_mask(two_pieces(), settings, (10.0, 10.0, 1.0)).any()  # a tenth of the volume
    nothing = to_mask(two_pieces(), SegmentationSettings(threshold=0.95), SPACING)
    assert nothing.dtype == bool and nothing.shape == (6, 6, 6) and not nothing.any()


def test_a_small_piece_of_high_probability_cannot_win_below_the_minimal_volume():
    settings = SegmentationSettings(keep="largest_by_probability", min_volume_ml=7.0, threshold=0.5)
    assert to_mask(two_pieces(), settings, SPACING).sum() == 8


@pytest.mark.parametrize("fill", [True, False])
def test_cavities(fill):
    probability = np.zeros((5, 5, 5), np.float32)
    probability[1:4, 1:4, 1:4] = 1.0
    probability[2, 2, 2] = 0.0
    assert to_mask(probability, SegmentationSettings(fill_holes=fill), SPACING).sum() == (27 if fill else 26)


def test_voxels_that_touch_at_a_corner_are_one_piece():
    probability = np.zeros((3, 3, 3), np.float32)
    probability[0, 0, 0] = probability[1, 1, 1] = probability[2, 2, 2] = 1.0
    assert to_mask(probability, SegmentationSettings(keep="largest"), SPACING).sum() == 3


@hypothesis_settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["largest", "largest_by_probability"]))
def test_one_piece_is_kept_and_it_is_the_best(seed, keep):
    probability = np.random.default_rng(seed).random((5, 6, 7)) ** 2
    mask = to_mask(probability, SegmentationSettings(keep=keep, fill_holes=False, threshold=0.5), SPACING)
    touching = np.ones((3, 3, 3))
    assert ndimage.label(mask, touching)[1] == 1
    assert (probability[mask] >= 0.5).all()
    labels, count = ndimage.label(probability >= 0.5, touching)
    score = [(labels == n).sum() if keep == "largest" else probability[labels == n].sum() for n in range(1, count + 1)]
    kept = mask.sum() if keep == "largest" else probability[mask].sum()
    assert kept == pytest.approx(max(score))
