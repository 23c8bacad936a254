"""Some voxels of IBSI 2's reference response maps (CC0), for the phantoms that a formula makes: tests without the shared data.

python tests/reference/make_ibsi2_map_samples.py /path/to/shared/data  ->  tests/reference/ibsi2_map_samples.csv
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

MADE_BY_FORMULA = ("impulse", "checkerboard")
EACH = 24


def main(data: Path) -> None:
    rng = np.random.default_rng(20200607)
    rows = []
    with (data / "ibsi2/phase1_tests.csv").open(newline="") as stream:
        tests = [row for row in csv.DictReader(stream) if row["reference_map"] and row["phantom"] in MADE_BY_FORMULA]
    for test in tests:
        path = data / "ibsi2" / test["reference_map"]
        reference = sitk.GetArrayFromImage(sitk.ReadImage(str(path.with_suffix(".nii.gz") if path.suffix != ".gz" else path)))
        # Half where the response is strong, half anywhere.
        strong = np.argsort(-np.abs(reference), axis=None, kind="stable")[: reference.size // 200]
        chosen = np.concatenate(
            [rng.choice(strong, EACH // 2, replace=False), rng.choice(reference.size, EACH // 2, replace=False)]
        )
        spread = float(np.ptp(reference.astype(float)))
        for flat in sorted(int(index) for index in chosen):
            z, y, x = np.unravel_index(flat, reference.shape)
            rows.append((test["test_id"], z, y, x, f"{float(reference[z, y, x]):.9g}", f"{spread:.9g}"))
    with (Path(__file__).parent / "ibsi2_map_samples.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("test", "z", "y", "x", "reference", "range"))
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
