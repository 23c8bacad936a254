"""Real exports against what others made of them: the IBSI's NIfTI files of the same patients."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from radpipe.core.image import Image, Mask
from radpipe.io.volumes import read_image, read_mask


def in_published(ours: Any, published: Any) -> np.ndarray:
    """Our voxels where the published crop lies; both grids have the same voxels."""
    np.testing.assert_allclose(ours.grid.spacing_mm, published.grid.spacing_mm, rtol=1e-5)
    shift = (np.array(published.grid.origin_mm) - ours.grid.origin_mm)[::-1] / ours.grid.spacing_mm
    start = np.rint(shift).astype(int)
    assert np.abs(shift - start).max() < 0.01
    return ours.voxels[tuple(slice(a, a + n) for a, n in zip(start, published.grid.shape, strict=True))]


def within_a_layer(ours: np.ndarray, published: np.ndarray) -> float:
    """Dice; AssertionError where they differ by more than one layer of voxels at the border."""
    around = ndimage.generate_binary_structure(3, 1)
    assert not (ours & ~ndimage.binary_dilation(published, around)).any()
    assert not (ndimage.binary_erosion(published, around, border_value=1) & ~ours).any()
    return float(2 * (ours & published).sum() / (ours.sum() + published.sum()))


def dice_floor(case: str) -> float:
    return 0.99 if "PET" not in case else 0.95  # PET voxels are 4.7 mm: a border voxel is worth more


def compared(out: Path, rows: dict[str, dict[str, str]], case_id: str, images: Path, name: str, layer: bool = True) -> float:
    row = rows[case_id]
    image, published = read_image(out / row["image_path"]), read_image(images / f"{name}_image.nii.gz")
    assert isinstance(image, Image)
    if name == "PET":
        np.testing.assert_allclose(in_published(image, published), published.voxels, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(in_published(image, published), published.voxels)
    mask, drawn = read_mask(out / row["mask_path"]), read_mask(images / f"{name}_mask.nii.gz")
    assert isinstance(mask, Mask)
    ours = in_published(mask, drawn)
    assert ours.sum() == mask.voxels.sum()
    if layer:
        return within_a_layer(ours, drawn.voxels)
    return float(2 * (ours & drawn.voxels).sum() / (ours.sum() + drawn.voxels.sum()))


def test_ct_contours_on_the_pet_and_mr_of_the_same_frame(shared_data: Path, tools: Any, command: Any, tmp_path: Path) -> None:
    """STS_018 as a planning export has it: the structure set refers to the CT alone."""
    source, export, out = shared_data / "sts" / "dicom" / "STS_018", tmp_path / "export", tmp_path / "cohort"
    for name in ("CT", "PET", "MR_T1"):
        shutil.copytree(source / name / "image", export / name)
    shutil.copyfile(source / "CT" / "mask" / "RS.dcm", export / "plan.dcm")
    command(export, out)
    rows = {row["case_id"]: row for row in tools.rows_of(out / "manifest.csv")}
    assert sorted(rows) == ["STS_018_CT_GTV_Mass_CT", "STS_018_MR_GTV_Mass_CT", "STS_018_PET_GTV_Mass_CT"]
    images = shared_data / "sts" / "images" / "STS_018"
    assert compared(out, rows, "STS_018_CT_GTV_Mass_CT", images, "CT") > 0.99
    # The data's README: MR and CT contours are the same drawing; the PET has contours of its own, a little off.
    assert compared(out, rows, "STS_018_MR_GTV_Mass_CT", images, "MR_T1") > 0.99
    assert compared(out, rows, "STS_018_PET_GTV_Mass_CT", images, "PET", layer=False) > 0.98
    assert len(list((out / "overlays").iterdir())) == 2


@pytest.mark.slow
def test_everything_there_is_mixed_up(shared_data: Path, tools: Any, command: Any, tmp_path: Path) -> None:
    """All of dicom/ and sts/dicom under random names in random folders: the manifest of the folder as it was."""
    tidy = tmp_path / "tidy"
    shutil.copytree(shared_data / "dicom", tidy / "dicom")
    shutil.copytree(shared_data / "sts" / "dicom", tidy / "sts")
    tools.scattered(tidy, tmp_path / "mixed", seed=20261121)
    for name in ("tidy", "mixed"):
        command(tmp_path / name, tmp_path / f"{name} cohort", check=3)
    ours, theirs = tools.content(tmp_path / "tidy cohort"), tools.content(tmp_path / "mixed cohort")
    tables = {"ingest.csv", "ingest_files.csv", "ingest_regions.csv", "failures.csv"}
    assert set(ours) == set(theirs)
    assert [name for name in ours if name not in tables and ours[name] != theirs[name]] == []
    out = tmp_path / "mixed cohort"
    rows = {row["case_id"]: row for row in tools.rows_of(out / "manifest.csv")}
    # Of STS_001 there are two PET series of one number; the IBSI's is the one with the IBSI's region.
    (pet,) = [row for row in rows if row.startswith("STS_001_PET") and row.endswith("GTV_Mass_PET")]
    for case_id, name in (
        ("STS_001_CT_GTV_Mass_CT", "CT"), ("STS_001_MR_GTV_Mass_MR_T1", "MR_T1"), (pet, "PET"),
        ("STS_018_CT_GTV_Mass_CT", "CT"), ("STS_018_MR_GTV_Mass_MR_T1", "MR_T1"), ("STS_018_PET_GTV_Mass_PET", "PET"),
    ):  # fmt: skip
        images = shared_data / "sts" / "images" / case_id[:7]
        assert compared(out, rows, case_id, images, name) > dice_floor(case_id), case_id
    # Counted by hand from the catalogue: segments of the CTs that are there, ROIs of the structure sets, no other.
    patients = {row["patient_id"] for row in rows.values()}
    assert patients == {"123456", "99000", "PHANTOM_EXAMPLE", "STS_001", "STS_018"}
    assert {name.partition("_CT_")[2] for name in rows if name.startswith("99000")} == {
        "GREEN", "ORANGE", "PURPLE", "LIGHT_BLUE", "DARK_BLUE", *(f"Liver-{n}" for n in range(1, 8)),
    }  # fmt: skip
    about = {row["case_id"]: row["problem"] for row in tools.rows_of(out / "failures.csv")}
    assert "one slice" in about["1CT1_CT_first_segment"] and "not in the export" in about["77654033_SEG_2"]
    files = tools.rows_of(out / "ingest_files.csv")
    assert len(files) == sum(path.is_file() for path in (tmp_path / "mixed").rglob("*"))
    assert sum(int(row["files"]) for row in tools.rows_of(out / "ingest.csv")) == len(files)
