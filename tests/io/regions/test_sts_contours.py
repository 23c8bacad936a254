"""The contours of the two STS patients against masks that others rasterised (IBSI's, in shared/data/sts/images).

Own contours on their own image, and those of the CT on the PET and MR of the same patient (one frame of reference). The published
masks are cropped; the contours are rasterised on the crop's grid and on the whole one.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from radpipe.core.grid import Grid
from radpipe.core.image import Mask
from radpipe.io.dicom.rtstruct import StructureSet, place, rasterise, read_rtstruct
from radpipe.io.dicom.scan import Series, scan_folder
from radpipe.io.dicom.series import choose, frame_positions
from radpipe.io.volumes import read_mask

# Least Dice. Own contours: equal but for centres that lie on an edge (float32 in the NIfTI header). Transferred ones: each image's
# file holds the outline a tenth of a millimetre off the CT's, which moves a few of the PET's 1200 voxels and none of the MR's.
CASES = [
    (patient, drawn, shown, dice)
    for patient in ("STS_001", "STS_018")
    for drawn, shown, dice in (
        ("CT", "CT", 0.9999), ("PET", "PET", 0.999), ("MR_T1", "MR_T1", 0.9999), ("CT", "PET", 0.985), ("CT", "MR_T1", 0.9999),
        ("PET", "CT", 0.995),
    )
]  # fmt: skip


@cache
def contours(folder: Path) -> StructureSet:
    return read_rtstruct(folder / "mask" / "RS.dcm")


@cache
def series(folder: Path) -> Series:
    return choose(scan_folder(folder / "image"))


@cache
def grid_of(folder: Path) -> Grid:
    return frame_positions(series(folder)).grid


def dice(one: np.ndarray, two: np.ndarray) -> float:
    return float(2 * (one & two).sum() / (one.sum() + two.sum()))


def beyond_one_layer(mask: np.ndarray, reference: np.ndarray) -> int:
    """Voxels of the difference that do not touch the reference's boundary by a face."""
    image = sitk.GetImageFromArray(reference.astype(np.uint8))
    grown = sitk.GetArrayFromImage(sitk.BinaryDilate(image, [1, 1, 1], sitk.sitkCross)).astype(bool)
    shrunk = sitk.GetArrayFromImage(sitk.BinaryErode(image, [1, 1, 1], sitk.sitkCross)).astype(bool)
    return int((mask & ~grown).sum() + (shrunk & ~mask).sum())


@pytest.mark.parametrize(("patient", "drawn", "shown", "least"), CASES)
def test_dice_with_the_published_mask(shared_data: Path, patient: str, drawn: str, shown: str, least: float) -> None:
    sts = shared_data / "sts"
    reference = read_mask(sts / "images" / patient / f"{shown}_mask.nii.gz")
    (roi,) = contours(sts / "dicom" / patient / drawn).rois
    mask, _ = rasterise(roi, reference.grid)
    assert dice(mask.voxels, reference.voxels) >= least
    assert beyond_one_layer(mask.voxels, reference.voxels) == 0
    if drawn == shown == "CT":
        np.testing.assert_array_equal(mask.voxels, reference.voxels)


@pytest.mark.parametrize("patient", ["STS_001", "STS_018"])
@pytest.mark.parametrize("shown", ["CT", "PET", "MR_T1"])
def test_on_the_dicom_grid(shared_data: Path, patient: str, shown: str) -> None:
    """The whole image's grid, from its own headers: the crop (offset in sts_images.csv) is the published mask, the rest is empty."""
    import pandas as pd

    sts = shared_data / "sts"
    table = pd.read_csv(sts / "sts_images.csv").set_index(["patient_id", "modality"])
    x, y, z = (int(part) for part in table.loc[(patient, shown), "crop_offset"].split("x"))
    reference = read_mask(sts / "images" / patient / f"{shown}_mask.nii.gz")
    folder = sts / "dicom" / patient / shown
    structures, grid = contours(folder), grid_of(folder)
    target = series(folder)
    where = place(structures, structures.rois[0], series_uid=target.uid, frame_of_reference_uid=target.frame_of_reference_uid)
    assert where.rule == "drawn on this series" and where.matrix is None
    mask, notes = rasterise(structures.rois[0], grid)
    depth, height, width = reference.grid.shape
    crop = mask.voxels[z : z + depth, y : y + height, x : x + width]
    assert mask.voxels.sum() == crop.sum()
    assert dice(crop, reference.voxels) >= 0.999
    assert beyond_one_layer(crop, reference.voxels) == 0
    assert notes.gaps == () and notes.outside == 0 and notes.cut == 0


@pytest.mark.parametrize("patient", ["STS_001", "STS_018"])
def test_what_the_files_say_of_pet_and_mr(shared_data: Path, patient: str) -> None:
    """The CT's structure set names the CT series only; PET and MR share its frame of reference, so it may be transferred."""
    sts = shared_data / "sts" / "dicom" / patient
    structures = contours(sts / "CT")
    for shown, rule in (("CT", "drawn on this series"), ("PET", "same frame of reference"), ("MR_T1", "same frame of reference")):
        target = series(sts / shown)
        found = place(structures, structures.rois[0], series_uid=target.uid, frame_of_reference_uid=target.frame_of_reference_uid)
        assert found.rule == rule


def test_whole_body_pet_with_two_rois(shared_data: Path) -> None:
    """The raw PET has GTV_Mass, as drawn for the published PET mask, and GTV_Edema around it."""
    folder = shared_data / "dicom" / "sts001_raw_pet_bqml"
    structures = read_rtstruct(folder / "mask" / "1-1.dcm")
    reference = read_mask(shared_data / "sts" / "images" / "STS_001" / "PET_mask.nii.gz")
    mass, edema = structures.rois
    assert (mass.name, edema.name) == ("GTV_Mass", "GTV_Edema")
    mask = rasterise(mass, reference.grid)[0]
    assert dice(mask.voxels, reference.voxels) >= 0.999
    around: Mask = rasterise(edema, reference.grid)[0]
    assert (mask.voxels & ~around.voxels).sum() < 0.02 * mask.voxels.sum()
