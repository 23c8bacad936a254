"""radpipe's maps are pyradiomics 3.0.1's at every voxel: within 1e-6 of the larger of value and natural scale, NaN where it is NaN.

tests/reference/voxel_oracle.npz holds its maps of every family: phantoms, a part of brain1 and of a sarcoma's PET, kernels of radius
1 and 2, masked and not, in planes, with several distances and weights, on filtered images. make_voxel_oracle.py made it.
"""

from __future__ import annotations

import importlib.util
import os
import random
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from radpipe.core.registry import lookup
from radpipe.features import FeatureMaps, FeatureSettings, extract_maps
from radpipe.features.registry import FAMILIES

REFERENCE = Path(__file__).resolve().parents[2] / "reference"
BOUND = 1e-6
Maps = Mapping[str, np.ndarray]


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REFERENCE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.append(str(REFERENCE))  # the scripts there import each other
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(REFERENCE))
    return module


MAKER = _module("make_voxel_oracle")
CASES = MAKER.cases


@lru_cache
def oracle() -> dict[tuple[str, str], tuple[np.ndarray, dict[str, np.ndarray]]]:
    return MAKER.stored()


def share_of_bound(ours: Maps, theirs: Maps) -> dict[str, float]:
    """column -> the largest difference over what it may be, over all voxels; infinite where only one side is a number."""
    found = {}
    for column, reference in theirs.items():
        prefix, name = column.rsplit("_", 1)
        family = lookup(FAMILIES, prefix.rsplit("_", 1)[1], "feature class")
        scale: Any = family.feature(name).scale
        if isinstance(scale, tuple):
            scale = np.maximum(
                np.abs(theirs[f"{prefix}_{scale[0]}"]) ** scale[1], 1e-12
            )  # rounding of a 0, where that one is 0 too
        both = np.isnan(ours[column]) & np.isnan(reference)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.abs(ours[column] - reference) / (BOUND * np.maximum(np.abs(reference), scale))
        share[both | (ours[column] == reference)] = 0.0
        found[column] = float(np.max(np.where(np.isnan(share), np.inf, share), initial=0.0))
    return found


def computed(case: str, setting: str, data: Path | None) -> FeatureMaps:
    from_itk = MAKER.from_itk
    params = CASES.settings_for(case)[setting]
    return extract_maps(*from_itk(*CASES.read(case, data)), FeatureSettings(params=params), dtype=np.float64)


def check(case: str, setting: str, data: Path | None) -> None:
    where, theirs = oracle()[case, setting]
    maps = computed(case, setting, data)
    np.testing.assert_array_equal(maps.centres, where)
    assert set(maps.columns) == set(theirs)
    shares = share_of_bound({column: maps.values(column) for column in theirs}, theirs)
    assert {column: share for column, share in shares.items() if share > 1} == {}


@pytest.mark.parametrize(("case", "setting"), [(case, name) for case in CASES.PHANTOMS for name in CASES.settings_for(case)])
def test_phantoms_need_no_data(case: str, setting: str) -> None:
    check(case, setting, None)


@pytest.mark.parametrize(("case", "setting"), [(case, name) for case in CASES.REAL for name in CASES.settings_for(case)])
def test_real_cases(case: str, setting: str, shared_data: Path) -> None:
    check(case, setting, shared_data)


def test_the_oracle_is_whole() -> None:
    """All 93 features with maps, in every setting; and values that are no constant."""
    assert set(oracle()) == {(case, name) for case in (*CASES.PHANTOMS, *CASES.REAL) for name in CASES.settings_for(case)}
    for (case, setting), (where, theirs) in oracle().items():
        responses = {column.rsplit("_", 2)[0] for column in theirs}
        assert len(theirs) == 93 * len(responses)
        assert all(values.shape == (len(where),) for values in theirs.values())
        if case not in ("flat", "few_levels"):
            assert sum(np.unique(values).size > 1 for values in theirs.values()) > 0.9 * len(theirs), (case, setting)


def test_the_background_is_init_value() -> None:
    maps = computed("lumps", "force2d", None)
    where, theirs = oracle()["lumps", "force2d"]
    voxels = maps.map("original_glcm_Contrast").voxels
    inside = np.zeros(voxels.shape, bool)
    inside[tuple(where.T)] = True
    assert (voxels[~inside] == -1).all()
    np.testing.assert_allclose(voxels[inside], theirs["original_glcm_Contrast"], rtol=1e-9, atol=1e-12)


def test_a_difference_is_seen() -> None:
    theirs = oracle()["lumps", "radius1"][1]
    column = "original_glcm_Contrast"
    moved = {**theirs, column: theirs[column] * (1 + 3e-6)}
    assert share_of_bound(theirs, theirs)[column] == 0
    assert 1 < share_of_bound(moved, theirs)[column] < 4
    lost = {**theirs, column: np.where(np.arange(len(theirs[column])) == 5, np.nan, theirs[column])}
    assert np.isinf(share_of_bound(lost, theirs)[column])


SEED = int(os.environ.get("RADPIPE_LIVE_SEED", "7"))
DRAWN: dict[str, list[Any]] = {
    "binWidth": [5, 12.5, 40],
    "binCount": [None, None, None, 3, 12],
    "distances": [None, None, [2], [1, 2], [1, 3]],
    "force2D": [None, None, True],
    "force2Ddimension": [None, 0, 1, 2],
    "symmetricalGLCM": [None, None, False],
    "weightingNorm": [None, None, None, "euclidean", "infinity", "no_weighting"],
    "gldm_a": [None, 0, 3],
    "voxelArrayShift": [None, 50],
}


def drawn(seed: int) -> tuple[Any, Any, dict[str, Any]]:
    """(image, mask, parameters) of a small random region."""
    chosen = random.Random(seed)
    grid = np.random.default_rng(seed)
    z, y, x = np.indices((7, 9, 10))
    smooth = 140 + 60 * np.sin(chosen.uniform(0.3, 1.5) * x) * np.cos(chosen.uniform(0.3, 1.5) * y) + 8 * z
    image = (smooth + grid.normal(0, chosen.choice([2, 10, 40]), smooth.shape)).astype(chosen.choice([np.int16, np.float32]))
    region = ((z - 3) / 2.6) ** 2 + ((y - 4) / 3.6) ** 2 + ((x - 5) / 3.9) ** 2 <= 1
    region &= grid.random(region.shape) < chosen.choice([0.6, 0.9, 1.0])
    setting = {key: chosen.choice(values) for key, values in DRAWN.items()}
    kernel = {"kernelRadius": chosen.choice([1, 1, 2]), "maskedKernel": chosen.choice([True, False]), "voxelBatch": 10**9}
    params = {
        "setting": {key: value for key, value in setting.items() if value is not None},
        "voxelSetting": kernel,
        "imageType": chosen.choice([{"Original": {}}, {"Square": {}}, {"LoG": {"sigma": [1.5], "binWidth": 6}}]),
        "featureClass": dict.fromkeys(CASES.CLASSES),
    }
    spacing = (1.5, 1.5, chosen.choice([1.5, 3.0]))
    return CASES.to_itk(image, spacing), CASES.to_itk(region.astype(np.uint8), spacing), params


@pytest.mark.parametrize("seed", range(SEED, SEED + 6))
def test_live(seed: int) -> None:
    """Both engines now, on a region and settings drawn at random; RADPIPE_LIVE_SEED asks for others."""
    pytest.importorskip("radiomics", reason="pyradiomics is not installed; run `make pyradiomics`")
    image, mask, params = drawn(seed)
    theirs = MAKER.pyradiomics_maps(image, mask, params)
    where = theirs.pop("where")
    maps = extract_maps(*MAKER.from_itk(image, mask), FeatureSettings(params=params), dtype=np.float64)
    np.testing.assert_array_equal(maps.centres, where)
    shares = share_of_bound({column: maps.values(column) for column in theirs}, theirs)
    assert {column: share for column, share in shares.items() if share > 1} == {}, params
