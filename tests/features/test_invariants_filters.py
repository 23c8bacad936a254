"""What must not change the values of filtered images, and how the others must change: place, padding, turning, unit, labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract, extract_row
from radpipe.features.parity import off

QUICK = settings(max_examples=8, deadline=None)
SEEDS = st.integers(0, 10_000)
CLASSES = dict.fromkeys(["firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm"])
POINTWISE = {"Square": {}, "SquareRoot": {}, "Logarithm": {}, "Exponential": {}}
LOCAL = {"Gradient": {}, "LBP2D": {"binWidth": 1}, "LBP3D": {"binWidth": 0.1}}
EVERY = {**POINTWISE, **LOCAL, "LoG": {"sigma": [2.0], "binWidth": 2}, "Wavelet": {"wavelet": "haar"}}


def of(types, **setting):
    return FeatureSettings(params={"setting": {"binWidth": 10, **setting}, "imageType": types, "featureClass": CLASSES})


def scene(seed, box=(6, 7, 8), margin=4):
    """Smooth intensities with noise, and a region with room on every side; parts of it stand alone."""
    rng = np.random.default_rng(seed)
    shape = tuple(size + 2 * margin for size in box)
    z, y, x = np.indices(shape)
    voxels = np.round(60 * np.sin(x / 2 + rng.uniform(0, 6)) * np.cos(y / 3) + 4 * z + rng.normal(0, 9, shape)) + 150.0
    inside = np.pad(rng.random(box) < rng.uniform(0.4, 1.0), margin)
    inside[margin + 1, margin + 2, margin + 1 : margin + 4] = True
    return voxels, inside


def assert_same(row, other, but=()):
    shares = off(other, row)
    beyond = {k: (row.get(k), other.get(k)) for k, share in shares.items() if share > 1 and not any(part in k for part in but)}
    assert not beyond


@QUICK
@given(SEEDS, st.tuples(*[st.integers(-2, 2)] * 3))
def test_the_place_in_a_periodic_image(pair, seed, shift):
    """Moving image and region together: what a wavelet sees wraps around; the other filters see as far as the margin."""
    voxels, inside = scene(seed, box=(6, 6, 6), margin=5)
    types = {**POINTWISE, **LOCAL, "Wavelet": {"wavelet": "haar"}}
    moved = np.roll(voxels, shift, (0, 1, 2)), np.roll(inside, shift, (0, 1, 2))
    row, other = (extract_row(*pair(*both), of(types)) for both in ((voxels, inside), moved))
    # An equally bright neighbour between voxels is told by the last digit of its place: patterns may differ.
    assert_same(row, other, but=("lbp-",))


@QUICK
@given(SEEDS, st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 3))
def test_more_of_the_image_around(pair, seed, margins):
    """Padding with what is no more extreme changes no pointwise filter, and no local one whose reach lies inside the image."""
    voxels, inside = scene(seed)
    wide = np.pad(voxels, margins, mode="edge"), np.pad(inside, margins)
    row, other = (extract_row(*pair(*both), of({**POINTWISE, "Gradient": {}})) for both in ((voxels, inside), wide))
    assert row == pytest.approx(other, rel=0, abs=0, nan_ok=True)


@QUICK
@given(SEEDS)
def test_cropping_changes_what_the_whole_image_decides(pair, seed):
    """Square's scale is the largest intensity of the whole image: a bright voxel far away must change it, and Gradient not."""
    voxels, inside = scene(seed)
    bright = voxels.copy()
    bright[0, 0, 0] = 2000.0
    row, other = (extract_row(*pair(image, inside), of({"Square": {}, "Gradient": {}})) for image in (voxels, bright))
    assert row["square_firstorder_Mean"] != pytest.approx(other["square_firstorder_Mean"], rel=0.1)
    for name in row:
        if name.startswith("gradient_"):
            assert row[name] == other[name]


@QUICK
@given(SEEDS, st.permutations([0, 1, 2]))
def test_turning_by_right_angles(pair, seed, order):
    voxels, inside = scene(seed, box=(6, 6, 6))
    spacing = (1.3, 1.3, 1.3)
    types = {**POINTWISE, "Gradient": {}, "LoG": {"sigma": [2.0], "binWidth": 2}}
    row = extract_row(*pair(voxels, inside, spacing), of(types))
    turned = extract_row(*pair(voxels.transpose(order), inside.transpose(order), spacing), of(types))
    exact = {name: value for name, value in row.items() if not name.startswith("log-")}
    assert_same(exact, {name: turned[name] for name in exact})
    # LoG is stored in float32 and adds the axes in another order: rounding may carry a voxel over a bin's edge.
    for name in ("Mean", "Variance", "Minimum", "Maximum", "Median"):
        column = f"log-sigma-2-0-mm-3D_firstorder_{name}"
        assert turned[column] == pytest.approx(row[column], rel=1e-4, abs=1e-4)


@QUICK
@given(SEEDS, st.permutations([0, 1, 2]))
def test_wavelets_turn_with_the_image(pair, seed, order):
    """The letter of an axis goes where the axis goes: columns LLH, LHL and HLL change places, LLL and HHH stay."""
    voxels, inside = scene(seed, box=(6, 6, 6))
    spacing = (1.0, 1.0, 1.0)
    # Not Entropy and Uniformity: many responses are 0, an edge of a bin, but for rounding.
    names = ["Mean", "Variance", "Skewness", "Kurtosis", "Energy", "Maximum", "90Percentile", "MeanAbsoluteDeviation"]
    kinds = {"imageType": {"Wavelet": {"wavelet": "haar"}}, "featureClass": {"firstorder": names}}
    settings_ = FeatureSettings(params=kinds)
    row = extract_row(*pair(voxels, inside, spacing), settings_)
    turned = extract_row(*pair(voxels.transpose(order), inside.transpose(order), spacing), settings_)
    for column, value in row.items():
        letters = column.split("_")[0].removeprefix("wavelet-")[::-1]  # PyRadiomics writes x first, axes here are z, y, x
        there = "".join(letters[axis] for axis in order)[::-1]
        assert turned[column.replace(letters[::-1], there, 1)] == pytest.approx(value, rel=1e-9, abs=1e-9), (column, there)


@QUICK
@given(SEEDS, st.sampled_from([0.25, 2.0, 8.0]))
def test_changing_the_unit(pair, seed, factor):
    """Gradient, LoG and wavelets are linear: in another unit, with the bins in that unit, textures are the same."""
    voxels, inside = scene(seed)
    types = {"Gradient": {}, "LoG": {"sigma": [2.0]}, "Wavelet": {"wavelet": "haar"}, "Square": {}, "SquareRoot": {}}
    row = extract_row(*pair(voxels, inside), of(types))
    scaled = extract_row(*pair(voxels * factor, inside), of(types, binWidth=10 * factor))
    for column, value in row.items():
        family, name = column.rsplit("_", 2)[1:]
        if family != "firstorder":
            assert scaled[column] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), column
        elif name in ("Mean", "Range", "Variance", "Energy"):
            power = 2 if name in ("Variance", "Energy") else 1
            assert scaled[column] == pytest.approx(value * factor**power, rel=1e-9, abs=1e-9), column


@QUICK
@given(SEEDS, st.integers(-500, 500))
def test_adding_a_constant(pair, seed, constant):
    """No derivative sees it, and no pattern."""
    voxels, inside = scene(seed)
    types = {"Gradient": {}, "LBP2D": {"binWidth": 1, "lbp2DSamples": 4}}  # four neighbours: none between voxels
    row = extract_row(*pair(voxels, inside), of(types))
    moved = extract_row(*pair(voxels + constant, inside), of(types))
    assert row == pytest.approx(moved, rel=1e-12, abs=1e-12, nan_ok=True)


@QUICK
@given(SEEDS, st.sampled_from(["z", "y", "x"]))
def test_patterns_depend_on_the_order_of_intensities_only(pair, seed, axis):
    voxels, inside = scene(seed)
    types = {"LBP2D": {"binWidth": 1, "lbp2DSamples": 4}}
    where = of(types, force2D=True, force2Ddimension="zyx".index(axis))
    row = extract_row(*pair(voxels, inside), where)
    stretched = extract_row(*pair(np.exp(voxels / 60), inside), where)
    assert row == pytest.approx(stretched, rel=1e-12, nan_ok=True)


@QUICK
@given(SEEDS)
def test_regions_at_the_border_and_single_voxels_wide(pair, seed):
    """The region reaches the image's end on all sides, or is a line: every value is a number, or NaN with a reason."""
    voxels, _ = scene(seed, box=(4, 5, 6), margin=0)
    line = np.zeros(voxels.shape, bool)
    line[2, 3, 1:5] = True
    for inside in (np.ones(voxels.shape, bool), line):
        found = extract(*pair(voxels, inside), of(EVERY, minimumROIDimensions=1))
        for name, value in found.row.items():
            assert np.isfinite(value) or (np.isnan(value) and name in found.undefined), name


@QUICK
@given(SEEDS)
def test_single_level_regions(pair, seed):
    """One grey level: textures are those of a flat region, whatever the intensities within it, and say so."""
    voxels, inside = scene(seed)
    found = extract(*pair(voxels, inside), of(EVERY, binWidth=1e6) if seed % 2 else of({"Square": {}}, binWidth=1e6))
    flat = extract(*pair(np.full(voxels.shape, 3.0), inside), of({"Original": {}}, binWidth=1e6))
    for name, value in found.row.items():
        family = name.rsplit("_", 2)[1]
        if family != "firstorder" and name.split("_")[0] in ("square", "squareroot", "gradient"):
            assert value == pytest.approx(flat.row[f"original_{name.split('_', 1)[1]}"], rel=1e-12, nan_ok=True), name
    assert "square_glcm_Correlation" in found.undefined


@QUICK
@given(SEEDS)
def test_two_parts_that_stand_alone(pair, seed):
    """A region of two parts far apart: which stands first, and how far off, changes nothing."""
    voxels, inside = scene(seed, box=(5, 5, 12), margin=0)
    inside[:, :, 5:7] = False
    inside[0, 0, :2] = inside[0, 0, 8:10] = True
    gap = np.zeros((5, 5, 2))
    apart = [np.concatenate([part[:, :, 6:], gap, part[:, :, :6]], axis=2) for part in (voxels, inside)]
    row, other = (extract_row(*pair(*both), of({"Original": {}})) for both in ((voxels, inside), apart))
    assert_same(row, other)


@QUICK
@given(SEEDS, st.permutations(range(4)))
def test_permuting_grey_levels(pair, seed, order):
    """What does not ask how high a level is stays the same when the levels change places."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 4, (5, 6, 7))
    levels[0, 0, :4] = np.arange(4)
    inside = rng.random(levels.shape) < 0.85
    inside[0, 0, :4] = True
    renamed = np.array(order)[levels]
    row, other = (extract_row(*pair(image * 10.0, inside), of({"Original": {}})) for image in (levels, renamed))
    free = {
        "firstorder": ("Entropy", "Uniformity"),
        "glcm": ("JointEnergy", "JointEntropy", "MaximumProbability", "Imc1", "Imc2", "MCC"),
        "gldm": ("DependenceEntropy", "DependenceNonUniformity", "DependenceNonUniformityNormalized", "DependenceVariance",
                 "GrayLevelNonUniformity", "LargeDependenceEmphasis", "SmallDependenceEmphasis"),
        "glrlm": ("GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized", "LongRunEmphasis", "RunEntropy",
                  "RunLengthNonUniformity", "RunLengthNonUniformityNormalized", "RunPercentage", "RunVariance", "ShortRunEmphasis"),
        "glszm": ("GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized", "LargeAreaEmphasis", "SizeZoneNonUniformity",
                  "SizeZoneNonUniformityNormalized", "SmallAreaEmphasis", "ZoneEntropy", "ZonePercentage", "ZoneVariance"),
    }  # fmt: skip
    for family, names in free.items():
        for name in names:
            column = f"original_{family}_{name}"
            assert other[column] == pytest.approx(row[column], rel=1e-9, abs=1e-7), column
