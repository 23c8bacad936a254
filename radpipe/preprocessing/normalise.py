"""Intensities on a scale a network can start from, by rules that use the image alone (nothing is learnt from other cases)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radpipe.core.image import Image
from radpipe.errors import FileProblem
from radpipe.preprocessing.config import PreprocessingSettings

_FAR = 5.0  # standard deviations; a single hot voxel must not squeeze all others


def normalise(image: Image, settings: PreprocessingSettings, modality: str) -> Image:
    """float32 voxels; unit "normalised", or the image's own where ``intensity: none``.

    modality : "CT", "PET", "MR"; any other goes by z-score. FileProblem where a z-score is asked of a constant image.
    """
    voxels = image.voxels.astype(np.float32)
    if settings.intensity == "none":
        return Image(image.grid, voxels, image.unit)
    if settings.intensity == "by_modality" and modality == "CT":
        low, high = settings.ct_window_hu
        return Image(image.grid, (np.clip(voxels, low, high) - np.float32(low)) / np.float32(high - low), "normalised")
    if settings.intensity == "by_modality" and modality == "PET":
        # The spread of counts grows with their mean; the square root evens it out (Anscombe 1948, doi:10.1093/biomet/35.3-4.246).
        return Image(image.grid, np.sqrt(np.clip(voxels / np.float32(settings.pet_max_suv), 0, 1)), "normalised")
    return Image(image.grid, zscore(voxels), "normalised")


def zscore(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """(voxels - mean) / sd of the voxels above the image's mean, clipped at 5 sd: air around the body does not set the scale.

    The mean as the border between air and body is TorchIO's ``ZNormalization.mean`` (doi:10.1016/j.cmpb.2021.106236).
    """
    body = voxels[voxels > voxels.mean(dtype=np.float64)]
    spread = body.std(dtype=np.float64) if body.size else 0.0
    if spread == 0.0:
        # One value in the body (or everywhere): the whole image's spread is what is left to scale by.
        body, spread = voxels, float(voxels.std(dtype=np.float64))
    if spread == 0.0:
        raise FileProblem("every voxel of the image has the same value.", hint="Check the file: there is nothing to see in it.")
    return np.clip((voxels - body.mean(dtype=np.float64)) / spread, -_FAR, _FAR).astype(np.float32)
