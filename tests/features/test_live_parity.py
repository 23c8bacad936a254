"""Both engines side by side on randomly drawn settings and regions; runs where pyradiomics is installed (`make pyradiomics`).

The committed oracle's draws are in test_random_settings.py; these are others, and RADPIPE_LIVE_SEED asks for others again.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radpipe.compat import RadiomicsFeatureExtractor
from radpipe.errors import RadpipeError
from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract_row
from radpipe.features.parameters import ImageSettings
from radpipe.features.parity import off

pytest.importorskip("radiomics", reason="pyradiomics is not installed; run `make pyradiomics`")
spec = importlib.util.spec_from_file_location("features_conftest", Path(__file__).with_name("conftest.py"))
assert spec is not None and spec.loader is not None
_helpers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(_helpers)
ORACLE = _helpers.oracle_module()
DRAWS = ORACLE.random_settings
SEED = int(os.environ.get("RADPIPE_LIVE_SEED", "7"))
CLASSES = {"featureClass": dict.fromkeys(ORACLE.CLASSES)}
# Each key with values to draw from; None leaves the key out.
DRAWN: dict[str, list[Any]] = {
    "binWidth": [None, 5, 12.5, 25, 60],
    "binCount": [None, None, 4, 16, 33],
    "distances": [None, [1], [2], [1, 2], [1, 3]],
    "force2D": [None, None, True],
    "force2Ddimension": [None, 0, 1, 2],
    "weightingNorm": [None, None, "manhattan", "euclidean", "infinity", "no_weighting"],
    "voxelArrayShift": [None, 0, 100, -50],
    "symmetricalGLCM": [None, True, False],
    "gldm_a": [None, 0, 1, 3],
    "normalize": [None, None, True],
    "normalizeScale": [None, 100, 55.5],
    "removeOutliers": [None, 1.5, 3],
    "resampledPixelSpacing": [None, None, [2, 2, 2], [1.0, 1.3, 0], [0.8, 0.8, 0.8]],
    "interpolator": [None, "sitkBSpline", "sitkLinear", "sitkNearestNeighbor", 2],
    "padDistance": [None, 0, 3, 10],
    "preCrop": [None, True],
    "resegmentRange": [None, None, [-1.2], [-1.5, 1.5]],
    "resegmentMode": ["sigma"],
    "resegmentShape": [None, True],
    "minimumROIDimensions": [None, 1, 2],
    "minimumROISize": [None, 10],
}


def draw(seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    drawn = {key: chance.choice(values) for key, values in DRAWN.items()}
    return {key: value for key, value in drawn.items() if value is not None}


def test_every_key_is_drawn():
    assert set(DRAWN) == set(ImageSettings.model_fields)
    drawn = [draw(seed) for seed in range(40)]
    assert {key for setting in drawn for key in setting} == set(DRAWN)


@pytest.mark.parametrize("seed", range(40))
def test_same_values(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(8, 16, 3))
    z, y, x = np.indices(shape)
    voxels = 100 + 60 * np.sin(x / rng.uniform(1, 4)) * np.cos(y / rng.uniform(1, 4)) + rng.normal(0, 15, shape) + 3 * z
    voxels = voxels.astype([np.int16, np.float32, np.float64, np.int32][seed % 4])
    centre = [rng.uniform(3, size - 3) for size in shape]
    inside = sum(((axis - c) / rng.uniform(2, 5)) ** 2 for axis, c in zip((z, y, x), centre, strict=True)) <= 1
    inside &= rng.random(shape) < rng.uniform(0.5, 1.3)
    spacing = tuple(float(value) for value in rng.uniform(0.7, 3.0, 3))
    image, mask = ORACLE.to_itk(voxels, spacing), ORACLE.to_itk(inside.astype(np.uint8), spacing)
    types = ORACLE.cases.filter_settings_for("waves")["filters"]["imageType"]
    chosen = sorted(types)[seed % len(types)]
    params = {"setting": draw(seed), "imageType": {"Original": {}, chosen: types[chosen]}, **CLASSES}
    try:
        theirs = ORACLE.pyradiomics_row(image, mask, params)
    except (ValueError, RuntimeError):
        with pytest.raises(RadpipeError):
            extract_row(*ORACLE.from_itk(image, mask), FeatureSettings(params=params))
        return
    ours = extract_row(*ORACLE.from_itk(image, mask), FeatureSettings(params=params))
    beyond = {name: (ours[name], theirs[name], share) for name, share in off(ours, theirs).items() if share > 1}
    assert not beyond, params


@pytest.fixture(scope="module")
def fresh():
    return DRAWS.draw(40, SEED)


@pytest.mark.parametrize("k", range(40))
def test_fresh_draws_of_every_key(request, fresh, k):
    one = fresh[k]
    if one["case"] == "image2d":
        pytest.skip("radpipe reads 3D images; test_random_settings.py has them as one slice")
    data = request.getfixturevalue("shared_data") if one["case"] in DRAWS.NEED_DATA else None
    image, mask = DRAWS.read(one["case"], data)
    params, types = one["params"], one["params"].get("imageType", {})
    try:
        theirs = ORACLE.pyradiomics_row(image, mask, params)
    except (ValueError, RuntimeError):
        with pytest.raises(RadpipeError):
            RadiomicsFeatureExtractor(params).execute(image, mask)
        return
    except IndexError:
        assert "LBP3D" in types  # in the ledger: lbp3DLevels 1
        return
    try:
        row = RadiomicsFeatureExtractor(json.loads(json.dumps(params))).execute(image, mask)
    except RadpipeError:
        # In the ledger: another grid is an error unless correctMask or geometryTolerance says otherwise, resampled or not.
        assert one["case"] in ("nudged", "other_grid") and "resampledPixelSpacing" in params["setting"]
        return
    ours = {name: float(value) for name, value in row.items() if not name.startswith("diagnostics_")}
    undefined = {name for name in ours if name.startswith("lbp-2D_") and np.isnan(ours[name])}  # in the ledger: variance of 0
    beyond = {
        n: (ours.get(n), theirs.get(n), share) for n, share in off(ours, theirs).items() if share > 1 and n not in undefined
    }
    assert not beyond, one


def test_the_engine_is_pyradiomics(phantom):
    image, mask = phantom
    params = {"setting": {"binWidth": 20, "sigma": [2.0]}, "imageType": {"LoG": {}, "Original": {}}, **CLASSES}
    row = extract_row(image, mask, FeatureSettings(engine="pyradiomics", params=params))
    spacing = image.grid.spacing_mm[::-1]
    expected = ORACLE.pyradiomics_row(
        ORACLE.to_itk(image.voxels, spacing), ORACLE.to_itk(mask.voxels.astype(np.uint8), spacing), params
    )
    assert row == expected
    assert sum(name.startswith("log-sigma-2-0-mm-3D_") for name in row) == 93
    ours = extract_row(image, mask, FeatureSettings(params={"setting": {"binWidth": 20}}))
    assert max(off(ours, {name: value for name, value in row.items() if name.startswith("original_")}).values()) <= 1
