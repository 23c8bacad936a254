"""Values of pyradiomics 3.0.1, run here: what radpipe's own engine must give.

    python tests/reference/make_pyradiomics_oracle.py             writes pyradiomics_oracle.csv.gz (after `make pyradiomics`)
    python tests/reference/make_pyradiomics_oracle.py --compare   runs both engines live and prints how far apart they are

The cases are a phantom made by a formula (tests need no data for it) and, from the shared data, PyRadiomics' own cases and
CT, PET and MR of four sarcoma patients.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

HERE = Path(__file__).resolve().parent
ORACLE = HERE / "pyradiomics_oracle.csv.gz"
STS = ("STS_002", "STS_010", "STS_028", "STS_041")
_CLASSES = ("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm", "shape")
_ALL = dict.fromkeys(_CLASSES)

# Bin widths by modality, so that every case has a few to a hundred levels; the rest of a setting is the same for all.
WIDTHS = {"CT": 25, "MR_T1": 25, "PET": 0.25, "brain1": 25, "brain2": 25, "breast1": 25, "phantom": 25}
SPACINGS = {
    "CT": [3, 3, 3],
    "MR_T1": [2, 2, 3.27],
    "PET": [4, 4, 4],
    "brain1": [2, 2, 2],
    "brain2": [2, 2, 2],
    "breast1": [2, 2, 0],
    "phantom": [2, 1.5, 2.5],
}
RANGES = {
    "CT": [-50, 150],
    "MR_T1": [100, 600],
    "PET": [1.0, 6.5],
    "brain1": [300, 900],
    "brain2": [300, 900],
    "breast1": [50, 250],
    "phantom": [60, 260],
}


def settings_for(kind: str) -> dict[str, dict[str, Any]]:
    """name -> PyRadiomics' parameters. kind : the case's name or modality."""
    width = WIDTHS[kind]
    everything: dict[str, Any] = {"featureClass": dict(_ALL)}
    named: dict[str, dict[str, Any]] = {
        "plain": {"binWidth": width},
        "normalised": {"normalize": True, "normalizeScale": 100, "removeOutliers": 3, "binWidth": 10, "voxelArrayShift": 300},
        "resampled": {"resampledPixelSpacing": SPACINGS[kind], "binWidth": width},
        "resampled_linear": {
            "resampledPixelSpacing": SPACINGS[kind],
            "interpolator": "sitkLinear",
            "padDistance": 2,
            "binWidth": width,
        },
        "resegmented": {"resegmentRange": RANGES[kind], "binWidth": width},
        "resegmented_shape": {"resegmentRange": [-1.5, 2], "resegmentMode": "sigma", "resegmentShape": True, "binWidth": width},
        "bin_count": {"binCount": 32, "resegmentRange": [0.3], "resegmentMode": "relative"},
        "force2d": {"binWidth": width, "force2D": True, "force2Ddimension": 0, "gldm_a": 1},
        "weighted": {"binWidth": width, "weightingNorm": "euclidean", "distances": [1]},
        "weighted_manhattan": {"binWidth": width, "weightingNorm": "manhattan", "symmetricalGLCM": False},
        "distances": {"binWidth": 2 * width, "distances": [1, 3], "gldm_a": 2, "symmetricalGLCM": False},
    }
    return {name: {"setting": setting, **everything} for name, setting in named.items()}


def phantom() -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """(int16 (z, y, x), mask, spacing (x, y, z) mm): waves in a lopsided ball with a hole and a stray part."""
    z, y, x = np.indices((14, 18, 20))
    image = (
        160 + 70 * np.sin(0.7 * x + 0.3 * y) * np.cos(0.5 * z) + 40 * np.sin(1.9 * y) + 5 * ((7 * x + 11 * y + 13 * z) % 10)
    ).astype(np.int16)
    ball = ((z - 6) / 5) ** 2 + ((y - 8) / 7) ** 2 + ((x - 9) / 8) ** 2 <= 1
    hole = (z - 6) ** 2 + (y - 8) ** 2 + (x - 9) ** 2 <= 4
    mask = ball & ~hole
    mask[11:13, 14:17, 16:19] = True
    return image, mask, (1.2, 0.9, 2.5)


def to_itk(array: np.ndarray, spacing: tuple[float, float, float]) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    return image


def cases(data: Path) -> Iterator[tuple[str, str, sitk.Image, sitk.Image]]:
    """(case, kind, image, mask with the region as 1)."""
    array, mask, spacing = phantom()
    yield "phantom", "phantom", to_itk(array, spacing), to_itk(mask.astype(np.uint8), spacing)
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
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
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
    sys.exit(compare(arguments.data) if arguments.compare else write(arguments.data))
