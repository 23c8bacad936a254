"""Small volumes by whole-number arithmetic (the same on every machine), as files that SimpleITK writes. No radpipe in here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

PARAMS = """\
setting:
  binWidth: 15
  resampledPixelSpacing: [1.5, 1.5, 0]
  padDistance: 6
imageType:
  Original: {}
  Wavelet:
    wavelet: haar
featureClass:
  firstorder:
    - Mean
    - Entropy
  glcm: [Contrast, JointEnergy]
  shape:
"""


def voxels() -> np.ndarray:
    """(z, y, x) int16, -150 to 250, smooth with some roughness."""
    z, y, x = np.indices((11, 24, 22)).astype(np.int64)
    return ((z * 37 + y * 11 + x * 5 + (x * y + 3 * z * x) % 47 * 4 + (x + 2 * y + z) ** 2 % 31) % 401 - 150).astype(np.int16)


def labels() -> np.ndarray:
    """(z, y, x) uint8: an ellipsoid (1), and a smaller one in two pieces (2)."""
    z, y, x = np.indices((11, 24, 22))
    array = np.zeros(z.shape, np.uint8)
    array[9 * (z - 5) ** 2 + 2 * (y - 9) ** 2 + 3 * (x - 9) ** 2 < 120] = 1
    array[(z - 4) ** 2 + (y - 19) ** 2 + (x - 16) ** 2 < 10] = 2
    array[8:10, 17:19, 3:5] = 2
    return array


def placed(array: np.ndarray, *, vector: bool = False, spacing: tuple[float, float, float] = (1.0, 1.25, 2.0)) -> sitk.Image:
    image = sitk.GetImageFromArray(array, isVector=vector)
    image.SetSpacing(spacing)
    image.SetOrigin((-12.5, 30.0, 7.0))
    return image


def write_small_volumes(folder: Path) -> None:
    """image, mask, layers (two overlapping masks), coarse_mask (another grid, inside the image), Params.yaml."""
    sitk.WriteImage(placed(voxels()), str(folder / "image.nrrd"))
    sitk.WriteImage(placed(labels()), str(folder / "mask.nrrd"))
    first = (labels() == 1).astype(np.uint8)
    layers = np.stack([first, np.roll(first, 2, axis=2)], axis=-1)
    sitk.WriteImage(placed(layers, vector=True), str(folder / "layers.nrrd"))
    coarse = first[1:10:2, 2:20:2, 1:19:2]
    image = placed(np.ascontiguousarray(coarse), spacing=(2.0, 2.5, 4.0))
    image.SetOrigin(placed(voxels()).TransformIndexToPhysicalPoint((1, 2, 1)))
    sitk.WriteImage(image, str(folder / "coarse_mask.nrrd"))
    (folder / "Params.yaml").write_text(PARAMS)
