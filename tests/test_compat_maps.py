"""Feature maps through PyRadiomics' class and command line, against what pyradiomics 3.0.1 handed out for the same files."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from radpipe.compat import ExtractionError, RadiomicsFeatureExtractor

REFERENCE = Path(__file__).with_name("reference")


def _module(name: str) -> ModuleType:
    sys.path.insert(0, str(REFERENCE))
    try:
        spec = importlib.util.spec_from_file_location(name, REFERENCE / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(REFERENCE))


MAKER = _module("make_compat_maps_oracle")
STORED = np.load(MAKER.ORACLE)
ABOUT: dict[str, Any] = json.loads(str(STORED["about"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("volumes")
    MAKER.write_small_volumes(path)
    (path / "params.json").write_text(json.dumps(MAKER.SCRIPTS["plain"]["params"]))
    return path


def close(got: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def same_place(got: list[Any], expected: list[Any]) -> None:
    """Size and pixel type alike, spacing, origin and direction to the last digits."""
    assert list(got[0]) == expected[0] and got[4] == expected[4]
    for mine, theirs in zip(got[1:4], expected[1:4], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("script", MAKER.SCRIPTS)
def test_names_order_place_and_voxels_are_pyradiomics(folder: Path, script: str) -> None:
    given = MAKER.SCRIPTS[script]
    extractor = RadiomicsFeatureExtractor(given["params"])
    row = extractor.execute(f"{folder}/image.nrrd", f"{folder}/mask.nrrd", label=given["label"], voxelBased=True)
    assert list(row) == ABOUT[script]["keys"]
    maps = {name: value for name, value in row.items() if isinstance(value, sitk.Image)}
    assert list(maps) == list(ABOUT[script]["maps"])
    for name, image in maps.items():
        same_place(MAKER.facts(image), ABOUT[script]["maps"][name])
        close(sitk.GetArrayFromImage(image), STORED[f"{script}/{name}"])


def test_maps_and_features_have_the_same_diagnostics(folder: Path) -> None:
    extractor = RadiomicsFeatureExtractor({"featureClass": {"firstorder": ["Mean"]}})
    files = (f"{folder}/image.nrrd", f"{folder}/mask.nrrd")
    maps, row = extractor.execute(*files, voxelBased=True), extractor.execute(*files)
    assert list(maps) == list(row)
    assert {k: v for k, v in maps.items() if k.startswith("diag")} == {k: v for k, v in row.items() if k.startswith("diag")}


def test_the_command_writes_the_maps_and_names_them_in_the_row(folder: Path) -> None:
    command = [sys.executable, "-m", "radpipe", "extract", "--pyradiomics-compat", "image.nrrd", "mask.nrrd", "-p", "params.json"]
    done = subprocess.run(
        [*command, "-m", "voxel", "-od", "out", "-f", "csv"], cwd=folder, capture_output=True, text=True, check=True
    )
    (got,) = csv.DictReader(io.StringIO(done.stdout.replace(str(folder), "FOLDER")))
    (expected,) = csv.DictReader(io.StringIO(ABOUT["command"]["text"]))
    assert list(got) == list(expected)
    for name in (*(key for key in expected if not key.startswith("diagnostics_")), "diagnostics_Configuration_Settings"):
        assert got[name] == expected[name]
    assert sorted(path.name for path in (folder / "out").iterdir()) == ABOUT["command"]["files"]
    for name, place in ABOUT["plain"]["maps"].items():
        image = sitk.ReadImage(str(folder / "out" / f"Case-1_{name}.nrrd"))
        same_place(MAKER.facts(image), place)
        close(sitk.GetArrayFromImage(image), STORED[f"plain/{name}"])


def test_a_case_without_maps_is_an_error_with_words(folder: Path) -> None:
    files = (f"{folder}/image.nrrd", f"{folder}/mask.nrrd")
    with pytest.raises(ExtractionError, match="a window may reach 1 to 5 voxels"):
        RadiomicsFeatureExtractor(kernelRadius=6).execute(*files, voxelBased=True)
    with pytest.raises(ExtractionError, match="has the label 5"):
        RadiomicsFeatureExtractor().execute(*files, label=5, voxelBased=True)
