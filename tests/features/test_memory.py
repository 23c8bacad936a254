"""What an extraction of each image type holds at most, in boxes of the region as float64: three, as tests/features/ibsi/test_memory.py
measures it. LoG filters whole lines of the image and is left out."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import resident

SIDE, AROUND = 72, 12
IMAGE_TYPES = ("Original", "Wavelet", "Square", "SquareRoot", "Logarithm", "Exponential", "Gradient", "LBP2D", "LBP3D")
WHOLE_BOX = "in its whole box"  # a region without a voxel of its box to spare


def measure() -> dict[str, float]:
    """Image type -> the peak above what was held before, in boxes; the region is a ball, or all of its box."""
    from radpipe.core.grid import Grid
    from radpipe.core.image import Image, Mask
    from radpipe.features.config import FeatureSettings
    from radpipe.features.extract import extract_row

    def ball(side: int, around: int) -> tuple[Image, Mask]:
        whole = side + 2 * around
        z, y, x = np.ogrid[:whole, :whole, :whole]
        waves = 400 * np.sin(0.11 * x + 0.05 * y) * np.cos(0.07 * z) + 31 * ((7 * x + 11 * y + 13 * z) % 7)
        middle = (whole - 1) / 2
        inside = (z - middle) ** 2 + (y - middle) ** 2 + (x - middle) ** 2 <= side**2 / 4
        grid = Grid((whole,) * 3, (1.0, 1.0, 1.0))
        return Image(grid, waves.astype(np.int16)), Mask(grid, inside)

    def measured(*case: Any) -> float:
        return resident.peak(partial(extract_row, *case)) / (8 * SIDE**3)

    image, mask = ball(SIDE, AROUND)
    small = ball(12, 8)
    filled = np.zeros_like(mask.voxels)
    filled[(slice(AROUND, SIDE + AROUND),) * 3] = True
    whole = Mask(mask.grid, filled)
    found = {}
    for name in IMAGE_TYPES:
        classes = dict.fromkeys(["firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm"])
        settings = FeatureSettings(params={"imageType": {name: {}}, "featureClass": classes})
        extract_row(*small, settings)  # what is loaded and compiled on the first call is no part of it
        found[name] = measured(image, mask, settings)
        found[f"{name} {WHOLE_BOX}"] = measured(image, whole, settings)
    return found


@resident.needs_linux
def test_three_times_the_box():
    measured = resident.in_own_process(__file__)
    assert len(measured) == 2 * len(IMAGE_TYPES)
    most = resident.LIMIT + resident.ALLOWANCE / (8 * SIDE**3)
    above = {name: round(peak, 2) for name, peak in measured.items() if peak > most}
    assert not above


if __name__ == "__main__":
    print(json.dumps(measure()))
