from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import EmptyRoiError
from radpipe.preprocessing.crop import bounding_box, crop_around


def case(shape, low, high, spacing=(1.0, 1.0, 1.0)) -> tuple[Image, Mask]:
    """A box from low to high (inclusive) in an image whose voxels are all different."""
    grid = Grid(shape, spacing)
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = True
    return Image(grid, np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 5), Mask(grid, mask)


def test_whole_voxels_around_the_centre() -> None:
    image, mask = case((20, 20, 20), (8, 9, 10), (12, 11, 14))
    crop = crop_around(image, mask, (7, 5, 9), mask_channel=True)
    assert crop.shape == (2, 7, 5, 9) and crop.dtype == np.float32
    np.testing.assert_array_equal(crop[0], image.voxels[7:14, 8:13, 8:17])
    np.testing.assert_array_equal(crop[1], mask.voxels[7:14, 8:13, 8:17])


def test_beyond_the_edge_stands_the_minimum() -> None:
    image, mask = case((6, 6, 6), (0, 0, 0), (1, 1, 1))
    crop = crop_around(image, mask, (6, 6, 6), mask_channel=True)
    assert (crop[0, :2] == 5).all() and (crop[1, :2] == 0).all()
    np.testing.assert_array_equal(crop[0, 2:, 2:, 2:], image.voxels[:4, :4, :4])
    assert crop[1].sum() == 8


@given(st.data(), st.tuples(*[st.integers(3, 18)] * 3), st.tuples(*[st.integers(4, 16)] * 3))
@settings(max_examples=60, deadline=None)
def test_the_whole_lesion_is_in_view_in_the_middle(data, shape, view) -> None:
    low = [data.draw(st.integers(0, n - 1)) for n in shape]
    high = [data.draw(st.integers(a, n - 1)) for a, n in zip(low, shape, strict=True)]
    image, mask = case(shape, low, high, data.draw(st.tuples(*[st.floats(0.5, 4)] * 3)))
    crop = crop_around(image, mask, view, mask_channel=True)
    assert crop.shape == (2, *view) and np.isfinite(crop).all()
    assert set(np.unique(crop[1])) <= {0.0, 1.0}
    fits = all(b - a + 1 <= n for a, b, n in zip(low, high, view, strict=True))
    if fits:
        assert crop[1].sum() == mask.voxels.sum()
        first, last = bounding_box(crop[1] > 0)
        assert (np.abs((first + last) / 2 - (np.array(view) - 1) / 2) <= 0.5).all()
    # Never a value that is not between the image's own.
    assert crop[0].min() >= image.voxels.min() - 1e-3 and crop[0].max() <= image.voxels.max() + 1e-3


def test_a_lesion_larger_than_the_view_is_shown_smaller_at_its_own_proportions() -> None:
    image, mask = case((80, 40, 40), (10, 12, 14), (69, 31, 25))
    crop = crop_around(image, mask, (30, 30, 30), mask_channel=True)
    first, last = bounding_box(crop[1] > 0)
    np.testing.assert_allclose(last - first + 1, np.array([60, 20, 12]) / 2, atol=1)
    # A linear field stays linear: steps of two voxels.
    np.testing.assert_allclose(crop[0, 5, 15, 16] - crop[0, 5, 15, 15], 2.0, rtol=1e-3)


def test_the_margin_counts_in_millimetres_on_both_sides() -> None:
    image, mask = case((40, 40, 40), (15, 15, 15), (24, 24, 24), spacing=(2.0, 2.0, 2.0))
    assert crop_around(image, mask, (20, 20, 20), mask_channel=True, margin_mm=10)[1].sum() == 1000, "10 + 2 x 5 voxels fit"
    # 10 + 2 x 10 voxels in 20: the view is widened by 1.5
    first, last = bounding_box(crop_around(image, mask, (20, 20, 20), mask_channel=True, margin_mm=20)[1] > 0)
    np.testing.assert_allclose(last - first + 1, 10 / 1.5, atol=1)


def test_an_empty_mask_and_shapes_that_differ() -> None:
    image, mask = case((5, 5, 5), (1, 1, 1), (2, 2, 2))
    with pytest.raises(EmptyRoiError, match="empty"):
        crop_around(image, Mask(mask.grid, np.zeros((5, 5, 5), bool)), (3, 3, 3))
    with pytest.raises(ValueError, match="shape"):
        crop_around(image, Mask(Grid((4, 5, 5), (1, 1, 1)), np.ones((4, 5, 5), bool)), (3, 3, 3))
