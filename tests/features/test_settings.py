"""What is refused, and in what words; what is defined where a region is hardly one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import ConfigError, EmptyRoiError, FileProblem, GeometryError, RadpipeError
from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract_row
from radpipe.features.parameters import parse_parameters


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"setting": {"binwidth": 10}}, ["setting", "'binwidth'", "'binWidth'"]),
        ({"settings": {}}, ["'settings'", "'setting'"]),
        ({"setting": {"binWidth": 0}}, ["setting.binWidth", "greater than 0", "got 0"]),
        ({"setting": {"binWidth": "25"}}, ["setting.binWidth", "'25'"]),
        ({"setting": {"binCount": 10_001}}, ["setting.binCount", "10000"]),
        ({"setting": {"distances": []}}, ["setting.distances"]),
        ({"setting": {"distances": [1, 0]}}, ["setting.distances"]),
        ({"setting": {"distances": [1, 1]}}, ["setting.distances", "twice"]),
        ({"setting": {"force2D": 1}}, ["setting.force2D", "boolean"]),
        ({"setting": {"force2Ddimension": 3}}, ["setting.force2Ddimension", "2"]),
        ({"setting": {"resampledPixelSpacing": [1, 1]}}, ["setting.resampledPixelSpacing"]),
        ({"setting": {"resampledPixelSpacing": [1, 1, -1]}}, ["setting.resampledPixelSpacing"]),
        ({"setting": {"interpolator": "sitkBspline"}}, ["setting.interpolator", "'sitkBSpline'"]),
        ({"setting": {"interpolator": 11}}, ["setting.interpolator", "1 to 10"]),
        ({"setting": {"resegmentRange": [1, 2, 3]}}, ["setting.resegmentRange"]),
        ({"setting": {"resegmentMode": "absolut"}}, ["setting.resegmentMode", "absolute"]),
        ({"setting": {"weightingNorm": "euclid"}}, ["setting.weightingNorm", "euclidean"]),
        ({"setting": {"label": 0}}, ["setting.label", "greater than 0"]),
        ({"setting": {"correctMask": 1}}, ["setting.correctMask", "boolean"]),
        ({"setting": {"additionalInfo": "yes"}}, ["setting.additionalInfo", "bool"]),
        ({"setting": [1]}, ["setting", "mapping"]),
        ({"voxelSetting": {"kernelradius": 1}}, ["voxelSetting", "'kernelRadius'"]),
        ({"imageType": {"LoG": {}}}, ["imageType.LoG.sigma", "at least one width"]),
        ({"imageType": {"LoG": {"sigma": [1.0, 0.0]}}}, ["imageType.LoG.sigma", "greater than 0"]),
        ({"imageType": {"Wavelet": {"wavelet": "coif99"}}}, ["imageType.Wavelet.wavelet", "'coif99'", "Did you mean"]),
        ({"imageType": {"LBP2D": {"lbp2DMethod": "uniforms"}}}, ["imageType.LBP2D.lbp2DMethod", "'uniform'"]),
        ({"imageType": {"Orignal": {}}}, ["'Orignal'", "'Original'"]),
        ({"imageType": {"Original": {"normalize": True}}}, ["imageType.Original.normalize", "under setting"]),
        ({"featureClass": {"glcms": None}}, ["'glcms'", "'glcm'"]),
        ({"featureClass": {"glcm": ["Contrst"]}}, ["featureClass.glcm", "'Contrst'", "'Contrast'"]),
        ({"featureClass": {"glcm": ["Dissimilarity"]}}, ["Dissimilarity", "DifferenceAverage"]),
        ({"featureClass": {"gldm": ["DependencePercentage"]}}, ["DependencePercentage", "always 1"]),
        ({"featureClass": {"glcm": "Contrast"}}, ["featureClass.glcm", "list"]),
    ],
)
def test_refused(params, words):
    with pytest.raises(ConfigError) as caught:
        parse_parameters(params)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    with pytest.raises(ValidationError) as in_settings:
        FeatureSettings(params=params)
    assert words[0] in str(in_settings.value)


def test_all_problems_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_parameters({"setting": {"binwidth": 10, "force2D": "no"}, "featureClass": {"glmc": None}, "imageTypes": {}})
    assert all(word in str(caught.value) for word in ("binwidth", "force2D", "glmc", "imageTypes"))


def test_the_original_image_with_other_image_types_settings_in_the_file():
    # Keys of filters stand in many parameter files; without the filter PyRadiomics does not read them either.
    parsed = parse_parameters(
        {
            "setting": {
                "binWidth": 10,
                "sigma": [1.0, 3.0],
                "wavelet": "coif1",
                "label": 1,
                "additionalInfo": True,
                "geometryTolerance": None,
            },
            "voxelSetting": {"kernelRadius": 2},
            "imageType": {"Original": {"binWidth": 5, "sigma": [2.0]}},
            "featureClass": {"glcm": ["Id", "Contrast"], "shape": None, "firstorder": []},
        }
    )
    assert (parsed.setting.binWidth, parsed.images["Original"].binWidth) == (10, 5)
    assert list(parsed.features) == ["shape", "glcm", "firstorder"]  # shape first, then in the order of the file
    assert parsed.features["glcm"] == ("Id", "Contrast")
    assert len(parsed.features["firstorder"]) == 18


def test_defaults_are_the_107():
    counts = {family: len(names) for family, names in parse_parameters({}).features.items()}
    assert counts == {"shape": 14, "firstorder": 18, "glcm": 24, "gldm": 14, "glrlm": 16, "glszm": 16, "ngtdm": 5}


def test_other_engine_reads_its_own_parameters():
    assert FeatureSettings(engine="pyradiomics", params={"imageType": {"LoG": {"sigma": [1.0]}}}).engine == "pyradiomics"


BOX = np.zeros((6, 7, 8), bool)
BOX[1:5, 1:6, 1:7] = True
NOISE = np.random.default_rng(1).normal(100, 30, BOX.shape)


def mask_of(*places):
    mask = np.zeros(BOX.shape, bool)
    for place in places:
        mask[place] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "setting", "error", "words"),
    [
        (np.zeros_like(BOX), {}, EmptyRoiError, ["empty"]),
        (mask_of((2, 2, 2)), {}, EmptyRoiError, ["single voxel"]),
        (mask_of((2, 2, 2), (2, 2, 3)), {}, EmptyRoiError, ["1 of 3", "minimumROIDimensions"]),
        (mask_of((2, slice(1, 4), slice(1, 4))), {"minimumROIDimensions": 3}, EmptyRoiError, ["2 of 3"]),
        (BOX, {"minimumROISize": 120}, EmptyRoiError, ["120 voxels", "minimumROISize"]),
        (BOX, {"resegmentRange": [1e6]}, EmptyRoiError, ["resegmentRange", "0 of 120"]),
        (BOX, {"distances": [9]}, EmptyRoiError, ["distances", "9"]),
        (mask_of((slice(1, 4), 2, 2)), {"minimumROIDimensions": 1, "force2D": True}, EmptyRoiError, ["within a plane"]),
        (BOX, {"binWidth": 1e-3}, RadpipeError, ["grey levels", "10000", "Use a binWidth of at least"]),
        (BOX, {"resampledPixelSpacing": [200, 200, 200]}, EmptyRoiError, []),
    ],
)
def test_regions_that_cannot_be_used(pair, mask, setting, error, words):
    with pytest.raises(error) as caught:
        extract_row(*pair(NOISE, mask), FeatureSettings(params={"setting": setting}))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_bin_width_that_is_advised_will_do(pair):
    with pytest.raises(RadpipeError) as caught:
        extract_row(*pair(NOISE, BOX), FeatureSettings(params={"setting": {"binWidth": 1e-6}}))
    assert caught.value.kind == "discretisation"
    advised = float(caught.value.hint.split("at least ")[1].split(" ")[0])
    chosen = {
        "setting": {"binWidth": advised},
        "featureClass": {"firstorder": None, "glcm": ["Contrast", "JointEntropy"], "ngtdm": None},
    }
    row = extract_row(*pair(NOISE, BOX), FeatureSettings(params=chosen))
    assert row["original_firstorder_Entropy"] == pytest.approx(math.log2(BOX.sum()), abs=0.1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_undefined_intensities_inside_are_refused_and_outside_are_not_read(pair, bad):
    inside = NOISE.copy()
    inside[2, 2, 2] = bad
    with pytest.raises(FileProblem, match=r"1 of the region's 120 voxels"):
        extract_row(*pair(inside, BOX), FeatureSettings())
    outside = NOISE.copy()
    outside[0, 0, 0] = bad
    assert extract_row(*pair(outside, BOX), FeatureSettings()) == extract_row(*pair(NOISE, BOX), FeatureSettings())
    with pytest.raises(FileProblem, match="normalize"):
        extract_row(*pair(outside, BOX), FeatureSettings(params={"setting": {"normalize": True}}))


def test_grids_must_have_one_shape():
    image = Image(Grid((2, 3, 4), (1.0, 1.0, 1.0)), np.zeros((2, 3, 4)))
    mask = Mask(Grid((4, 3, 2), (1.0, 1.0, 1.0)), np.ones((4, 3, 2), bool))
    with pytest.raises(GeometryError, match="grid"):
        extract_row(image, mask, FeatureSettings())


def test_shape2d_is_for_one_plane(pair):
    asked = {"featureClass": {"shape2D": None}}
    with pytest.raises(RadpipeError, match="force2D is off"):
        extract_row(*pair(NOISE, BOX), FeatureSettings(params=asked))
    with pytest.raises(RadpipeError, match="4 voxels along axis 0"):
        extract_row(*pair(NOISE, BOX), FeatureSettings(params={**asked, "setting": {"force2D": True}}))


@pytest.mark.parametrize("value", [0.1, 77.0, -3.3])
def test_a_region_of_one_intensity_has_pyradiomics_conventions(pair, value):
    row = extract_row(*pair(np.full(BOX.shape, value), BOX), FeatureSettings())
    expected = {
        "firstorder_Skewness": 0, "firstorder_Kurtosis": 0, "firstorder_Variance": 0, "firstorder_Uniformity": 1,
        "glcm_Correlation": 1, "glcm_MCC": 1, "glcm_Imc1": 0, "glcm_Imc2": 0, "glcm_JointEnergy": 1, "glcm_Contrast": 0,
        "ngtdm_Coarseness": 1e6, "ngtdm_Busyness": 0, "ngtdm_Contrast": 0, "ngtdm_Complexity": 0, "ngtdm_Strength": 0,
        "glszm_ZonePercentage": 1 / 120, "glszm_LargeAreaEmphasis": 120**2,
    }  # fmt: skip
    for name, defined in expected.items():
        assert row[f"original_{name}"] == pytest.approx(defined, abs=1e-12), name


def test_a_family_alone_gives_the_same_values(phantom):
    whole = extract_row(*phantom, FeatureSettings())
    for family, names in parse_parameters({}).features.items():
        row = extract_row(*phantom, FeatureSettings(params={"featureClass": {family: None}}))
        assert row == {f"original_{family}_{name}": whole[f"original_{family}_{name}"] for name in names}
