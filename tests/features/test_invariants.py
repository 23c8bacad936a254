"""What must not change the values: where the region lies, what is around it, which way it is turned, what is called one unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract_row

PLAIN = FeatureSettings(params={"setting": {"binWidth": 10}})
QUICK = settings(max_examples=25, deadline=None)
SEEDS = st.integers(0, 10_000)


def region(seed, box=(5, 6, 7)):
    """A random region (some parts standing alone) with random intensities, in a box with room on every side."""
    rng = np.random.default_rng(seed)
    inside = rng.random(box) < rng.uniform(0.3, 1.0)
    inside[1, 2, 3] = inside[3, 4, 5] = True
    return np.pad(rng.integers(-80, 120, box), 2).astype(np.float64), np.pad(inside, 2)


def same(row, other, but=(), rel=1e-9):
    for name, value in row.items():
        if name.rsplit("_", 1)[1] not in but:
            assert other[name] == pytest.approx(value, rel=rel, abs=1e-9, nan_ok=True), name


@QUICK
@given(SEEDS, st.tuples(*[st.integers(-2, 2)] * 3))
def test_the_place_of_the_region(pair, seed, shift):
    voxels, inside = region(seed)
    row = extract_row(*pair(voxels, inside), PLAIN)
    moved = extract_row(*pair(np.roll(voxels, shift, (0, 1, 2)), np.roll(inside, shift, (0, 1, 2))), PLAIN)
    assert row == pytest.approx(moved, rel=0, abs=0, nan_ok=True)


@QUICK
@given(SEEDS, st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 3), st.integers(-(10**6), 10**6))
def test_what_is_around_the_region(pair, seed, margins, value):
    voxels, inside = region(seed)
    row = extract_row(*pair(voxels, inside), PLAIN)
    around = np.where(inside, voxels, value)
    padded = extract_row(*pair(np.pad(around, margins, constant_values=value), np.pad(inside, margins)), PLAIN)
    assert row == pytest.approx(padded, rel=0, abs=0, nan_ok=True)
    tight = tuple(slice(k.min(), k.max() + 1) for k in np.nonzero(inside))
    assert row == pytest.approx(extract_row(*pair(voxels[tight], inside[tight]), PLAIN), rel=0, abs=0, nan_ok=True)


@QUICK
@given(SEEDS, st.sampled_from([0, 1, 2]))
def test_mirroring(pair, seed, axis):
    voxels, inside = region(seed)
    row = extract_row(*pair(voxels, inside), PLAIN)
    turned = extract_row(*pair(np.flip(voxels, axis), np.flip(inside, axis)), PLAIN)
    mesh = ("MeshVolume", "SurfaceArea", "SurfaceVolumeRatio", "Sphericity")  # PyRadiomics' table has a handedness
    same(row, turned, but=mesh)


@QUICK
@given(SEEDS, st.permutations([0, 1, 2]))
def test_turning_by_right_angles(pair, seed, order):
    voxels, inside = region(seed)
    spacing = (1.3, 1.3, 1.3)
    row = extract_row(*pair(voxels, inside, spacing), PLAIN)
    turned = extract_row(*pair(voxels.transpose(order), inside.transpose(order), spacing), PLAIN)
    planes = ("Maximum2DDiameterSlice", "Maximum2DDiameterColumn", "Maximum2DDiameterRow")
    same(row, turned, but=(*planes, "MeshVolume", "SurfaceArea", "SurfaceVolumeRatio", "Sphericity"))
    across = [row[f"original_shape_{name}"] for name in planes]
    assert [turned[f"original_shape_{name}"] for name in planes] == pytest.approx([across[axis] for axis in order])


@QUICK
@given(SEEDS, st.integers(-20, 20))
def test_adding_whole_bins(pair, seed, bins):
    voxels, inside = region(seed)
    row = extract_row(*pair(voxels, inside), PLAIN)
    moved = extract_row(*pair(voxels + 10 * bins, inside), PLAIN)
    levels = {name: value for name, value in row.items() if name.split("_")[1] not in ("firstorder", "shape")}
    same(levels, moved, rel=0)
    for name in ("Variance", "Range", "InterquartileRange", "Entropy", "Uniformity", "MeanAbsoluteDeviation"):
        assert moved[f"original_firstorder_{name}"] == pytest.approx(row[f"original_firstorder_{name}"], rel=1e-9)
    assert moved["original_firstorder_Mean"] == pytest.approx(row["original_firstorder_Mean"] + 10 * bins, abs=1e-9)


@QUICK
@given(SEEDS, st.sampled_from([0.25, 2.0, 4.0]))
def test_changing_the_unit(pair, seed, factor):
    voxels, inside = region(seed)
    row = extract_row(*pair(voxels, inside), PLAIN)
    scaled = extract_row(*pair(voxels * factor, inside), FeatureSettings(params={"setting": {"binWidth": 10 * factor}}))
    same({name: value for name, value in row.items() if name.split("_")[1] not in ("firstorder",)}, scaled, rel=0)
    for name, power in (("Mean", 1), ("Range", 1), ("Variance", 2), ("Energy", 2), ("Skewness", 0), ("Kurtosis", 0)):
        expected = row[f"original_firstorder_{name}"] * factor**power
        assert scaled[f"original_firstorder_{name}"] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@QUICK
@given(SEEDS)
def test_size_of_the_voxels(pair, seed):
    voxels, inside = region(seed)
    row = extract_row(*pair(voxels, inside, (2.0, 1.0, 1.5)), PLAIN)
    doubled = extract_row(*pair(voxels, inside, (4.0, 2.0, 3.0)), PLAIN)
    powers = {"mm": 1, "mm2": 2, "mm3": 3, "1/mm": -1, "intensity2 mm3": 3}
    from radpipe.features.dictionary import feature_dictionary

    for entry in feature_dictionary(PLAIN):
        expected = row[entry["name"]] * 2.0 ** powers.get(entry["unit"], 0)
        assert doubled[entry["name"]] == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True), entry["name"]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "int64", "float32", "float64", ">i2", ">f4"])
def test_dtype_and_layout_do_not_matter_for_whole_numbers(pair, dtype):
    rng = np.random.default_rng(3)
    values = rng.integers(0, 120, (6, 7, 8))
    inside = np.zeros((6, 7, 8), bool)
    inside[1:5, 1:6, 2:7] = True
    row = extract_row(*pair(values, inside), PLAIN)
    for layout in (np.ascontiguousarray, np.asfortranarray, lambda array: np.repeat(array, 2, axis=2)[:, :, ::2]):
        assert extract_row(*pair(layout(values.astype(dtype)), layout(inside)), PLAIN) == pytest.approx(row, rel=1e-12)


def test_small_dtypes_do_not_overflow(pair):
    # 250 + 2 x 25 is no uint8: pyradiomics' edges wrap around there.
    values = np.random.default_rng(0).integers(100, 251, (5, 6, 7))
    inside = np.ones(values.shape, bool)
    assert extract_row(*pair(values.astype(np.uint8), inside), PLAIN) == pytest.approx(extract_row(*pair(values, inside), PLAIN))


def test_the_same_twice(phantom):
    assert extract_row(*phantom, PLAIN) == extract_row(*phantom, PLAIN)


def test_input_is_left_as_it_was(phantom):
    image, mask = phantom
    before = image.voxels.copy(), mask.voxels.copy()
    everything = {
        "normalize": True,
        "resegmentRange": [-2, 2],
        "resegmentMode": "sigma",
        "resampledPixelSpacing": [2, 2, 2],
        "binWidth": 0.1,
    }
    extract_row(image, mask, FeatureSettings(params={"setting": everything}))
    np.testing.assert_array_equal(image.voxels, before[0])
    np.testing.assert_array_equal(mask.voxels, before[1])
