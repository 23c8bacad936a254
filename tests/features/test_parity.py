"""radpipe's values are pyradiomics 3.0.1's, on every oracle case: within 1e-9 of the larger of value and natural scale
(meshes and MCC 1e-6)."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import SimpleITK as sitk

from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract_row
from radpipe.features.parity import off

spec = importlib.util.spec_from_file_location("features_conftest", __file__.replace("test_parity", "conftest"))
assert spec is not None and spec.loader is not None
_helpers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(_helpers)
ORACLE = _helpers.oracle_module()
VALUES = _helpers.oracle_values()
PHANTOMS = [(name, setting) for name in ORACLE.phantoms() for setting in ORACLE.settings_for(name)]
CASES = sorted({case for case, _ in VALUES} - set(ORACLE.phantoms()))


def assert_equal_rows(row, reference):
    assert list(row) == [name for name in row if name in reference]  # no column that pyradiomics does not have
    assert set(row) == set(reference)
    beyond = {name: (row[name], reference[name], share) for name, share in off(row, reference).items() if share > 1}
    assert not beyond


@pytest.mark.parametrize(("name", "setting"), PHANTOMS, ids=lambda value: str(value))
def test_phantoms_need_no_data(name, setting):
    array, region, spacing = ORACLE.phantoms()[name]
    image, mask = ORACLE.from_itk(ORACLE.to_itk(array, spacing), ORACLE.to_itk(region.astype(np.uint8), spacing))
    row = extract_row(image, mask, FeatureSettings(params=ORACLE.settings_for(name)[setting]))
    assert_equal_rows(row, VALUES[name, setting])


@pytest.mark.parametrize("case", CASES)
def test_patients(shared_data, case):
    if case.startswith("STS"):
        patient, kind = case[:7], case[8:]
        stem = shared_data / "sts" / "images" / patient
        paths = stem / f"{kind}_image.nii.gz", stem / f"{kind}_mask.nii.gz"
    else:
        kind, folder = case, shared_data / "pyradiomics_cases"
        paths = folder / f"{case}_image.nrrd", folder / f"{case}_label.nrrd"
    image, mask = ORACLE.from_itk(*(sitk.ReadImage(str(path)) for path in paths))
    for setting, params in ORACLE.settings_for(kind).items():
        assert_equal_rows(extract_row(image, mask, FeatureSettings(params=params)), VALUES[case, setting])


def test_the_oracle_covers_what_the_contract_names():
    assert {"brain1", "brain2", "breast1"} <= set(CASES)
    assert {kind: sum(case.endswith(kind) for case in CASES) for kind in ("CT", "PET", "MR_T1")} == {
        "CT": 4,
        "PET": 4,
        "MR_T1": 4,
    }
    assert all(len(VALUES[case, "plain"]) == 107 for case in CASES)


def test_order_of_columns_is_pyradiomics(oracle_rows, phantom):
    expected = [name for name in oracle_rows["waves", "plain"] if name.startswith("original_")]
    chosen = FeatureSettings(params=ORACLE.settings_for("waves")["plain"])
    assert list(extract_row(*phantom, chosen)) == expected


def test_off_sees_a_difference_beyond_the_bound():
    reference = {"original_glcm_Contrast": 10.0, "original_glcm_ClusterShade": 1e-12, "original_glcm_ClusterTendency": 4.0}
    moved = {**reference, "original_glcm_Contrast": 10.0 + 2e-8}
    assert off(moved, reference)["original_glcm_Contrast"] == pytest.approx(2.0, rel=1e-6)
    around_zero = {**reference, "original_glcm_ClusterShade": -1e-12}
    assert off(around_zero, reference)["original_glcm_ClusterShade"] < 1e-3  # against ClusterTendency ** 1.5 = 8
    assert off({}, reference)["original_glcm_Contrast"] == float("inf")
    assert off({**reference, "original_glcm_Contrast": float("nan")}, reference)["original_glcm_Contrast"] == float("inf")
