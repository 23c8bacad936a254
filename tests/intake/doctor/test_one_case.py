"""One fault at a time in a real pair, written by SimpleITK: that fault is found, with its numbers, and nothing else."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

SPACING = (5.46875, 5.46875, 3.27)  # x, y, z; of STS_002
VOXELS = 555  # of its region; 54.3 ml


def only(cohort: Any, check: str) -> Any:
    """The one error or warning that there is."""
    found = cohort.found()
    assert list(found) == [check], found
    return found[check]


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_the_pair_itself_is_clean(cohort: Any, ending: str) -> None:
    report = cohort.add(ending=ending).look()
    assert report.findings == []
    (row,) = report.regions
    assert (row["voxels"], row["pieces"], row["label"]) == (VOXELS, 1, 1)
    assert row["volume_ml"] == pytest.approx(VOXELS * np.prod(SPACING) / 1000, rel=1e-6)
    assert row["intensity_max"] == pytest.approx(21.675781)
    assert all(item["same"] for item in report.geometry)


# geometry


def test_shift(cohort: Any) -> None:
    mask = sitk.Image(cohort.mask)
    mask.SetOrigin(mask.TransformContinuousIndexToPhysicalPoint((0.0, -2.0, 0.0)))
    found = only(cohort.add(mask=mask), "shift")
    assert "10.94 mm (2 voxels) along y towards the front" in found.what
    assert found.safe_repair == "" and found.severity == "error"


@pytest.mark.parametrize(("axis", "ends"), [(0, "left to right"), (1, "back to front"), (2, "head to feet")])
def test_flip(cohort: Any, axis: int, ends: str) -> None:
    flipped = sitk.Flip(cohort.mask, [place == axis for place in range(3)])  # voxels and header: the same place
    found = only(cohort.add(mask=flipped), "flip")
    assert f"its {'xyz'[axis]} axis runs from {ends}" in found.what
    assert found.safe_repair == "reorder-axes"


def test_transposed_axes(cohort: Any) -> None:
    found = only(cohort.add(mask=sitk.PermuteAxes(cohort.mask, [2, 0, 1])), "transposed-axes")
    assert "its y, z, x are the image's x, y, z" in found.what and found.safe_repair == "reorder-axes"


def test_axes_exchanged_without_the_header(cohort: Any) -> None:
    mask = sitk.GetImageFromArray(cohort.region.transpose())  # x, y, z taken for z, y, x
    mask.SetSpacing(cohort.mask.GetSpacing())
    mask.SetOrigin(cohort.mask.GetOrigin())
    found = cohort.add(mask=mask).found()
    assert found["transposed-axes"].safe_repair == "" and "26 x 15 x 21" in found["transposed-axes"].what


@pytest.mark.parametrize(("low", "end"), [(True, "feet"), (False, "head")])
def test_one_slice_too_few(cohort: Any, low: bool, end: str) -> None:
    mask = cohort.mask[:, :, 1:] if low else cohort.mask[:, :, :-1]
    found = only(cohort.add(mask=mask), "slices")
    assert f"lacks the image's {'first' if low else 'last'} slice (z, at the {end}: 3.27 mm)" in found.what
    assert found.safe_repair == "fit-to-image"


def test_slices_cut_through_the_region_are_not_filled_up(cohort: Any) -> None:
    found = only(cohort.add(mask=cohort.mask[:, :, :14]), "slices")
    assert found.safe_repair == "" and "reaches the very edge (z, head)" in found.what


def test_resolution(cohort: Any) -> None:
    fine = sitk.Expand(cohort.mask, [2, 2, 1], sitk.sitkNearestNeighbor)
    found = only(cohort.add(mask=fine), "resolution")
    assert "x 2.7344 mm against 5.4688 mm and y 2.7344 mm against 5.4688 mm" in found.what
    assert "same field of view" in found.what


def test_rounding(cohort: Any) -> None:
    mask = sitk.Image(cohort.mask)
    mask.SetOrigin([*mask.GetOrigin()[:2], cohort.mask.GetOrigin()[2] + 0.02])
    found = only(cohort.add(mask=mask), "rounding")
    assert "0.02 mm (0.0061 voxels)" in found.what and found.safe_repair == "use-image-header"


def test_region_outside_the_image(cohort: Any) -> None:
    mask = sitk.Image(cohort.mask)
    mask.SetOrigin([value + 5000 for value in mask.GetOrigin()])
    found = cohort.add(mask=mask).found()
    assert set(found) == {"shift", "outside"} and f"{VOXELS} voxels" in found["outside"].what


def test_sform_and_qform_that_disagree(cohort: Any) -> None:
    cohort.add()
    path = cohort.folder / "a_mask.nii.gz"
    raw = bytearray(gzip.decompress(path.read_bytes()))
    assert struct.unpack_from("<hh", raw, 252) == (1, 1)  # ITK wrote both orientations
    (z,) = struct.unpack_from("<f", raw, 276)  # qoffset_z
    struct.pack_into("<f", raw, 276, z + 6.54)
    path.write_bytes(gzip.compress(bytes(raw)))
    found = only(cohort, "nifti-orientations")
    assert "6.54 mm (2 voxels) apart" in found.what and "reads the sform" in found.what
    assert found.safe_repair == "" and found.file.endswith("a_mask.nii.gz")
    struct.pack_into("<f", raw, 276, z + 0.02)
    path.write_bytes(gzip.compress(bytes(raw)))
    (note,) = cohort.look().findings
    assert (note.check, note.severity, note.safe_repair) == ("nifti-orientations", "note", "rewrite-header")


# labels


def test_label_that_is_not_there(cohort: Any) -> None:
    found = only(cohort.add(mask=cohort.like(cohort.region * 7)), "label")
    assert f"No voxel has the label 1; the mask holds 7 ({VOXELS} voxels)" in found.what
    assert found.safe_repair == "use-label" and found.details == {"label": 7}


def test_several_labels_are_not_guessed_among(cohort: Any) -> None:
    voxels = cohort.region * 3
    voxels[:2, :2, :2] = 5
    found = only(cohort.add(mask=cohort.like(voxels)), "label")
    assert found.safe_repair == "" and "3 (555 voxels) and 5 (8 voxels)" in found.what


def test_another_rows_only_label_is_not_taken(cohort: Any) -> None:
    cohort.add("a", mask=cohort.like(cohort.region * 2), label="1")
    cohort.rows.append("b,a,PET,a_image.nii.gz,a_mask.nii.gz,2")
    found = only(cohort, "label")
    assert found.case_id == "a" and found.safe_repair == "" and "case b" in found.to_do


def test_empty_mask(cohort: Any) -> None:
    assert only(cohort.add(mask=cohort.like(cohort.region * 0)), "empty-mask").severity == "error"


def test_labels_that_nobody_names(cohort: Any) -> None:
    voxels = cohort.region
    voxels[:2, :2, :2] = 2
    (note,) = cohort.add(mask=cohort.like(voxels)).look().findings
    assert (note.check, note.severity) == ("unused-labels", "note") and "2 (8 voxels)" in note.what


# the region


def test_border(cohort: Any) -> None:
    top = int(np.flatnonzero(cohort.region.any(axis=(1, 2)))[-1])
    touching = int(cohort.region[top].sum())
    cut = (slice(None), slice(None), slice(0, top + 1))
    found = only(cohort.add(image=cohort.image[cut], mask=cohort.mask[cut]), "border")
    assert f"the last slice (z, head) with {touching} voxels" in found.what and found.severity == "warning"


def test_crumbs(cohort: Any) -> None:
    voxels = cohort.region
    voxels[1, 1, 1] = voxels[1, 1, 2] = voxels[24, 13, 19] = 1
    found = only(cohort.add(mask=cohort.like(voxels)), "crumbs")
    assert "2 small separate pieces besides the 1 main part" in found.what
    assert "0.196 ml (2 voxels) and 0.0978 ml (1 voxel)" in found.what


def test_gap(cohort: Any) -> None:
    voxels = cohort.region
    used = np.flatnonzero(voxels.any(axis=(1, 2)))
    voxels[used[3]] = voxels[used[4]] = 0
    found = cohort.add(mask=cohort.like(voxels)).found()
    assert list(found) == ["gap"]
    assert (
        f"2 slices of the region are empty, between others that hold it at the same place: {used[3] + 1} to {used[4] + 1}"
        in found["gap"].what
    )


def test_two_lesions_one_above_the_other_are_no_gap(cohort: Any) -> None:
    voxels = cohort.region * 0
    voxels[3:8, 3:8, 3:8] = 1
    voxels[14:20, 9:13, 12:18] = 1
    report = cohort.add(mask=cohort.like(voxels)).look()
    assert [item.check for item in report.findings] == ["parts"]
    assert "14.1 ml and 12.2 ml" in report.findings[0].what


@pytest.mark.parametrize(
    ("box", "words", "severity"),
    [
        ((1, 1, 1), "single voxel", "error"),
        ((1, 6, 6), "single slice (z)", "warning"),
        ((3, 3, 3), "27 voxels (2.64 ml)", "warning"),
    ],
)
def test_small_and_flat_regions(cohort: Any, box: tuple[int, int, int], words: str, severity: str) -> None:
    voxels = cohort.region * 0
    voxels[tuple(slice(5, 5 + n) for n in box)] = 1
    found = cohort.add(mask=cohort.like(voxels)).found()
    assert words in found["small-region"].what and found["small-region"].severity == severity


# intensities


def test_ct_whose_rescale_was_forgotten(cohort: Any) -> None:
    stored = np.clip(cohort.intensities * 20 + 1000, 0, 4095).astype(np.int16)
    stored[0, 0, 0] = 0
    found = only(cohort.add(image=cohort.like(stored, cohort.image), modality="CT"), "intensity")
    assert "rescale to HU (usually -1024) was forgotten" in found.what and found.severity == "error"
    cohort.rows.clear()
    found_none = cohort.add(image=cohort.like(stored - 1024, cohort.image), modality="CT").found()
    assert found_none == {}


def test_pet_that_is_no_suv(cohort: Any) -> None:
    found = only(cohort.add(image=cohort.like(cohort.intensities * 5000, cohort.image)), "intensity")
    assert "Bq/ml" in found.what and found.severity == "error"


@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_a_picture_of_eight_bits_and_a_normalised_image(cohort: Any, modality: str) -> None:
    grey = np.clip(cohort.intensities * 12, 0, 255).astype(np.uint8)
    assert "8 bits" in only(cohort.add(image=cohort.like(grey, cohort.image), modality=modality), "intensity").what
    cohort.rows.clear()
    scaled = cohort.intensities / cohort.intensities.max()
    assert "normalised" in only(cohort.add(image=cohort.like(scaled, cohort.image), modality=modality), "intensity").what


def test_a_region_of_one_intensity(cohort: Any) -> None:
    voxels = cohort.intensities
    voxels[cohort.region == 1] = 3.0
    assert "3" in only(cohort.add(image=cohort.like(voxels, cohort.image)), "constant").what


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_that_are_no_number(cohort: Any, value: float) -> None:
    voxels = cohort.intensities
    voxels[3, 4, 5:8] = value
    found = only(cohort.add(image=cohort.like(voxels, cohort.image)), "not-finite")
    assert f"3 of {voxels.size} voxels are NaN or infinite" in found.what and found.file.endswith("a_image.nii.gz")


# files that cannot be used: one finding each, and the other case is still looked at


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (lambda path: path.unlink(), "missing-file"),
        (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "cut-off-file"),
        (lambda path: path.write_bytes(b"this is no image" * 40), "unreadable-file"),
        (lambda path: path.write_bytes(b""), "cut-off-file"),
    ],
)
def test_a_file_that_cannot_be_read(cohort: Any, spoil: Any, check: str) -> None:
    cohort.add("good").add(
        "bad", patient="other", image=cohort.like(cohort.intensities * 0.9, cohort.image), mask=cohort.mask[:, :, :]
    )
    voxels = cohort.region
    voxels[voxels.shape[0] // 2] *= 0
    sitk.WriteImage(cohort.like(voxels), str(cohort.folder / "bad_mask.nii.gz"))
    spoil(Path(cohort.folder / "bad_mask.nii.gz"))
    found = only(cohort, check)
    assert found.case_id == "bad" and found.file.endswith("bad_mask.nii.gz") and found.severity == "error"
    assert [row["case_id"] for row in cohort.look().regions] == ["good"]


def test_a_manifest_without_its_columns(cohort: Any, tmp_path: Path) -> None:
    from radpipe.stages.doctor import examine

    (tmp_path / "bad.csv").write_text("case_id,image_path\na,b\n")
    (found,) = examine(tmp_path / "bad.csv", tmp_path / "store").findings
    assert found.check == "manifest" and "'mask_path' is missing" in found.what


def test_rows_of_a_manifest_that_cannot_be_used(cohort: Any) -> None:
    cohort.add("a")
    cohort.rows += ["b,b,PET,,a_mask.nii.gz,1", "c,c,XX,a_image.nii.gz,a_mask.nii.gz,1"]
    found = cohort.look().findings
    assert [(item.check, item.case_id, item.severity) for item in found if item.check == "manifest"] == [
        ("manifest", "b", "error"), ("manifest", "c", "warning"),
    ]  # fmt: skip
    assert {item.check for item in found} == {"manifest", "duplicate-image"}
