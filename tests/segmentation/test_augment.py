import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import ndimage

from radpipe.segmentation.augment import draw_batch, fitting
from radpipe.segmentation.config import AugmentationSettings, SegmentationSettings

OFF = AugmentationSettings(flips=False, crop=0.0, gamma=0.0, warp=0.0)


def drawn(examples, settings, seed=0, multiple=4):
    return draw_batch(examples, settings, multiple, np.random.default_rng(seed))


def noise(seed, shape):
    rng = np.random.default_rng(seed)
    return rng.normal(3.0, 1.0, shape).astype(np.float32), rng.random(shape) < 0.3


def test_with_everything_off_the_whole_image_comes_back_padded_with_its_lowest_value():
    examples = [noise(0, (8, 9, 10)), noise(1, (5, 12, 7))]
    images, masks = drawn(examples, SegmentationSettings(augmentation=OFF))
    assert images.shape == masks.shape == (2, 1, 8, 12, 12)
    for number, (image, mask) in enumerate(examples):
        start = [(n - m) // 2 for n, m in zip((8, 12, 12), image.shape, strict=True)]
        place = tuple(slice(s, s + n) for s, n in zip(start, image.shape, strict=True))
        assert np.allclose(images[number, 0].numpy()[place], image, atol=1e-5)
        assert np.array_equal(masks[number, 0].numpy()[place].astype(bool), mask)
        outside = np.ones(images.shape[2:], bool)
        outside[place] = False
        assert np.allclose(images[number, 0].numpy()[outside], image.min())
        assert not masks[number, 0].numpy()[outside].any()


@hypothesis_settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), multiple=st.sampled_from([1, 2, 8]), crop=st.floats(0, 0.9), warp=st.booleans())
def test_patches_fit_the_network_and_hold_only_0_and_1_in_the_mask(seed, multiple, crop, warp):
    augmentation = AugmentationSettings(crop=crop, warp=float(warp))
    settings = SegmentationSettings(augmentation=augmentation, patch_voxels=(16, 8, 8))
    examples = [noise(seed, (20, 9, 6)), noise(seed + 1, (3, 10, 11))]
    images, masks = drawn(examples, settings, seed, multiple)
    assert images.dtype == masks.dtype == torch.float32
    assert all(n % multiple == 0 and n >= 2 * multiple for n in images.shape[2:])
    assert all(n <= fitting(largest, multiple) for n, largest in zip(images.shape[2:], (16, 8, 8), strict=True))
    assert torch.isfinite(images).all()
    assert set(masks.unique().tolist()) <= {0.0, 1.0}
    for number, (image, _) in enumerate(examples):  # nothing brighter or darker than the image
        assert images[number].min() >= image.min() - 1e-4 and images[number].max() <= image.max() + 1e-4


@pytest.mark.parametrize("seed", range(6))
def test_image_and_mask_move_together(seed):
    """A bright cube whose mask is the cube: whatever is done to the place, bright voxels stay the mask's voxels."""
    mask = np.zeros((16, 20, 24), bool)
    mask[3:9, 4:13, 10:22] = True
    augmentation = AugmentationSettings(warp=1.0, crop=0.2, rotation_degrees=25.0)
    images, masks = drawn(
        [(mask.astype(np.float32), mask)], SegmentationSettings(augmentation=augmentation, patch_voxels=(64,) * 3), seed
    )
    # gamma leaves 0 and 1 where they are and moves values between
    bright, inside = images[0, 0].numpy(), masks[0, 0].numpy().astype(bool)
    assert inside.sum() > 100
    core, rim = ndimage.binary_erosion(inside, iterations=2), ndimage.binary_dilation(inside, iterations=2)
    assert bright[core].min() > 0.5
    assert bright[~rim].max() < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_rotations_turn_voxels_not_normalised_coordinates(seed):
    """A ball stays a ball in a box of unequal sides; in normalised coordinates it would become an ellipsoid.

    0.93: a ball of 6 voxels radius loses that much to its own steps.
    """
    grid = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in (16, 32, 64)), indexing="ij")
    ball = sum(g**2 for g in grid) <= 6.0**2
    augmentation = AugmentationSettings(flips=False, crop=0.0, gamma=0.0, warp=1.0, rotation_degrees=90.0, scale=0.0)
    _, masks = drawn(
        [(ball.astype(np.float32), ball)], SegmentationSettings(augmentation=augmentation, patch_voxels=(64,) * 3), seed
    )
    moved = masks[0, 0].numpy().astype(bool)
    assert 2 * (moved & ball).sum() / (moved.sum() + ball.sum()) > 0.93


def test_patches_of_large_images_look_at_the_lesion():
    image = np.zeros((40, 40, 40), np.float32)
    mask = np.zeros(image.shape, bool)
    mask[30:33, 2:5, 36:39] = True
    for foreground, expected in [(1.0, 1.0), (0.0, 0.15)]:
        settings = SegmentationSettings(augmentation=OFF, patch_voxels=(16, 16, 16), foreground=foreground)
        hit = np.mean([bool(drawn([(image, mask)], settings, seed)[1].any()) for seed in range(60)])
        assert hit == expected if foreground else hit < expected


def test_the_generator_alone_decides():
    examples = [noise(0, (12, 12, 12)), noise(1, (12, 10, 12))]
    settings = SegmentationSettings(augmentation=AugmentationSettings(crop=0.3, warp=1.0))
    first, again, other = (drawn(examples, settings, seed) for seed in (3, 3, 4))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert first[0].shape != other[0].shape or not torch.equal(first[0], other[0])
