"""What an extraction holds at most: three times the region's box as float64 (with a filter: the padded box), and 2 MiB."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import resident

SIDE, AROUND = 72, 12
FILTERS = {
    "mean": {"support": 5},
    "log": {"sigma": 1.5},
    "laws": {"kernels": "L5E5E5", "rotation_invariance": True, "delta": 3},
    "gabor": {"sigma": 2.0, "wavelength": 2.0, "rotation_step": 90},
    "simoncelli": {"level": 1},
    "riesz_log": {"sigma": 1.5, "order": [1, 0, 0]},
    "riesz_simoncelli": {"level": 1, "order": [0, 2, 0], "padding": "mirror"},
}
# The whole box is the region, which is the most that can be; with morphology a ball, which is quicker.
CASES = {
    **{f"{family} of the box": {"families": [family]} for family in ("loc", "stat", "ih", "ivh", "cm", "rlm", "dzm", "ngt", "ngl")},
    "morph of the ball": {"families": ["morph"]},
    "resampled": {"families": ["stat", "cm"], "resample": {"spacing_mm": 1.1}, "resegment_range": [-500, 500], "outlier_sigma": 3},
    **{f"filter {name}": {"families": ["stat"], "filter": {name: settings}} for name, settings in FILTERS.items()},
}  # fmt: skip


def measure() -> dict[str, tuple[int, int]]:
    """Case -> (bytes at the peak above what was held before, bytes of the box)."""
    from scipy.ndimage import gaussian_filter

    from radpipe.core.grid import Grid
    from radpipe.core.image import Image, Mask
    from radpipe.features.config import FeatureSettings
    from radpipe.features.extract import extract_row
    from radpipe.filters.ibsi_registry import module_of, settings_of

    whole = SIDE + 2 * AROUND
    voxels = (8 * gaussian_filter(np.random.default_rng(0).normal(0, 150, (whole,) * 3), 2)).astype(np.int16)
    z, y, x = np.indices(voxels.shape, sparse=True)
    middle = (whole - 1) / 2
    ball = (z - middle) ** 2 + (y - middle) ** 2 + (x - middle) ** 2 <= (SIDE / 2) ** 2
    box = np.zeros_like(ball)
    box[(slice(AROUND, -AROUND),) * 3] = True

    def row(side: int, region: np.ndarray, parameters: dict) -> None:
        grid = Grid((side,) * 3, (1.0, 1.0, 1.0))
        cut = (slice(0, side),) * 3
        settings = FeatureSettings(feature_set="ibsi", params=parameters)
        extract_row(Image(grid, voxels[cut]), Mask(grid, region[cut]), settings)

    found = {}
    for name, parameters in CASES.items():
        row(AROUND + 15, box, parameters)  # what is loaded and compiled on the first call is no part of a case
        peak = resident.peak(partial(row, whole, ball if "ball" in name else box, parameters))
        side = SIDE
        for chosen, values in parameters.get("filter", {}).items():
            reach = module_of(chosen).reach(settings_of(chosen, values), (1.0, 1.0, 1.0))
            side = whole if reach is None else min(SIDE + 2 * reach, whole)
        found[name] = (peak, 8 * side**3)
    return found


@resident.needs_linux
def test_three_times_the_box():
    measured = resident.in_own_process(__file__)
    assert set(measured) == set(CASES)
    most = {name: resident.LIMIT * box + resident.ALLOWANCE for name, (_, box) in measured.items()}
    above = {name: round(peak / box, 2) for name, (peak, box) in measured.items() if peak > most[name]}
    assert not above


if __name__ == "__main__":
    print(json.dumps(measure()))
