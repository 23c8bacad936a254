"""Image types within an extraction: columns, settings of their own, what has no value, threads."""

from __future__ import annotations

import math

import numpy as np
import pytest

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import RadpipeError
from radpipe.features.config import FeatureSettings
from radpipe.features.dictionary import feature_dictionary
from radpipe.features.extract import column_names, extract, extract_row

GRID = Grid((14, 24, 26), (2.0, 1.0, 1.5))
Z, Y, X = np.indices(GRID.shape)
INSIDE = (Z - 7) ** 2 / 9 + (Y - 12) ** 2 / 25 + (X - 13) ** 2 / 25 < 1
VOXELS = (100 + 40 * np.sin(X / 3) * np.cos(Y / 2) + np.random.default_rng(0).normal(0, 8, GRID.shape)).astype(np.float32)
FEW = {"firstorder": ["Mean", "Entropy"], "glcm": ["Contrast"], "shape": ["VoxelVolume"]}
EVERY = {
    "Original": {}, "LoG": {"sigma": [2.0, 3]}, "Wavelet": {}, "Square": {}, "SquareRoot": {}, "Logarithm": {}, "Exponential": {},
    "Gradient": {}, "LBP2D": {"binWidth": 1.0}, "LBP3D": {"binWidth": 1.0},
}  # fmt: skip


def run(params, voxels=VOXELS, inside=INSIDE, threads=1):
    return extract(Image(GRID, voxels), Mask(GRID, inside), FeatureSettings(params=params), threads=threads)


def test_columns_in_the_order_of_the_image_types():
    params = {"setting": {"binWidth": 5}, "imageType": EVERY, "featureClass": FEW}
    found = run(params)
    settings = FeatureSettings(params=params)
    assert list(found.row) == column_names(settings.parameters) == [row["name"] for row in feature_dictionary(settings)]
    prefixes = list(dict.fromkeys(name.rsplit("_", 2)[0] for name in found.row))
    assert prefixes == [
        "original", "log-sigma-2-0-mm-3D", "log-sigma-3-mm-3D", *(f"wavelet-{b}" for b in ("LLH", "LHL", "LHH", "HLL", "HLH", "HHL", "HHH", "LLL")),
        "square", "squareroot", "logarithm", "exponential", "gradient", "lbp-2D", "lbp-3D-m1", "lbp-3D-m2", "lbp-3D-k",
    ]  # fmt: skip
    assert all(math.isfinite(value) for value in found.row.values())
    assert not found.undefined


def test_threads_change_nothing():
    params = {"setting": {"binWidth": 5}, "imageType": EVERY}
    one = run(params)
    for threads in (2, 5):
        other = run(params, threads=threads)
        assert (other.row, other.undefined) == (one.row, one.undefined)


def test_shape_is_always_of_the_original():
    row = run({"imageType": {"Square": {}}, "featureClass": FEW}).row
    assert list(row) == [
        "original_shape_VoxelVolume",
        "square_firstorder_Mean",
        "square_firstorder_Entropy",
        "square_glcm_Contrast",
    ]


def test_an_image_type_has_settings_of_its_own():
    common = {"setting": {"binWidth": 5, "distances": [1]}, "featureClass": FEW}
    own = run(common | {"imageType": {"Square": {"binWidth": 20}, "Original": {}}}).row
    alone = run({"setting": {"binWidth": 20}, "featureClass": FEW, "imageType": {"Square": {}}}).row
    plain = run(common).row
    assert {name: value for name, value in own.items() if name.startswith("square")} == {
        k: v for k, v in alone.items() if "square" in k
    }
    assert {name: value for name, value in own.items() if name.startswith("original")} == plain


def test_sigma_of_setting_serves_log():
    everywhere = run({"setting": {"sigma": [2.0]}, "imageType": {"LoG": {}}, "featureClass": FEW}).row
    assert everywhere == run({"imageType": {"LoG": {"sigma": [2.0]}}, "featureClass": FEW}).row


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_hole_in_the_image_outside_the_region(bad):
    voxels = VOXELS.copy()
    voxels[0, 0, 0] = bad
    found = run({"setting": {"binWidth": 5}, "imageType": EVERY, "featureClass": FEW}, voxels)
    clean = run({"setting": {"binWidth": 5}, "imageType": EVERY, "featureClass": FEW})
    lost = {name for name, value in found.row.items() if math.isnan(value)}
    assert lost == {name for name, why in found.undefined.items() if why == "response-undefined"}
    touched = {name.rsplit("_", 2)[0] for name in lost}
    assert {"square", "logarithm"} <= touched  # they are scaled by the whole image
    assert not touched & {"original", "gradient", "lbp-2D"}  # these look no farther than a voxel or two
    kept = {name: value for name, value in found.row.items() if name.startswith(("original", "gradient", "lbp-2D"))}
    assert kept == {name: clean.row[name] for name in kept}


def test_too_many_levels_name_the_image_type():
    with pytest.raises(RadpipeError, match="image type square: binWidth") as caught:
        run({"imageType": {"Original": {}, "Square": {"binWidth": 1e-4}}, "featureClass": FEW})
    assert caught.value.kind == "discretisation"


@pytest.mark.parametrize("setting", [{"preCrop": True}, {"resampledPixelSpacing": [1.5, 1.0, 2.0]}])
def test_cropping_is_what_filters_then_see(setting):
    # PyRadiomics also crops where the new spacing is the old one.
    pad = 2
    params = {"setting": {"binWidth": 5, "padDistance": pad, **setting}, "imageType": EVERY, "featureClass": FEW}
    places = [np.flatnonzero(INSIDE.any(axis=tuple(b for b in range(3) if b != a))) for a in range(3)]
    cut = tuple(slice(p[0] - pad, p[-1] + 1 + pad) for p in places)
    grid = Grid(VOXELS[cut].shape, GRID.spacing_mm)
    plain = FeatureSettings(params=params | {"setting": {"binWidth": 5}})
    expected = extract_row(Image(grid, VOXELS[cut].copy()), Mask(grid, INSIDE[cut].copy()), plain)
    assert run(params).row == expected
    assert expected != run(params | {"setting": {"binWidth": 5}}).row


def test_the_region_may_lie_anywhere():
    # Filters that look around must not depend on where the arrays begin.
    far = {name: {} for name in ("Gradient", "LBP2D", "Square")} | {"Wavelet": {"wavelet": "haar"}}
    params = {"setting": {"binWidth": 5}, "imageType": far, "featureClass": FEW}
    wide = Grid((20, 30, 32), GRID.spacing_mm)
    voxels, inside = np.zeros(wide.shape, np.float32), np.zeros(wide.shape, bool)
    voxels[4:18, 4:28, 2:28], inside[4:18, 4:28, 2:28] = VOXELS, INSIDE
    moved = extract_row(Image(wide, voxels), Mask(wide, inside), FeatureSettings(params=params))
    row = run(params).row
    assert moved == pytest.approx(row, rel=1e-6)


def test_a_hole_beside_the_region_is_neither_bright_nor_dark():
    voxels = VOXELS.copy()
    z, y, x = np.argwhere(INSIDE)[np.argwhere(INSIDE)[:, 0] == 7][0]
    voxels[z, y, x - 1] = np.nan
    assert not INSIDE[z, y, x - 1]
    found = run({"imageType": {name: {} for name in ("Original", "LBP2D", "LBP3D", "Gradient")}, "featureClass": FEW}, voxels)
    lost = {name.rsplit("_", 2)[0] for name in found.undefined}
    assert lost == {"lbp-2D", "lbp-3D-m1", "lbp-3D-m2", "lbp-3D-k", "gradient"}
