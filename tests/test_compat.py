"""The extractor class of PyRadiomics: the very same script text gives the same names, order and values under radpipe."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from radpipe.compat import ExtractionError, ParameterFileMissing, RadiomicsFeatureExtractor, featureextractor, setVerbosity
from radpipe.errors import RadpipeError
from radpipe.features.parity import off

REFERENCE = Path(__file__).parent / "reference"
sys.path.insert(0, str(REFERENCE))
from small_volumes import write_small_volumes  # noqa: E402

ORACLE = json.loads((REFERENCE / "compat_oracle.json").read_text())
# What radpipe says of itself, and what SimpleITK's numbering of interpolators is.
NOT_THE_SAME = ("diagnostics_Versions_", "diagnostics_Configuration_Settings")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("volumes")
    write_small_volumes(path)
    return path


@pytest.fixture(scope="module")
def rows(folder: Path) -> dict[str, dict[str, Any]]:
    text = (REFERENCE / "pyradiomics_script.py").read_text()
    assert text.count("from radiomics import featureextractor") == 1
    names: dict[str, Any] = {"FOLDER": str(folder)}
    exec(text.replace("from radiomics import featureextractor", "from radpipe.compat import featureextractor"), names)
    return names["rows"]


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.item()
    return [plain(entry) for entry in value] if isinstance(value, tuple | list) else value


@pytest.mark.parametrize("name", ORACLE)
def test_names_order_and_values_of_the_script(rows: dict[str, dict[str, Any]], name: str) -> None:
    ours, theirs = rows[name], dict(ORACLE[name])
    assert list(ours) == [key for key, _ in ORACLE[name]]
    for key, value in theirs.items():
        if key.startswith("diagnostics_") and not key.startswith(NOT_THE_SAME):
            numbers = isinstance(value, list | float)
            assert plain(ours[key]) == (pytest.approx(value, rel=1e-12, abs=1e-12) if numbers else value), key
    features = {key: value for key, value in theirs.items() if not key.startswith("diagnostics_")}
    assert all(isinstance(ours[key], np.ndarray) and ours[key].shape == () for key in features)
    shares = off({key: float(ours[key]) for key in features}, features)
    assert {key: share for key, share in shares.items() if share > 1} == {}


def test_the_settings_that_were_used_are_told(rows: dict[str, dict[str, Any]]) -> None:
    for name, given in ORACLE.items():
        theirs = dict(given).get("diagnostics_Configuration_Settings")
        if theirs is not None:
            ours = dict(rows[name]["diagnostics_Configuration_Settings"])
            if isinstance(theirs["interpolator"], int):  # sitk.sitkBSpline, by its name
                assert ours.pop("interpolator") == "sitkBSpline"
                del theirs["interpolator"]
            assert ours == theirs, name
        version = rows[name].get("diagnostics_Versions_PyRadiomics")
        assert version is None or version.startswith("radpipe ")


@pytest.fixture
def extractor() -> RadiomicsFeatureExtractor:
    return RadiomicsFeatureExtractor({"featureClass": {"firstorder": ["Mean"]}})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"setting": {"binWidht": 5}}, "binWidth"),
        ({"setings": {}}, "Did you mean 'setting'"),
        ({"imageType": {"Log": {}}}, "LoG"),
        ({"featureClass": {"glcms": None}}, "glcm"),
        ({"featureClass": {"firstorder": ["Meen"]}}, "Mean"),
        ({"setting": {"binWidth": -1}}, "binWidth"),
        ({"setting": [1]}, "must be a mapping"),
    ],
)
def test_parameters_that_cannot_be_followed_are_value_errors(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        RadiomicsFeatureExtractor(given)
    assert isinstance(caught.value, ExtractionError)


def test_a_typo_among_the_keywords_is_no_silence(folder: Path) -> None:
    with pytest.raises(ExtractionError, match="Did you mean 'binWidth'"):
        RadiomicsFeatureExtractor(binwidht=10)
    extractor = RadiomicsFeatureExtractor()
    extractor.settings["binwidth"] = 10
    with pytest.raises(ExtractionError, match="binWidth"):
        extractor.execute(f"{folder}/image.nrrd", f"{folder}/mask.nrrd")


def test_a_parameter_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="does not exist") as caught:
        RadiomicsFeatureExtractor(tmp_path / "Params.yaml")
    assert isinstance(caught.value, ParameterFileMissing) and isinstance(caught.value, RadpipeError)
    (tmp_path / "Params.yaml").write_text("setting:\n\tbinWidth: 5\n")
    with pytest.raises(ExtractionError, match="not valid YAML"):
        RadiomicsFeatureExtractor(str(tmp_path / "Params.yaml"))


def test_what_it_is_called_with(extractor: RadiomicsFeatureExtractor, folder: Path, tmp_path: Path) -> None:
    image, mask = f"{folder}/image.nrrd", f"{folder}/mask.nrrd"
    for arguments, words in (
        ((image, mask, 5), "no voxel of the mask has the label 5; it holds the labels 1, 2"),
        ((image, f"{folder}/layers.nrrd", 1, 2), "holds 2 masks"),
        ((image, f"{folder}/nothere.nrrd"), "does not exist"),
        ((str(tmp_path), mask), "folder"),
        ((image, f"{folder}/coarse_mask.nrrd"), "not on the image's grid: size"),
        ((sitk.ReadImage(image)[:, :, 3], sitk.ReadImage(mask)[:, :, 3]), "2D"),
        ((np.zeros((3, 3, 3)), mask), "ndarray"),
        ((sitk.ReadImage(f"{folder}/layers.nrrd"), mask), "2 values per voxel"),
        ((image, sitk.ReadImage(f"{folder}/layers.nrrd"), 1, 7), "label_channel 7"),
    ):
        with pytest.raises(ValueError, match=words):
            extractor.execute(*arguments)


def test_correct_mask_refuses_a_region_outside_the_image(extractor: RadiomicsFeatureExtractor, folder: Path) -> None:
    image, mask = sitk.ReadImage(f"{folder}/image.nrrd"), sitk.ReadImage(f"{folder}/mask.nrrd")
    mask.SetOrigin((-30.0, 30.0, 7.0))
    extractor.settings["correctMask"] = True
    with pytest.raises(ExtractionError, match=r"outside the image: its box spans x -1[0-9.]+ to"):
        extractor.execute(image, mask)


def test_geometry_tolerance(extractor: RadiomicsFeatureExtractor, folder: Path) -> None:
    image, mask = sitk.ReadImage(f"{folder}/image.nrrd"), sitk.ReadImage(f"{folder}/mask.nrrd")
    expected = float(extractor.execute(image, mask)["original_firstorder_Mean"])
    mask.SetOrigin((-12.5 + 0.003, 30.0, 7.0))
    with pytest.raises(ExtractionError, match=r"origin .* shifted by \(0.003"):
        extractor.execute(image, mask)
    extractor.settings["geometryTolerance"] = 0.01
    assert float(extractor.execute(image, mask)["original_firstorder_Mean"]) == expected


def test_enabling_and_disabling_as_scripts_do() -> None:
    extractor = featureextractor.RadiomicsFeatureExtractor()
    assert "shape2D" not in extractor.enabledFeatures and extractor.enabledImagetypes == {"Original": {}}
    extractor.enableAllFeatures()
    extractor.enableAllImageTypes()
    assert "shape2D" in extractor.enabledFeatures and {"LoG", "Wavelet", "LBP3D"} <= set(extractor.enabledImagetypes)
    extractor.enableImageTypeByName("LoG", enabled=False)
    extractor.enableFeatureClassByName("glcm", enabled=False)
    assert "LoG" not in extractor.enabledImagetypes and "glcm" not in extractor.enabledFeatures
    for call in (
        lambda: extractor.enableImageTypeByName("Wavelets"),
        lambda: extractor.enableImageTypes(wavelet={}),
        lambda: extractor.enableFeatureClassByName("glmc"),
        lambda: extractor.enableFeaturesByName(firstorders=[]),
    ):
        with pytest.raises(ExtractionError, match="Did you mean"):
            call()
    setVerbosity(40)
