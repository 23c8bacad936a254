"""The cases and settings that radpipe and pyradiomics are compared on; no feature is computed here.

Phantoms are made by formula (tests need no data for them); the rest is read from the shared data: PyRadiomics' own cases and
CT, PET and MR of sarcoma patients.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

CLASSES = ("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm", "shape")
OWN = ("brain1", "brain2", "breast1")
MODALITIES = ("CT", "PET", "MR_T1")
# Every setting on the original image for the first four patients; the four that the issue names for the others.
STS = ("STS_002", "STS_010", "STS_028", "STS_041")
STS_MORE = ("STS_003", "STS_019", "STS_024", "STS_035")
NAMED = ("plain", "normalised", "resampled", "resegmented")
# All image types.
FILTERED = tuple(f"{patient}_{modality}" for modality in MODALITIES for patient in (*STS, *STS_MORE))
FILTERED_PHANTOMS = ("waves", "waves_float", "plane")

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
    """name -> PyRadiomics' parameters, original image. kind : the case's name or modality."""
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


def filter_settings_for(kind: str) -> dict[str, dict[str, Any]]:
    """name -> PyRadiomics' parameters, filtered images. kind : the case's name or modality."""
    width = WIDTHS.get(kind, 25)
    texture = {"featureClass": dict.fromkeys(name for name in CLASSES if name != "shape")}
    sigmas = [1.0, 2.5, 5] if kind != "PET" else [4, 5.5, 8.0]
    lbp3d = {"binWidth": 0.1}
    every = {
        "LoG": {"sigma": sigmas, "binWidth": width / 5},
        "Wavelet": {},
        "Square": {},
        "SquareRoot": {},
        "Logarithm": {},
        "Exponential": {},
        "Gradient": {},
        "LBP2D": {"binWidth": 1},
        "LBP3D": lbp3d,
    }
    setting = {"binWidth": width}
    if kind == "plane":
        setting["force2D"] = True
        return {"filters": {"setting": setting, "imageType": every, **texture}}
    named = {
        "filters": {"setting": setting, "imageType": every, **texture},
        "wavelet_level2": {
            "setting": setting,
            "imageType": {"Wavelet": {"wavelet": "db3", "level": 2, "binWidth": 2 * width}},
            **texture,
        },
        "wavelet_start1": {
            "setting": {**setting, "wavelet": "bior2.2"},
            "imageType": {"Wavelet": {"start_level": 1, "binWidth": 2 * width}},
            **texture,
        },
    }
    if kind in ("waves", "waves_float", "PET", "breast1"):
        log = {
            "LoG": {"sigma": sigmas[:2], "binWidth": width / 5},
            "Wavelet": {"wavelet": "haar"},
            "Gradient": {},
            "Logarithm": {},
        }
        other = settings_for(kind)
        of_hundred = {"binWidth": 10}  # a normalised image has 100 as its standard deviation
        named |= {
            "filters_resampled": {
                "setting": other["resampled"]["setting"],
                "imageType": {**log, "LBP3D": {**lbp3d, "lbp3DLevels": 3, "lbp3DIcosphereRadius": 2}},
                **texture,
            },
            "filters_normalised": {
                "setting": other["normalised"]["setting"],
                "imageType": {**log, "LoG": {"sigma": sigmas[:2], **of_hundred}, "Square": {}},
                **texture,
            },
            "filters_resegmented": {
                "setting": other["resegmented"]["setting"],
                "imageType": {**log, "LBP3D": lbp3d, "Exponential": {}},
                **texture,
            },
            "filters_force2d": {
                "setting": {**setting, "force2D": True, "force2Ddimension": 1},
                "imageType": {
                    "Wavelet": {"wavelet": "sym4"},
                    "LBP2D": {"binWidth": 1, "lbp2DRadius": 2, "lbp2DSamples": 12, "lbp2DMethod": "ror"},
                    "Gradient": {"gradientUseSpacing": False},
                },
                **texture,
            },
        }
    return named


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


def from_itk(image: sitk.Image, mask: sitk.Image) -> Any:
    """(radpipe Image, radpipe Mask)."""
    from radpipe.core.grid import Grid
    from radpipe.core.image import Image, Mask

    array = sitk.GetArrayFromImage(image)
    grid = Grid(array.shape, image.GetSpacing()[::-1], image.GetOrigin(), image.GetDirection())
    return Image(grid, array), Mask(grid, sitk.GetArrayFromImage(mask) == 1)


def kind_of(case: str) -> str:
    """The case's name, or a patient's modality: what its settings go by."""
    return case.split("_", 2)[2] if case.startswith("STS_") else case


def read(case: str, data: Path) -> tuple[sitk.Image, sitk.Image]:
    """(image, mask with the region as 1) of a phantom or a case of the shared data."""
    if case in phantoms():
        array, region, spacing = phantoms()[case]
        return to_itk(array, spacing), to_itk(region.astype(np.uint8), spacing)
    if case in OWN:
        stem = str(data / "pyradiomics_cases" / case)
        return sitk.ReadImage(f"{stem}_image.nrrd"), sitk.ReadImage(f"{stem}_label.nrrd")
    stem = str(data / "sts" / "images" / case[:7] / kind_of(case))
    return sitk.ReadImage(f"{stem}_image.nii.gz"), sitk.ReadImage(f"{stem}_mask.nii.gz")


def jobs(data: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(case, setting, parameters) of everything that is compared, quick ones first; phantoms only where there are no data."""
    for case in phantoms():
        for name, params in settings_for(case).items():
            yield case, name, params
    for case in FILTERED_PHANTOMS:
        for name, params in filter_settings_for(case).items():
            yield case, name, params
    if not data.is_dir():
        return
    for case in ("breast1", "brain2", "brain1"):
        for name, params in {**settings_for(case), **filter_settings_for(case)}.items():
            yield case, name, params
    for modality in ("PET", "CT", "MR_T1"):
        for patient in sorted((*STS, *STS_MORE)):
            case = f"{patient}_{modality}"
            for name, params in settings_for(modality).items():
                if patient in STS or name in NAMED:
                    yield case, name, params
            if case in FILTERED:
                for name, params in filter_settings_for(modality).items():
                    yield case, name, params
