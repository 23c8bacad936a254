"""Maps of pyradiomics 3.0.1, run here: what radpipe's own maps must be.

    python tests/reference/make_voxel_oracle.py             writes voxel_oracle.npz (after `make pyradiomics`)

The file holds, for every case and setting, the places of the region's voxels and each feature's value there, float64. It takes
some minutes, keeps what it has in build/voxel_oracle and goes on from there.

pyradiomics 3.0.1 works in batches of voxels, and two of its GLCM maps depend on them. MCC fails for a whole batch (the map keeps
initValue) where one window of it lacks pairs in a direction that another has: here the GLCM class is run again for MCC, with
batches of windows that have pairs in the same directions, and with eigenvalues as complex numbers, which they are in any batch that
has one that is not real: the root of an eigenvalue that rounding left a little below 0 is then 0, where in a batch of real ones it
is NaN and its direction is left out of the mean. JointAverage is NaN where the window lacks a direction that another of
the batch has; here all voxels are one batch, PyRadiomics' default.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import json
import os
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

import voxel_cases as cases  # noqa: E402 (beside this file)
from make_pyradiomics_oracle import from_itk, ready  # noqa: E402, F401 (tests ask here)

ORACLE = HERE / "voxel_oracle.npz"
WORK = HERE.parents[1] / "build" / "voxel_oracle"


def pyradiomics_maps(image: sitk.Image, mask: sitk.Image, params: dict[str, Any]) -> dict[str, np.ndarray]:
    """Column -> (voxels,) float64, and "where" -> (voxels, 3) places (z, y, x) in the image, in memory order."""
    extractor = ready()(json.loads(json.dumps(params)))
    from radiomics import glcm

    original = glcm.RadiomicsGLCM._calculateVoxels
    glcm.RadiomicsGLCM._calculateVoxels = lambda self: _with_mcc(self, original)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = extractor.execute(image, mask, voxelBased=True)
    finally:
        glcm.RadiomicsGLCM._calculateVoxels = original
    where = np.argwhere(sitk.GetArrayFromImage(mask) == 1)
    maps = {"where": where.astype(np.int32)}
    for name, result in found.items():
        if name.startswith("diagnostics_"):
            continue
        start = [round(x) for x in image.TransformPhysicalPointToContinuousIndex(result.GetOrigin())][::-1]
        values = sitk.GetArrayFromImage(result)
        maps[name] = values[tuple((where - start).T)]
        background = np.ones(values.shape, bool)
        background[tuple((where - start).T)] = False
        initial = params["voxelSetting"].get("initValue", 0)
        if not np.array_equal(values[background], np.full(background.sum(), initial, float), equal_nan=True):
            raise AssertionError(f"{name}: the background is not initValue")
    return maps


def _with_mcc(self: Any, calculate: Any) -> None:
    from radiomics import cMatrices

    calculate(self)
    places = self.labelledVoxelCoordinates
    settings = self.settings
    patterns = []
    for start in range(0, places.shape[1], 50):
        matrices, _ = cMatrices.calculate_glcm(
            self.imageArray,
            self.maskArray,
            np.array(settings.get("distances", [1])),
            self.coefficients["Ng"],
            settings.get("force2D", False),
            settings.get("force2Ddimension", 0),
            settings.get("kernelRadius", 1),
            places[:, start : start + 50],
        )
        patterns.append(matrices.sum(axis=(1, 2)) > 0)
    pattern = np.concatenate(patterns)
    if settings.get("weightingNorm") is not None:
        pattern = pattern.any(axis=1, keepdims=True)
    initial = settings.get("initValue", 0)
    mcc = np.full(sitk.GetArrayFromImage(self.featureValues["MCC"]).shape, initial, float)
    enabled, self.enabledFeatures = self.enabledFeatures, {"MCC": True}
    eigenvalues = np.linalg.eigvals
    np.linalg.eigvals = lambda matrices: eigenvalues(matrices).astype(complex)
    for kind in np.unique(pattern, axis=0):
        members = np.flatnonzero((pattern == kind).all(axis=1))
        if not kind.any():
            mcc[tuple(places[:, members])] = np.nan  # no pair, no value
            continue
        for start in range(0, members.size, 100):
            chosen = places[:, members[start : start + 100]]
            for success, _, value in self._calculateFeatures(chosen):
                if not success:
                    raise AssertionError("MCC failed")
                mcc[tuple(chosen)] = value
    self.enabledFeatures = enabled
    np.linalg.eigvals = eigenvalues
    result = sitk.GetImageFromArray(mcc)
    result.CopyInformation(self.inputImage)
    self.featureValues["MCC"] = result


def write(data: Path, only: str | None) -> None:
    """Run what is not in WORK yet, then pack all of it."""
    WORK.mkdir(parents=True, exist_ok=True)
    packed: dict[str, np.ndarray] = {}
    for case, setting, params in cases.jobs(data):
        params["voxelSetting"]["voxelBatch"] = 10**9
        key = hashlib.sha256(json.dumps([case, params, Path(cases.__file__).read_text().split("def settings_for")[0]]).encode())
        kept = WORK / f"{case}-{setting}-{key.hexdigest()[:16]}.npz"
        if not kept.is_file() and (only is None or only in f"{case}-{setting}"):
            maps = pyradiomics_maps(*cases.read(case, data), params)
            np.savez(kept.with_suffix(".tmp.npz"), **maps)
            kept.with_suffix(".tmp.npz").replace(kept)
            print(case, setting, len(maps) - 1, "maps of", len(maps["where"]), f"voxels, {os.times().user:.0f} s", flush=True)
        if kept.is_file():
            with np.load(kept) as found:
                columns = [name for name in found.files if name != "where"]
                packed[f"{case}/{setting}/where"] = found["where"].astype(np.int16)
                packed[f"{case}/{setting}/columns"] = np.array(columns)
                # Bytes of equal weight side by side: exponents repeat, so the file shrinks by a third.
                table = np.stack([found[name] for name in columns])
                packed[f"{case}/{setting}/bytes"] = np.moveaxis(table.view(np.uint8).reshape(*table.shape, 8), -1, 0)
    with zipfile.ZipFile(ORACLE, "w", zipfile.ZIP_LZMA) as file:
        for name, array in packed.items():
            data_of = io.BytesIO()
            np.lib.format.write_array(data_of, np.ascontiguousarray(array), allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), data_of.getvalue(), compress_type=zipfile.ZIP_LZMA)
    print(f"{ORACLE}: {len(packed) // 3} settings, {ORACLE.stat().st_size / 1e6:.2f} MB")


def stored() -> dict[tuple[str, str], tuple[np.ndarray, dict[str, np.ndarray]]]:
    """(case, setting) -> (places (voxels, 3) of the region in (z, y, x); column -> values there)."""
    found = {}
    with np.load(ORACLE) as file:
        for name in file.files:
            if name.endswith("/where"):
                stem = name.removesuffix("/where")
                case, setting = stem.split("/")
                table = np.ascontiguousarray(np.moveaxis(file[f"{stem}/bytes"], 0, -1)).view(np.float64)[..., 0]
                found[case, setting] = (
                    file[name].astype(np.int64),
                    dict(zip(file[f"{stem}/columns"].tolist(), table, strict=True)),
                )
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="run only what has this in CASE-SETTING; the rest is taken as it was kept")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RADPIPE_DATA", HERE.parents[2] / "shared" / "data")))
    arguments = parser.parse_args()
    if importlib.util.find_spec("radiomics") is None:
        sys.exit("pyradiomics is not installed here: run `make pyradiomics` first")
    write(arguments.data, arguments.only)
