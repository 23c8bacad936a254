"""Probability map -> outline."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from radpipe.segmentation.config import SegmentationSettings
from radpipe.typing import BoolVolume, Volume

_TOUCHING = ndimage.generate_binary_structure(3, 3)


def to_mask(probability: Volume, settings: SegmentationSettings, spacing_mm: tuple[float, float, float]) -> BoolVolume:
    """The outline, (z, y, x) bool; all False where nothing passes.

    probability : (z, y, x), 0 to 1. Voxels of at least ``settings.threshold`` form components (26 neighbours); those below
    ``min_volume_ml`` go, then ``keep`` says which of the rest stay; last, holes are filled where ``fill_holes`` says so.
    Of equal components the first in the order of (z, y, x) is kept.
    """
    above: BoolVolume = np.asarray(probability) >= settings.threshold
    labels, count = ndimage.label(above, structure=_TOUCHING)
    if count == 0:
        return above
    index = np.arange(1, count + 1)
    voxels = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    stays = voxels * float(np.prod(spacing_mm)) / 1000.0 >= settings.min_volume_ml
    if not stays.any():
        return np.zeros_like(above)
    if settings.keep != "all":
        weight = voxels if settings.keep == "largest" else ndimage.sum_labels(np.asarray(probability, np.float64), labels, index)
        best = int(np.argmax(np.where(stays, weight, -1.0)))
        stays = np.arange(count) == best
    mask: BoolVolume = np.concatenate([[False], stays])[labels]
    if settings.fill_holes:
        mask = ndimage.binary_fill_holes(mask)
    return mask
