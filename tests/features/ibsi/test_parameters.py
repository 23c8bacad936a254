"""What settings are taken, and how those that are not are refused."""

from __future__ import annotations

import pytest

from radpipe.errors import ConfigError
from radpipe.features.config import FeatureSettings
from radpipe.features.ibsi.parameters import BY_PLANE, BY_VOLUME, Discretise, IbsiParameters, Resample, parse_ibsi

REFUSED = [
    ({"resampel": {}}, r"unknown key 'resampel'\. Did you mean 'resample'"),
    ({"resample": {"spacing": 2}}, r"resample: unknown key 'spacing'\. Did you mean 'spacing_mm'"),
    ({"resample": {"spacing_mm": 0}}, r"spacing_mm\.0: .*greater than 0 \(got 0\)"),
    ({"resample": {"spacing_mm": [1, 1]}}, "dimension 3D needs one number, or x, y and z"),
    ({"dimension": "2D", "resample": {"spacing_mm": [1, 1, 1]}}, "dimension 2D needs one number, or x and y"),
    ({"resample": {"spacing_mm": 2, "interpolation": "liner"}}, r"interpolation: .*'liner'\) Did you mean 'linear'"),
    ({"resample": {"spacing_mm": 2, "mask_threshold": 1.5}}, r"mask_threshold: .*1 \(got 1\.5\)"),
    ({"dimension": "4D"}, r"dimension: .*'2D' or '3D'"),
    ({"resegment_range": [400, -500]}, "first value must be below the second"),
    ({"resegment_range": [None, None]}, "open on both sides"),
    ({"outlier_sigma": 0}, r"outlier_sigma: .*greater than 0"),
    ({"discretise": {"method": "fbn"}}, "method fbn needs bins"),
    ({"discretise": {"method": "fbs"}}, "method fbs needs width"),
    ({"discretise": {"method": "fbn", "bins": 10_001}}, r"discretise\.bins: .*10000 \(got 10001\)"),
    ({"discretise": {"method": "fbn", "bins": 8, "width": 25}}, "width applies with method fbs only"),
    ({"ivh": {"metod": "fbn"}}, r"ivh: unknown key 'metod'\. Did you mean 'method'"),
    ({"families": ["glcm"]}, r"families\.0: .*'cm'"),
    ({"families": ["cm", "cm"]}, "names an entry twice"),
    ({"aggregations": ["3D-mgr"]}, r"aggregations\.0.*Did you mean '3D-mrg'"),
    ({"glcm_distance": 0}, r"glcm_distance: .*greater than or equal to 1"),
    ({"ngldm_alpha": -1}, r"ngldm_alpha: .*greater than or equal to 0"),
    ({"filter": {"means": {}}}, r"no IBSI filter named 'means'\. Did you mean 'mean'"),
    ({"filter": {"mean": {"suport": 3}}}, r"mean: unknown key 'suport'\. Did you mean 'support'"),
    ({"filter": {"mean": {}}, "dimension": "2D"}, "mean in 3D cannot be used with dimension 2D"),
]


@pytest.mark.parametrize(("params", "words"), REFUSED)
def test_refused(params, words):
    with pytest.raises(ConfigError, match=words):
        parse_ibsi(params)
    with pytest.raises(ValueError, match=words):
        FeatureSettings(feature_set="ibsi", params=params)


def test_every_problem_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_ibsi({"resampel": {}, "glcm_distance": 0, "ivh": {"method": "fbs", "with": 2}})
    assert all(word in caught.value.problem for word in ("resampel", "glcm_distance", "'with'"))


def test_defaults_are_written_out():
    parameters = parse_ibsi({})
    assert parameters.aggregations == BY_VOLUME and parse_ibsi({"dimension": "2D"}).aggregations == BY_PLANE
    assert parameters.discretise == Discretise(method="fbn", bins=32)
    assert parse_ibsi(parameters.model_dump(mode="json")) == parameters


def test_every_field_is_documented():
    for model in (IbsiParameters, Resample, Discretise):
        told = model.model_json_schema()["properties"]
        assert all(told[field].get("description") for field in model.model_fields)


def test_feature_set_in_the_settings():
    settings = FeatureSettings(feature_set="ibsi", params={"dimension": "2D", "glcm_distance": 2})
    assert settings.ibsi_parameters.glcm_distance == 2
    with pytest.raises(ConfigError, match="no PyRadiomics parameters"):
        _ = settings.parameters
    with pytest.raises(ConfigError, match="no IBSI parameters"):
        _ = FeatureSettings().ibsi_parameters
    with pytest.raises(ValueError, match="engine pyradiomics has no IBSI set"):
        FeatureSettings(engine="pyradiomics", feature_set="ibsi")
    with pytest.raises(ValueError, match="unknown key 'setting'"):
        FeatureSettings(feature_set="ibsi", params={"setting": {"binWidth": 25}})


def test_spacing_is_given_as_x_y_z():
    assert Resample(spacing_mm=(1.0, 2.0, 3.0)).spacing_zyx((9.0, 9.0, 9.0), "3D") == (3.0, 2.0, 1.0)
    assert Resample(spacing_mm=(1.0, 2.0)).spacing_zyx((9.0, 9.0, 9.0), "2D") == (9.0, 2.0, 1.0)
    assert Resample(spacing_mm=(2.0,)).spacing_zyx((9.0, 9.0, 9.0), "2D") == (9.0, 2.0, 2.0)
    assert parse_ibsi({"resample": {"spacing_mm": 2}}).resample.spacing_zyx((9.0, 9.0, 9.0), "3D") == (2.0, 2.0, 2.0)
