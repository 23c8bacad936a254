"""The cases and settings whose maps radpipe and pyradiomics are compared on; no feature is computed here.

A phantom by formula, a part of PyRadiomics' own brain1 and a part of the PET of a sarcoma patient: a few hundred voxels each, so
that pyradiomics ends in minutes. The real images are cropped to the part and a margin before anything else is done to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from pyradiomics_cases import to_itk

CLASSES = ("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm")
REAL = ("brain1_part", "STS_010_PET_part")
PHANTOMS = ("lumps", "few_levels", "flat", "one_plane")
_PARTS = {  # (z, y, x): start and stop of the part of the region that is kept
    "brain1_part": ((11, 16), (104, 114), (184, 196)),
    "STS_010_PET_part": None,  # found below: around the region's middle
}
_MARGIN = 4


def settings_for(case: str) -> dict[str, dict[str, Any]]:
    """name -> PyRadiomics' parameters."""
    width = {"brain1_part": 25, "STS_010_PET_part": 0.25, "few_levels": 1}.get(case, 20)

    def params(kernel: dict[str, Any], image_types: dict[str, Any] | None = None, **setting: Any) -> dict[str, Any]:
        return {
            "setting": {"binWidth": width, "minimumROIDimensions": 1, **setting},
            "voxelSetting": {"voxelBatch": 500, **kernel},
            "imageType": image_types or {"Original": {}},
            "featureClass": dict.fromkeys(CLASSES),
        }

    named = {
        "radius1": params({"kernelRadius": 1}),
        "radius1_unmasked": params({"kernelRadius": 1, "maskedKernel": False}),
        "radius2": params({"kernelRadius": 2}),
        "radius2_unmasked": params({"kernelRadius": 2, "maskedKernel": False, "initValue": float("nan")}),
    }
    if case in ("flat", "one_plane"):
        return {name: named[name] for name in ("radius1", "radius1_unmasked")}
    if case in REAL:
        sigma = 2.0 if case == "brain1_part" else 4.0
        return {**named, "log": params({"kernelRadius": 1}, {"LoG": {"sigma": [sigma], "binWidth": width / 5}})}
    if case == "few_levels":
        return {name: named[name] for name in ("radius1", "radius2_unmasked")}
    return {
        **named,
        "force2d": params({"kernelRadius": 2, "initValue": -1}, force2D=True, force2Ddimension=0, gldm_a=1),
        "force2d_x_unmasked": params({"kernelRadius": 1, "maskedKernel": False}, force2D=True, force2Ddimension=2),
        "distances": params({"kernelRadius": 1}, distances=[1, 2], gldm_a=20),
        "distances_unmasked": params({"kernelRadius": 2, "maskedKernel": False}, distances=[2, 3], symmetricalGLCM=False),
        "asymmetric": params({"kernelRadius": 1}, symmetricalGLCM=False, voxelArrayShift=100),
        "weighted": params({"kernelRadius": 1}, weightingNorm="euclidean"),
        "weighted_manhattan": params({"kernelRadius": 2}, weightingNorm="manhattan", symmetricalGLCM=False),
        "unweighted": params({"kernelRadius": 1, "maskedKernel": False}, weightingNorm="no_weighting"),
        "bin_count": params({"kernelRadius": 1}, binCount=6),
        "haar": params({"kernelRadius": 1}, {"Wavelet": {"wavelet": "haar", "binWidth": 10}}, force2D=True),
        "square": params({"kernelRadius": 1, "maskedKernel": False}, {"Square": {}}),
    }


def read(case: str, data: Path) -> tuple[sitk.Image, sitk.Image]:
    """(image, mask with the region as 1)."""
    if case in PHANTOMS:
        return _phantom(case)
    if case == "brain1_part":
        stem = str(data / "pyradiomics_cases" / "brain1")
        image, mask = sitk.ReadImage(f"{stem}_image.nrrd"), sitk.ReadImage(f"{stem}_label.nrrd")
    else:
        stem = str(data / "sts" / "images" / "STS_010" / "PET")
        image, mask = sitk.ReadImage(f"{stem}_image.nii.gz"), sitk.ReadImage(f"{stem}_mask.nii.gz")
    return _part(image, mask, case)


def _part(image: sitk.Image, mask: sitk.Image, case: str) -> tuple[sitk.Image, sitk.Image]:
    region = sitk.GetArrayFromImage(mask) == 1
    bounds = _PARTS[case]
    if bounds is None:
        middle = np.argwhere(region).mean(axis=0).round().astype(int)
        bounds = tuple((int(at) - half, int(at) + half + 1) for at, half in zip(middle, (2, 4, 4), strict=True))
    kept = np.zeros(region.shape, np.uint8)
    part = tuple(slice(*side) for side in bounds)
    kept[part] = region[part]
    part_mask = sitk.GetImageFromArray(kept)
    part_mask.CopyInformation(image)
    start = [max(0, low - _MARGIN) for low, _ in bounds][::-1]
    stop = [min(size, high + _MARGIN) for size, (_, high) in zip(region.shape, bounds, strict=True)][::-1]
    size = [b - a for a, b in zip(start, stop, strict=True)]
    return sitk.RegionOfInterest(image, size, start), sitk.RegionOfInterest(part_mask, size, start)


def _phantom(case: str) -> tuple[sitk.Image, sitk.Image]:
    z, y, x = np.indices((8, 11, 12))
    waves = 120 + 60 * np.sin(0.9 * x + 0.3 * y) * np.cos(0.7 * z) + 30 * np.sin(1.9 * y) + 4 * ((7 * x + 11 * y + 13 * z) % 10)
    image = np.floor(waves).astype(np.int16)
    region = ((z - 3.3) / 2.6) ** 2 + ((y - 4.5) / 3.4) ** 2 + ((x - 4.5) / 4.4) ** 2 <= 1
    region[3, 4, 5] = False  # a hole,
    region[6, 9:11, 9:11] = True  # a part that stands alone,
    region[0, 10, 0] = True  # a voxel without any neighbour,
    region[1, 0:2, 10] = True  # and a pair
    if case == "few_levels":  # independent levels, checkers and planes of one level meet within a window
        image = np.where(z < 3, (x + y + z) % 2, np.where(z < 5, 1 + (x // 2 + y // 3) % 3, 5)).astype(np.int16)
    elif case == "flat":
        image = np.full_like(image, 33)
        region[0, 10, 0] = False
    elif case == "one_plane":
        region &= z == 3
    return to_itk(image, (1.2, 0.9, 2.5)), to_itk(region.astype(np.uint8), (1.2, 0.9, 2.5))


def jobs(data: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(case, setting, parameters); phantoms only where there are no data."""
    for case in (*PHANTOMS, *(REAL if data.is_dir() else ())):
        for name, params in settings_for(case).items():
            yield case, name, params
