"""radpipe's values are pyradiomics 3.0.1's, on every oracle case: within 1e-9 of the larger of value and natural scale on the
original image, 1e-6 on filtered ones (meshes and MCC 1e-6). tests/reference/ holds the values and the script that made them."""

from __future__ import annotations

import importlib.util

import pytest

from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract_row
from radpipe.features.parity import off

spec = importlib.util.spec_from_file_location("features_conftest", __file__.replace("test_parity", "conftest"))
assert spec is not None and spec.loader is not None
_helpers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(_helpers)
ORACLE = _helpers.oracle_module()
CASES = ORACLE.cases
VALUES = _helpers.oracle_values()
PHANTOMS = [(name, setting) for name in CASES.phantoms() for setting in CASES.settings_for(name)]
FILTERED_PHANTOMS = [(name, setting) for name in CASES.FILTERED_PHANTOMS for setting in CASES.filter_settings_for(name)]
PATIENTS = sorted({case for case, setting in VALUES if not setting.startswith("random")} - set(CASES.phantoms()))


def assert_equal_rows(row, reference):
    assert list(row) == [name for name in row if name in reference]  # no column that pyradiomics does not have
    assert set(row) == set(reference)
    beyond = {name: (row[name], reference[name], share) for name, share in off(row, reference).items() if share > 1}
    assert not beyond


@pytest.mark.parametrize(("name", "setting"), [*PHANTOMS, *FILTERED_PHANTOMS], ids=lambda value: str(value))
def test_phantoms_need_no_data(name, setting):
    params = {**CASES.settings_for(name), **CASES.filter_settings_for(name)}[setting]
    row = extract_row(*CASES.from_itk(*CASES.read(name, None)), FeatureSettings(params=params))
    assert_equal_rows(row, VALUES[name, setting])


@pytest.mark.parametrize("case", PATIENTS)
def test_patients(shared_data, case):
    image, mask = CASES.from_itk(*CASES.read(case, shared_data))
    done = 0
    for name, setting, params in CASES.jobs(shared_data):
        if name == case:
            assert_equal_rows(extract_row(image, mask, FeatureSettings(params=params)), VALUES[case, setting])
            done += 1
    assert done >= 4


def test_the_oracle_covers_what_the_issue_names(shared_data):
    jobs = [(case, setting) for case, setting, _ in CASES.jobs(shared_data)]
    assert set(jobs) == {key for key in VALUES if not key[1].startswith("random")}
    assert set(CASES.OWN) <= set(PATIENTS)
    patients = {*CASES.STS, *CASES.STS_MORE}
    assert len(patients) >= 8
    for setting in CASES.NAMED:
        assert {(f"{patient}_{kind}", setting) for patient in patients for kind in CASES.MODALITIES} <= set(jobs)
    filtered = {case for case, setting in jobs if setting == "filters"}
    assert set(CASES.OWN) <= filtered
    assert {case[:7] for case in filtered if case.startswith("STS")} == patients
    assert {CASES.kind_of(case) for case in filtered if case.startswith("STS")} == set(CASES.MODALITIES)
    for case in filtered:
        names = {
            name.rsplit("_", 2)[0] for setting in CASES.filter_settings_for(CASES.kind_of(case)) for name in VALUES[case, setting]
        }
        types = {name.split("-")[0] for name in names}
        assert {"log", "wavelet", "square", "squareroot", "logarithm", "exponential", "gradient", "lbp"} <= types
        assert {"lbp-2D", "lbp-3D-m1", "lbp-3D-m2", "lbp-3D-k"} <= names
        assert case == "plane" or len({name for name in names if name.startswith("wavelet2-")}) == 8
    assert not [key for key in VALUES if isinstance(VALUES[key], str) and not key[1].startswith("random")]
    assert all(len(VALUES[case, "plain"]) == 107 for case in PATIENTS)


def test_order_of_columns_is_pyradiomics(oracle_rows, phantom):
    for setting, params in {**CASES.settings_for("waves"), **CASES.filter_settings_for("waves")}.items():
        if setting in ("plain", "filters", "wavelet_level2"):
            assert list(extract_row(*phantom, FeatureSettings(params=params))) == list(oracle_rows["waves", setting])


def test_off_sees_a_difference_beyond_the_bound():
    reference = {"original_glcm_Contrast": 10.0, "original_glcm_ClusterShade": 1e-12, "original_glcm_ClusterTendency": 4.0}
    moved = {**reference, "original_glcm_Contrast": 10.0 + 2e-8}
    assert off(moved, reference)["original_glcm_Contrast"] == pytest.approx(2.0, rel=1e-6)
    around_zero = {**reference, "original_glcm_ClusterShade": -1e-12}
    assert off(around_zero, reference)["original_glcm_ClusterShade"] < 1e-3  # against ClusterTendency ** 1.5 = 8
    assert off({}, reference)["original_glcm_Contrast"] == float("inf")
    assert off({**reference, "original_glcm_Contrast": float("nan")}, reference)["original_glcm_Contrast"] == float("inf")
    assert off({**reference, "original_glcm_Contrast": float("inf")}, reference)["original_glcm_Contrast"] == float("inf")
    filtered = {f"wavelet-LLH_{name[9:]}": value for name, value in reference.items()}
    assert off({**filtered, "wavelet-LLH_glcm_Contrast": 10.0 + 2e-5}, filtered)["wavelet-LLH_glcm_Contrast"] == pytest.approx(
        2.0
    )
    assert off({**filtered, "wavelet-LLH_glcm_Contrast": 10.0 + 5e-6}, filtered)["wavelet-LLH_glcm_Contrast"] == pytest.approx(
        0.5
    )
