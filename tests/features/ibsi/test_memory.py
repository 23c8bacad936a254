"""What an extraction holds at most: three times the region's box as float64 (with a filter: the padded box), and 2 MiB.

Measured in a process of its own as the high-water mark of its resident memory, which Linux lets a process set back. There glibc is
told to give every freed array back at once: what is measured is what is held, not what malloc keeps for later.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

LIMIT = 3.0
ALLOWANCE = 2 << 20  # bytes: small arrays, and what malloc keeps of them
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
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        row(whole, ball if "ball" in name else box, parameters)
        peak = _resident("VmHWM") - before
        side = SIDE
        for chosen, values in parameters.get("filter", {}).items():
            reach = module_of(chosen).reach(settings_of(chosen, values), (1.0, 1.0, 1.0))
            side = whole if reach is None else min(SIDE + 2 * reach, whole)
        found[name] = (peak, 8 * side**3)
    return found


def _resident(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="resident memory is measured as Linux tells it")
def test_three_times_the_box():
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert set(measured) == set(CASES)
    above = {name: round(peak / box, 2) for name, (peak, box) in measured.items() if peak > LIMIT * box + ALLOWANCE}
    assert not above


if __name__ == "__main__":
    print(json.dumps(measure()))
