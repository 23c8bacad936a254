"""Every setting out of its range and every one misspelt is refused by name, with its value and its range; so is every region
and image that cannot be measured."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
import SimpleITK as sitk

from radpipe.compat import RadiomicsFeatureExtractor
from radpipe.errors import ConfigError, EmptyRoiError, FileProblem, RadpipeError
from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract
from radpipe.features.parameters import parse_parameters

spec = importlib.util.spec_from_file_location("features_conftest", __file__.replace("test_bad_input", "conftest"))
assert spec is not None and spec.loader is not None
_helpers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(_helpers)
KEYS = _helpers.oracle_module().random_settings.DEFAULTS
IMAGE_TYPES = _helpers.oracle_module().random_settings.IMAGE_TYPES

# key -> (value just outside, what the message must say of the range)
OUTSIDE = {
    "minimumROIDimensions": (4, "3"), "minimumROISize": (0, "greater than 0"), "geometryTolerance": (0.0, "greater than 0"),
    "correctMask": (1, "boolean"), "additionalInfo": ("yes", "boolean"), "label": (0, "greater than 0"), "label_channel": (-1, "0"),
    "binWidth": (0, "greater than 0"), "binCount": (10_001, "10000"), "normalize": ("yes", "boolean"),
    "normalizeScale": (0, "greater than 0"), "removeOutliers": (-1.0, "greater than 0"), "resampledPixelSpacing": ([1, 1, -1], "0"),
    "interpolator": (11, "1 to 10"), "padDistance": (-1, "0"), "preCrop": (1, "boolean"), "distances": ([0], "greater than 0"),
    "force2D": ("no", "boolean"), "force2Ddimension": (3, "2"), "resegmentRange": ([1, 2, 3], "2"),
    "resegmentMode": ("absolut", "'absolute'"), "resegmentShape": (0, "boolean"), "sigma": ([1.0, -2.0], "greater than 0"),
    "start_level": (-1, "0"), "level": (0, "greater than 0"), "wavelet": ("coif0", "coif1 to coif17"),
    "gradientUseSpacing": ("no", "boolean"), "lbp2DRadius": (0, "greater than 0"), "lbp2DSamples": (0, "greater than 0"),
    "lbp2DMethod": ("uniforn", "'uniform'"), "lbp3DLevels": (0, "greater than 0"), "lbp3DIcosphereRadius": (0, "greater than 0"),
    "lbp3DIcosphereSubdivision": (-1, "0"), "voxelArrayShift": (0.5, "integer"), "symmetricalGLCM": (1, "boolean"),
    "weightingNorm": ("euclid", "'euclidean'"), "gldm_a": (-1, "0"),
}  # fmt: skip


def test_every_key_has_a_value_outside():
    assert set(OUTSIDE) == set(KEYS)


@pytest.mark.parametrize("key", OUTSIDE)
def test_out_of_range(key):
    value, words = OUTSIDE[key]
    with pytest.raises(ConfigError) as caught:
        parse_parameters({"setting": {key: value}})
    message = str(caught.value)
    assert f"setting.{key}" in message
    assert words in message
    shown = value if not isinstance(value, list) else next((v for v in value if repr(v) in message), value)
    assert repr(shown) in message or repr(tuple(value) if isinstance(value, list) else value) in message, message


@pytest.mark.parametrize("key", KEYS)
def test_misspelt(key):
    wrong = key[:-1] if len(key) > 5 else key + "s"
    for params in ({"setting": {wrong: KEYS[key]}}, {"imageType": {"Original": {wrong: KEYS[key]}}}):
        with pytest.raises(ConfigError) as caught:
            parse_parameters(params)
        assert repr(wrong) in str(caught.value)
    with pytest.raises(ConfigError, match=f"Did you mean '{key}'"):
        parse_parameters({"setting": {wrong: KEYS[key]}})


@pytest.mark.parametrize("name", IMAGE_TYPES)
def test_misspelt_image_types(name):
    with pytest.raises(ConfigError, match=f"imageType.*'{name[:-1]}'.*Did you mean '"):
        parse_parameters({"imageType": {name[:-1]: {}}})
    with pytest.raises(ConfigError, match=rf"imageType\.{name}.*binwidth.*binWidth"):
        parse_parameters({"imageType": {name: {"binwidth": 5, "sigma": [1.0]}}})


Z, Y, X = np.indices((8, 9, 10))
BALL = (Z - 4) ** 2 + (Y - 4) ** 2 + (X - 5) ** 2 <= 10
NOISE = np.random.default_rng(2).normal(100, 30, BALL.shape)
FILTERS = {"LoG": {"sigma": [2.0]}, "Wavelet": {}, "Square": {}, "SquareRoot": {}, "Logarithm": {}, "Exponential": {}, "Gradient": {},
           "LBP2D": {"binWidth": 1}, "LBP3D": {"binWidth": 0.1}}  # fmt: skip


def run(pair, voxels, mask, types, **setting):
    return extract(*pair(voxels, mask), FeatureSettings(params={"setting": setting, "imageType": types}))


def place(*index):
    mask = np.zeros(BALL.shape, bool)
    mask[index] = True
    return mask


@pytest.mark.parametrize("name", FILTERS)
def test_regions_that_cannot_be_measured(pair, name):
    types = {name: FILTERS[name]}
    for mask, words in ((np.zeros_like(BALL), "empty"), (place(4, 4, 4), "single voxel"), (place(4, 4, slice(3, 6)), "1 of 3")):
        with pytest.raises(EmptyRoiError, match=words):
            run(pair, NOISE, mask, types)
    with pytest.raises(EmptyRoiError, match="minimumROISize"):
        run(pair, NOISE, BALL, types, minimumROISize=int(BALL.sum()))


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_undefined_intensities_inside(pair, name, bad):
    voxels = NOISE.copy()
    voxels[4, 4, 4] = bad
    with pytest.raises(FileProblem, match=f"1 of the region's {BALL.sum()} voxels"):
        run(pair, voxels, BALL, {name: FILTERS[name]})


@pytest.mark.parametrize("name", FILTERS)
def test_undefined_intensities_outside_are_never_a_silent_number_less(pair, name):
    """A NaN in the background reaches the filters that look there: a value, or NaN with its reason, or an error; no crash."""
    voxels = NOISE.copy()
    voxels[0, 0, 0] = np.nan
    try:
        found = run(pair, voxels, BALL, {name: FILTERS[name]})
    except RadpipeError:
        return
    for column, value in found.row.items():
        assert math.isfinite(value) or column in found.undefined, column


@pytest.mark.parametrize("name", ["LoG", "Wavelet", "Square", "SquareRoot", "Logarithm", "Exponential", "Gradient", "LBP3D"])
def test_too_many_levels_of_a_response(pair, name):
    with pytest.raises(RadpipeError, match="grey levels") as caught:
        run(pair, NOISE, BALL, {name: {**FILTERS[name], "binWidth": 1e-6}})
    assert "10000" in str(caught.value)
    if name in ("Wavelet", "LBP3D"):
        return  # the advice is for the first of several responses
    advised = float(caught.value.hint.split("at least ")[1].split(" ")[0])
    params = {"imageType": {name: {**FILTERS[name], "binWidth": advised}}, "featureClass": {"firstorder": None}}
    assert extract(*pair(NOISE, BALL), FeatureSettings(params=params)).row


@pytest.mark.parametrize("name", FILTERS)
def test_one_intensity_has_values_or_reasons(pair, name):
    for value in (0.0, 0.1, 77.0, -5.0):
        found = run(pair, np.full(BALL.shape, value), BALL, {name: FILTERS[name]})
        for column, number in found.row.items():
            assert math.isfinite(number) or column in found.undefined, column


def itk(array, origin=(0.0, 0.0, 0.0)):
    image = sitk.GetImageFromArray(array)
    image.SetOrigin(origin)
    return image


@pytest.mark.parametrize("setting", [{}, {"correctMask": True}, {"correctMask": True, "resampledPixelSpacing": [2, 2, 2]}])
def test_a_region_outside_the_image(setting):
    mask = itk(BALL.astype(np.uint8), (500.0, 0.0, 0.0))
    with pytest.raises(RadpipeError) as caught:
        RadiomicsFeatureExtractor({"setting": setting}).execute(itk(NOISE), mask)
    assert "500" in str(caught.value) or "outside" in str(caught.value)


def test_a_label_that_is_not_there():
    with pytest.raises(RadpipeError) as caught:
        RadiomicsFeatureExtractor({"setting": {"label": 3}}).execute(itk(NOISE), itk(BALL.astype(np.uint8)))
    assert "3" in str(caught.value) and "1" in str(caught.value)
