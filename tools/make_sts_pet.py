"""Make the embedded cohort (radpipe/datasets/sts_pet) from the shared data: ``python tools/make_sts_pet.py [SHARED_DATA]``.

Each image becomes a window of the 5 cm source with a different margin on every side, as whole voxels (nothing is
resampled), and SUV becomes int16 with a slope of 1/512.
"""

from __future__ import annotations

import csv
import os
import shutil
import sys
from pathlib import Path

import numpy as np

from radpipe.core.seeds import generator
from radpipe.io.nifti import write_nifti
from radpipe.io.volumes import read_image, read_mask

REPOSITORY = Path(__file__).resolve().parents[1]
TARGET = REPOSITORY / "radpipe" / "datasets" / "sts_pet"
SEED = 20261121
# A power of two, so that stored number times slope is exact in float32; up to SUV 64, error at most 0.001 SUV.
SLOPE = 1 / 512
CLINICAL = ("age_years", "sex", "grade", "mskcc_type", "histology", "site")
COLUMNS = ("case_id", "patient_id", "modality", "image_path", "mask_path", "label", "lung_metastasis", *CLINICAL)


def window(mask: np.ndarray, patient_id: str) -> tuple[slice, ...]:
    """The part of the source to keep: on every axis one side keeps half to all of its margin, the other at most half.

    At least one voxel is kept on each side, unless the scan itself ends at the lesion.
    """
    rng = generator(SEED, "sts_pet", patient_id)
    kept = []
    for axis in range(3):
        inside = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        before, after = int(inside[0]), mask.shape[axis] - 1 - int(inside[-1])
        shares = [rng.uniform(0.5, 1.0), rng.uniform(0.0, 0.5)]
        if rng.random() < 0.5:
            shares.reverse()
        low, high = (max(min(1, margin), round(share * margin)) for share, margin in zip(shares, (before, after), strict=True))
        kept.append(slice(before - low, int(inside[-1]) + 1 + high))
    return tuple(kept)


def make(shared: Path, target: Path) -> None:
    """Write images, masks, manifest and licence below ``target``; the README there is written by hand."""
    source = shared / "sts"
    for name in ("images", "masks"):
        shutil.rmtree(target / name, ignore_errors=True)
        (target / name).mkdir(parents=True)
    rows = []
    with open(source / "sts_clinical.csv", newline="", encoding="utf-8") as file:
        patients = sorted(csv.DictReader(file), key=lambda row: row["patient_id"])
    for patient in patients:
        name = patient["patient_id"]
        image = read_image(source / "pet_5cm" / f"{name}_PET_image.nii.gz", unit="SUV", case_id=name)
        mask = read_mask(source / "pet_5cm" / f"{name}_PET_mask.nii.gz", case_id=name)
        part = window(mask.voxels, name)
        start = tuple(side.start for side in part)
        stored = np.rint(image.voxels[part] / SLOPE)
        assert stored.min() >= 0 and stored.max() <= np.iinfo(np.int16).max, f"{name}: SUV out of range"
        grid = image.grid.cropped(start, stored.shape)
        write_nifti(target / "images" / f"{name}.nii.gz", stored.astype(np.int16), grid, slope=SLOPE)
        write_nifti(target / "masks" / f"{name}.nii.gz", mask.voxels[part].astype(np.uint8), grid)
        row = {
            "case_id": name,
            "patient_id": name,
            "modality": "PET",
            "image_path": f"images/{name}.nii.gz",
            "mask_path": f"masks/{name}.nii.gz",
            "label": "1",
        }
        rows.append(row | {column: patient[column] for column in ("lung_metastasis", *CLINICAL)})
    with open(target / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    shutil.copyfile(source / "LICENSE-CC-BY-3.0.md", target / "LICENSE-CC-BY-3.0.md")


if __name__ == "__main__":
    default = os.environ.get("RADPIPE_DATA", REPOSITORY.parent / "shared" / "data")
    make(Path(sys.argv[1] if len(sys.argv) > 1 else default), TARGET)
