"""Resampling against scipy's own interpolation, masks and resegmentation against cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from radpipe.errors import EmptyRoiError, FileProblem, GeometryError
from radpipe.features.ibsi.parameters import IbsiParameters, parse_ibsi
from radpipe.features.ibsi.prepare import interpolate, interpolate_mask, prepare, resampled_axis, resegment

QUICK = settings(max_examples=40, deadline=None)
ORDERS = {"nearest": 0, "linear": 1, "cubic": 3}


def test_the_grid_of_the_manual():
    """Manual, "Interpolation": ceil(n d / d'), centred. 4 voxels of 3 mm on 2 mm: 6, first centre at -0.5 mm of the first's."""
    places = resampled_axis(4, 3.0, 2.0)
    assert places.size == 6
    assert_allclose(places * 3.0, np.array([-0.5, 1.5, 3.5, 5.5, 7.5, 9.5]))
    assert resampled_axis(60, 3.0, 2.0).size == 90
    assert resampled_axis(204, 0.9765625, 2.0).size == 100
    assert resampled_axis(10, 0.3, 0.1).size == 30  # 10 * 0.3 / 0.1 is 30.000000000000004 in binary
    assert_array_equal(resampled_axis(7, 1.25, 1.25), np.arange(7))


@QUICK
@given(
    st.tuples(*[st.integers(1, 7)] * 3),
    st.tuples(*[st.sampled_from([0.7, 1.0, 1.3, 2.9])] * 3),
    st.tuples(*[st.sampled_from([0.9, 1.0, 1.9])] * 3),
    st.sampled_from(["linear", "cubic"]),
    st.integers(0, 99),
)
def test_is_scipys_interpolation(shape, old, new, method, seed):
    """scipy's spline of the same order at the same places; outside the grid "nearest" for linear, "mirror" for cubic."""
    voxels = np.random.default_rng(seed).normal(size=shape)
    places = np.meshgrid(*[resampled_axis(n, a, b) for n, a, b in zip(shape, old, new, strict=True)], indexing="ij")
    mode = "nearest" if method == "linear" else "mirror"
    wanted = ndimage.map_coordinates(voxels, places, order=ORDERS[method], mode=mode)
    assert_allclose(interpolate(voxels, old, new, method), wanted, atol=1e-12)


def test_nearest_takes_the_later_of_two():
    voxels = np.arange(4.0)[:, None, None]
    # 4 voxels on twice the size: centres at 0.5 and 2.5.
    assert_array_equal(interpolate(voxels, (1, 1, 1), (2, 1, 1), "nearest").ravel(), [1.0, 3.0])


def test_cubic_keeps_the_old_values():
    voxels = np.random.default_rng(0).normal(size=(5, 6, 7))
    finer = interpolate(voxels, (3.0, 3.0, 3.0), (1.0, 1.0, 1.0), "cubic")
    assert_allclose(finer[1::3, 1::3, 1::3], voxels, atol=1e-13)


@pytest.mark.parametrize("method", ORDERS)
@pytest.mark.parametrize("margin", [0.0, 6.3])
def test_cutting_changes_no_value(case, blob, method, margin):
    """What is computed around the region only is what the whole image gives."""
    voxels, region = (np.pad(a, ((30, 60), (3, 50), (45, 2))) for a in blob)
    voxels = voxels + np.random.default_rng(1).normal(size=voxels.shape)
    image, mask = case(voxels, region, (2.5, 0.8, 0.9))
    parameters = parse_ibsi({"resample": {"spacing_mm": 1.1, "interpolation": method}, "resegment_range": [2, 8]})
    whole = prepare(image, mask, parameters).cropped(margin)
    part = prepare(image, mask, parameters, margin_mm=margin).cropped(margin)
    assert_allclose(part.voxels, whole.voxels, rtol=0, atol=0 if method != "cubic" else 1e-12)
    assert_array_equal(part.morphological, whole.morphological)
    assert_array_equal(part.intensity, whole.intensity)


def test_half_a_voxel_is_inside():
    """Two voxels of 1 mm, one inside: a voxel of 2 mm has half of it, and belongs to the region at threshold 0.5."""
    mask = np.array([[[False, True]]])
    assert interpolate_mask(mask, (1, 1, 1), (1, 1, 2), "linear", 0.5).ravel().tolist() == [True]
    assert interpolate_mask(mask, (1, 1, 1), (1, 1, 2), "linear", 0.51).ravel().tolist() == [False]


def test_planes_keep_their_distance_in_2d(case):
    image, mask = case(np.ones((3, 8, 8)), np.ones((3, 8, 8)), (5.0, 1.0, 1.0))
    prepared = prepare(image, mask, parse_ibsi({"dimension": "2D", "resample": {"spacing_mm": 2}}))
    assert prepared.voxels.shape == (3, 4, 4) and prepared.spacing_mm == (5.0, 2.0, 2.0)
    named = parse_ibsi({"resample": {"spacing_mm": [1, 2, 4]}})
    assert prepare(image, mask, named).spacing_mm == (4.0, 2.0, 1.0)  # given as x, y, z


def test_range_and_outliers_are_judged_on_the_same_mask():
    """Mean and deviation come from the region before the range is applied (manual, "Re-segmentation")."""
    values = np.array([0.0] * 18 + [10.0, 100.0])  # mean 5.5, deviation 21.8
    voxels = values.reshape(1, 4, 5)
    mask = np.ones(voxels.shape, bool)
    assert resegment(voxels, mask, None, 3.0).sum() == 19
    # After cutting 100 away, 10 would lie outside 3 deviations (mean 0.53, deviation 2.2); before, it does not.
    assert resegment(voxels, mask, (None, 50.0), 3.0).sum() == 19
    assert resegment(voxels, mask, (0.0, 0.0), None).sum() == 18
    assert resegment(voxels, mask, (1.0, None), None).sum() == 2
    assert resegment(voxels, mask, None, None) is mask


def test_resegmentation_leaves_the_morphological_mask(case, blob):
    image, mask = case(*blob)
    prepared = prepare(image, mask, IbsiParameters(resegment_range=(4.0, 6.0)))
    assert_array_equal(prepared.morphological, mask.voxels)
    assert_array_equal(prepared.intensity, mask.voxels & (image.voxels >= 4) & (image.voxels <= 6))


def test_rounding_comes_before_the_range(case):
    image, mask = case(np.full((1, 1, 2), 4.6), np.ones((1, 1, 2)))
    assert prepare(image, mask, IbsiParameters(round_intensities=True, resegment_range=(5.0, 6.0))).intensity.all()


def test_bad_input(case, blob):
    voxels, region = blob
    image, mask = case(voxels, region)
    with pytest.raises(EmptyRoiError, match="empty"):
        prepare(image, case(voxels, np.zeros_like(region))[1], IbsiParameters())
    with pytest.raises(EmptyRoiError, match=r"range 100\.0 to 200\.0.*leaves none of \d+ voxels, which lie in 1 to 9"):
        prepare(image, mask, IbsiParameters(resegment_range=(100.0, 200.0)))
    with pytest.raises(GeometryError, match="7, 8, 9"):
        prepare(image, case(voxels[1:], region[1:])[1], IbsiParameters())
    broken = voxels.copy()
    broken[tuple(np.argwhere(region)[5])] = np.nan
    with pytest.raises(FileProblem, match="1 of the region's"):
        prepare(case(broken, region)[0], mask, IbsiParameters())
    outside = voxels.copy()
    outside[0, 0, 0] = np.inf
    prepare(case(outside, region)[0], mask, IbsiParameters())
    with pytest.raises(FileProblem, match="cubic"):
        prepare(case(outside, region)[0], mask, parse_ibsi({"resample": {"spacing_mm": 2, "interpolation": "cubic"}}))
    lonely = np.zeros_like(region)
    lonely[1, 1, 1] = True
    with pytest.raises(EmptyRoiError, match="no voxel of the region is left"):
        prepare(image, case(voxels, lonely)[1], parse_ibsi({"resample": {"spacing_mm": 40}}))
