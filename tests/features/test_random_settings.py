"""radpipe's values are pyradiomics' for randomly drawn settings, by the same call; tests/reference/random_settings.py draws them.

The draws and pyradiomics' values are committed. What pyradiomics refuses, radpipe refuses.
"""

from __future__ import annotations

import copy
import importlib.util
import json

import numpy as np
import pytest
import SimpleITK as sitk

from radpipe.compat import RadiomicsFeatureExtractor
from radpipe.errors import RadpipeError
from radpipe.features.parity import off

spec = importlib.util.spec_from_file_location("features_conftest", __file__.replace("test_random_settings", "conftest"))
assert spec is not None and spec.loader is not None
_helpers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(_helpers)
ORACLE = _helpers.oracle_module()
DRAWS = ORACLE.random_settings
VALUES = _helpers.oracle_values()
BY_ID = {one["id"]: one for one in DRAWS.drawn()}


def radpipe_row(image, mask, params):
    row = RadiomicsFeatureExtractor(json.loads(json.dumps(params))).execute(image, mask)
    return {name: float(np.asarray(value)) for name, value in row.items() if not name.startswith("diagnostics_")}


def case_of(one, request):
    data = request.getfixturevalue("shared_data") if one["case"] in DRAWS.NEED_DATA else None
    return DRAWS.read(one["case"], data)


def _one_level(params):
    own = params.get("imageType", {}).get("LBP3D")
    return own is not None and {**params["setting"], **own}.get("lbp3DLevels") == 1


def as_one_slice(image, mask, params):
    setting = {**params["setting"], "force2D": True}
    if "resampledPixelSpacing" in setting:
        setting["resampledPixelSpacing"] = [*setting["resampledPixelSpacing"], 0]
    return sitk.JoinSeries(image), sitk.JoinSeries(mask), {**params, "setting": setting}


@pytest.mark.parametrize("name", BY_ID)
def test_same_values_or_both_refuse(name, request):
    one = BY_ID[name]
    image, mask = case_of(one, request)
    params = one["params"]
    if one["case"] == "image2d":  # in the ledger: radpipe reads 3D images; as a volume of one slice it has the same values
        with pytest.raises(RadpipeError):
            radpipe_row(image, mask, params)
        image, mask, params = as_one_slice(image, mask, params)
    theirs = VALUES[one["case"], name]
    if isinstance(theirs, str) and _one_level(params):  # in the ledger: pyradiomics fails on lbp3DLevels 1
        assert theirs.startswith("IndexError")
        with_two = copy.deepcopy(params)
        with_two["imageType"]["LBP3D"]["lbp3DLevels"] = 2
        both = {column: value for column, value in radpipe_row(image, mask, with_two).items() if "-m2_" not in column}
        assert max(off(radpipe_row(image, mask, params), both).values()) <= 1
        return
    if isinstance(theirs, str):
        with pytest.raises(RadpipeError):
            radpipe_row(image, mask, params)
        return
    ours = radpipe_row(image, mask, params)
    beyond = {column: (ours.get(column), theirs.get(column), share) for column, share in off(ours, theirs).items() if share > 1}
    assert not beyond, one
    assert list(ours) == [column for column in ours if column in theirs]


def test_the_draws_cover_every_key():
    """Every key of setting, imageType (and its overrides) and featureClass (and names in it), not at its default, in effect."""
    covered = DRAWS.coverage(DRAWS.drawn())
    assert {key: covered[key] for key in DRAWS.wanted_coverage() if covered[key] < 3} == {}
    with_values = [one for one in DRAWS.drawn() if not isinstance(VALUES[one["case"], one["id"]], str)]
    covered = DRAWS.coverage(with_values)  # a refused draw compares no value
    assert {key for key in DRAWS.wanted_coverage() if not covered[key]} == set()
    assert len(with_values) >= 40
    assert {one["case"] for one in with_values} == set(DRAWS.CASES)
    print(DRAWS.report())


def test_the_contract_names_no_other_key():
    """DEFAULTS are the contract's: what radpipe's own parameters know is there, and nothing else."""
    from radpipe.features.parameters import ImageSettings, ImageTypeSettings, ReadingSettings, VoxelSettings

    known = {*ImageSettings.model_fields, *ImageTypeSettings.model_fields, *ReadingSettings.model_fields}
    assert known == set(DRAWS.DEFAULTS)
    assert {f"voxelSetting.{key}" for key in VoxelSettings.model_fields} <= DRAWS.wanted_coverage()
    for model in (ImageSettings, ImageTypeSettings, ReadingSettings):
        for key, field in model.model_fields.items():
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            assert default == DRAWS.DEFAULTS[key], key


def test_the_committed_draws_are_what_the_strategy_gives():
    """Not their values (another hypothesis may draw others), but that each could have been drawn."""
    for one in DRAWS.drawn():
        setting = one["params"]["setting"]
        assert set(setting) <= set(DRAWS.DEFAULTS)
        assert one["case"] in DRAWS.CASES
    assert len({json.dumps([one["case"], one["params"]]) for one in DRAWS.drawn()}) == len(DRAWS.drawn()) >= 40
