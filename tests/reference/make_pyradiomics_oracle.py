"""Values of pyradiomics 3.0.1, run here: what radpipe's own engine must give.

    python tests/reference/make_pyradiomics_oracle.py             writes pyradiomics_oracle.csv.gz (after `make pyradiomics`)
    python tests/reference/make_pyradiomics_oracle.py --compare   runs both engines live and prints how far apart they are

The cases are phantoms made by formula (tests need no data for them) and, from the shared data, PyRadiomics' own cases and
CT, PET and MR of four sarcoma patients.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib.util
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
ORACLE = HERE / "pyradiomics_oracle.csv.gz"
STS = ("STS_002", "STS_010", "STS_028", "STS_041")
CLASSES = ("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm", "shape")

# Bin widths by modality, so that every case has a few to a hundred levels; the rest of a setting is the same for all.
WIDTHS = {"PET": 0.25, "waves_float": 0.3}
SPACINGS = {
    "CT": [3, 3, 3],
    "MR_T1": [2, 2, 3.27],
    "PET": [4, 4, 4],
    "breast1": [2, 2, 0],
    "waves": [2, 1.5, 2.5],
    "waves_float": [2, 0, 2],
}
RANGES = {
    "CT": [-50, 150],
    "MR_T1": [100, 600],
    "PET": [1, 6.5],
    "breast1": [50, 250],
    "waves": [60, 260],
    "waves_float": [-1.5, 1.5],
}
DEGENERATE = ("sparse", "flat", "checkers", "plane", "line", "three")


def settings_for(kind: str) -> dict[str, dict[str, Any]]:
    """name -> PyRadiomics' parameters. kind : the case's name or modality."""
    width, spacing, limits = WIDTHS.get(kind, 25), SPACINGS.get(kind, [2, 2, 2]), RANGES.get(kind, [300, 900])
    named: dict[str, dict[str, Any]] = {
        "plain": {"binWidth": width},
        "force2d": {"binWidth": width, "force2D": True, "force2Ddimension": 0, "gldm_a": 1},
        "weighted": {"binWidth": width, "weightingNorm": "euclidean"},
        "weighted_manhattan": {"binWidth": width, "weightingNorm": "manhattan", "symmetricalGLCM": False},
        "distances": {"binWidth": 2 * width, "distances": [1, 3], "gldm_a": 2, "symmetricalGLCM": False},
    }
    if kind in DEGENERATE:
        named["plain_count"] = {"binCount": 6, "weightingNorm": "infinity"}
        for setting in named.values():
            setting["minimumROIDimensions"] = 1
        if kind == "line":
            del named["force2d"]  # a line across the planes has no pair within one
    else:
        resample = {"resampledPixelSpacing": spacing, "binWidth": width}
        named |= {
            "normalised": {"normalize": True, "normalizeScale": 100, "removeOutliers": 3, "binWidth": 10, "voxelArrayShift": 300},
            "resampled": resample,
            "resampled_linear": {**resample, "interpolator": "sitkLinear", "padDistance": 2, "preCrop": True},
            "resegmented": {"resegmentRange": limits, "binWidth": width},
            "resegmented_shape": {
                "resegmentRange": [-1.5, 2],
                "resegmentMode": "sigma",
                "resegmentShape": True,
                "binWidth": width,
            },
            "bin_count": {"binCount": 32, "resegmentRange": [0.3], "resegmentMode": "relative"},
            "unweighted": {"binWidth": width, "weightingNorm": "no_weighting", "force2D": True, "force2Ddimension": 2},
        }
    params = {name: {"setting": setting, "featureClass": dict.fromkeys(CLASSES)} for name, setting in named.items()}
    if kind == "waves":
        params["overridden"] = {**params["plain"], "imageType": {"Original": {"binWidth": 10, "distances": [2]}}}
    if kind in ("waves", "plane"):
        chosen = {
            "glcm": ["MCC", "Id"],
            "firstorder": ["Skewness", "StandardDeviation"],
            "shape": ["Sphericity", "Compactness1", "Compactness2", "SphericalDisproportion"],
            "glrlm": None,
        }
        params["chosen"] = {"setting": {"binWidth": 40}, "featureClass": chosen}
    if kind == "plane":
        flat = {"force2D": True, "force2Ddimension": 0}
        params["shape2d"] = {"setting": flat, "featureClass": {"shape2D": None}}
        params["shape2d_deprecated"] = {"setting": flat, "featureClass": {"shape2D": ["SphericalDisproportion", "Perimeter"]}}
    return params


def phantoms() -> dict[str, tuple[NDArray[Any], NDArray[np.bool_], tuple[float, float, float]]]:
    """name -> (image (z, y, x), mask, spacing (x, y, z) mm), by formula: tests need no data for them."""
    z, y, x = np.indices((14, 18, 20))
    waves = 160 + 70 * np.sin(0.7 * x + 0.3 * y) * np.cos(0.5 * z) + 40 * np.sin(1.9 * y) + 5 * ((7 * x + 11 * y + 13 * z) % 10)
    image = np.floor(waves).astype(np.int16)
    ball = ((z - 6) / 5) ** 2 + ((y - 8) / 7) ** 2 + ((x - 9) / 8) ** 2 <= 1
    lopsided = ball & ~((z - 6) ** 2 + (y - 8) ** 2 + (x - 9) ** 2 <= 4)  # a hole inside ...
    lopsided[11:13, 14:17, 16:19] = True  # ... and a part that stands alone
    sparse = ball & ((7 * x + 11 * y + 13 * z) % 10 < 2)
    plane = ball & (z == 6)
    line = (y == 8) & (x == 9) & ball
    three = np.zeros_like(ball)
    three[5, 5, 5] = three[5, 6, 6] = three[7, 9, 5] = True
    spacing = (1.2, 0.9, 2.5)
    return {
        "waves": (image, lopsided, spacing),
        "waves_float": ((waves / 100 - 1.6).astype(np.float32), lopsided, spacing),
        "sparse": (image, sparse, spacing),
        "flat": (np.full_like(image, 77), ball, spacing),
        "checkers": (((x + y + z) % 2 * 100).astype(np.int16), ball, spacing),
        "plane": (image, plane, spacing),
        "line": (image, line, spacing),
        "three": (image, three, spacing),
    }


def to_itk(array: NDArray[Any], spacing: tuple[float, float, float]) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    return image


def cases(data: Path) -> Iterator[tuple[str, str, sitk.Image, sitk.Image]]:
    """(case, kind, image, mask with the region as 1)."""
    for name, (array, region, spacing) in phantoms().items():
        yield name, name, to_itk(array, spacing), to_itk(region.astype(np.uint8), spacing)
    if not data.is_dir():
        return
    for name in ("brain1", "brain2", "breast1"):
        folder = data / "pyradiomics_cases"
        label = sitk.ReadImage(str(folder / f"{name}_label.nrrd"))
        yield name, name, sitk.ReadImage(str(folder / f"{name}_image.nrrd")), label
    for patient in STS:
        for kind in ("CT", "PET", "MR_T1"):
            stem = str(data / "sts" / "images" / patient / kind)
            yield f"{patient}_{kind}", kind, sitk.ReadImage(f"{stem}_image.nii.gz"), sitk.ReadImage(f"{stem}_mask.nii.gz")


def from_itk(image: sitk.Image, mask: sitk.Image) -> Any:
    """(radpipe Image, radpipe Mask)."""
    from radpipe.core.grid import Grid
    from radpipe.core.image import Image, Mask

    array = sitk.GetArrayFromImage(image)
    grid = Grid(array.shape, image.GetSpacing()[::-1], image.GetOrigin(), image.GetDirection())
    return Image(grid, array), Mask(grid, sitk.GetArrayFromImage(mask) == 1)


def pyradiomics_row(image: sitk.Image, mask: sitk.Image, params: dict[str, Any]) -> dict[str, float]:
    import logging

    from radiomics import featureextractor

    logging.getLogger("radiomics").setLevel(logging.ERROR)
    extractor = featureextractor.RadiomicsFeatureExtractor(params)
    extractor.settings["additionalInfo"] = False
    return {name: float(np.asarray(value)) for name, value in extractor.execute(image, mask, label=1).items()}


def write(data: Path) -> None:
    """One row a case and setting; repr gives every bit back. gzip without a time stamp: the same values, the same bytes."""
    rows: list[dict[str, Any]] = []
    for case, kind, image, mask in cases(data):
        for name, params in settings_for(kind).items():
            row = pyradiomics_row(image, mask, params)
            rows.append({"case": case, "kind": kind, "setting": name, **{k: repr(v) for k, v in row.items()}})
            print(case, name, len(row), flush=True)
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with ORACLE.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=9) as packed:
        packed.write(text.getvalue().encode())


def compare(data: Path) -> int:
    """Print the largest difference of every case and setting over the feature's scale; 1 where one is beyond its bound."""
    from radpipe.features.config import FeatureSettings
    from radpipe.features.extract import extract_row
    from radpipe.features.parity import off

    worst = 0.0
    for case, kind, image, mask in cases(data):
        for name, params in settings_for(kind).items():
            ours = extract_row(*from_itk(image, mask), FeatureSettings(params=params))
            theirs = pyradiomics_row(image, mask, params)
            found = off(ours, theirs)
            feature, share = max(found.items(), key=lambda item: item[1])
            worst = max(worst, share)
            print(f"{case:16} {name:20} {len(found):4d} features, worst {feature}: {share:.3g} of its bound", flush=True)
    print(f"worst of all: {worst:.3g} of its bound ({'within' if worst <= 1 else 'BEYOND'})")
    return int(worst > 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", action="store_true", help="run both engines live instead of writing")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RADPIPE_DATA", HERE.parents[2] / "shared" / "data")))
    arguments = parser.parse_args()
    if importlib.util.find_spec("radiomics") is None:
        sys.exit("pyradiomics is not installed here: run `make pyradiomics` first")
    sys.exit(compare(arguments.data) if arguments.compare else write(arguments.data))
