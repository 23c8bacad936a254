"""Regions that lie where they should not although their headers agree, several visits of one patient, holes, one header mended,
and a case that cannot be examined."""

from __future__ import annotations

import gzip
import struct
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from radpipe.intake.cohort_faults import Examined
from radpipe.intake.coinciding import groups
from radpipe.stages import doctor
from radpipe.stages.doctor import examine, prepare
from radpipe.stages.doctor_mend import mend
from radpipe.stages.tabulate import Limits


def test_a_mask_mirrored_within_its_header_lies_in_air(cohort: Any) -> None:
    """A leg beside air, as in the STS cohort: the region is in the leg, its mirror image beside it."""
    wide = sitk.ConstantPad(cohort.mask, [2, 0, 0], [23, 0, 0])
    region = sitk.GetArrayFromImage(wide)
    leg = ndimage.binary_dilation(region == 1, iterations=2)
    voxels = np.where(leg, 40, -1000).astype(np.int16) + (np.indices(region.shape).sum(axis=0) % 7).astype(np.int16)
    image = cohort.like(voxels, wide)
    assert "intensity" not in {item.check for item in cohort.add(image=image, mask=wide, modality="CT").look().findings}
    cohort.rows.clear()
    cohort.add(image=image, mask=cohort.like(region[:, :, ::-1].copy(), wide), modality="CT")
    (found,) = [item for item in cohort.look().findings if item.check == "intensity"]
    assert found.severity == "warning" and "Half of the region is air" in found.what and "mirrored" in found.to_do


def one(case: str, modality: str, roi: str, frame: str = "") -> Examined:
    return Examined(case, "P", modality, case, case, 1, roi=roi, frame=frame, region_key="k")


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([one("a", "CT", "GTV_CT"), one("b", "PET", "GTV PET"), one("c", "MR", "GTV_MR_T1")], [["a", "c", "b"]]),
        ([one("a", "CT", "GTV_T1"), one("b", "PET", "GTV_T1"), one("c", "PET", "GTV_T2")], [["a", "b"]]),  # targets, no sequences
        ([one("a", "CT", "GTVp"), one("b", "PET", "GTVn")], []),
        ([one("a", "CT", "CT"), one("b", "PET", "PET")], []),  # nothing is left of these names
        ([one("a", "CT", "g", "F"), one("b", "PET", "g", "F"), one("c", "PET", "g", "G")], [["a", "b"]]),
    ],
)
def test_which_regions_show_one_lesion(listed: list[Examined], expected: list[list[str]]) -> None:
    assert [[case.case_id for of in group.values() for case in of] for group in groups(listed)] == expected


def visits(cohort: Any, frames: tuple[str, ...]) -> Any:
    """A PET and an MR of one visit, and a PET of another, for which the patient lay 40 mm aside."""
    later = cohort.like(cohort.intensities * 0.9, cohort.image)
    mask = sitk.Image(cohort.mask)
    for volume in (later, mask):
        volume.SetOrigin((volume.GetOrigin()[0] + 40.0, *volume.GetOrigin()[1:]))
    cohort.add("pet1", patient="P").add("pet2", patient="P", image=later, mask=mask)
    cohort.add("mr", patient="P", image=cohort.like(cohort.intensities * 50, cohort.image), modality="MR")
    manifest = cohort.manifest
    head, *rows = manifest.read_text().splitlines()
    if frames:
        rows = [f"{row},{frame}" for row, frame in zip(rows, frames, strict=True)]
        head += ",image_frame_of_reference_uid"
    manifest.write_text("\n".join([head, *rows]) + "\n")
    return examine(manifest, cohort.folder / "store")


def test_visits_that_lie_apart_are_no_fault(cohort: Any) -> None:
    report = visits(cohort, ())
    (found,) = report.findings
    assert (found.check, found.severity) == ("not-coinciding", "note")
    assert "The regions on the 2 PET images of this patient do not coincide with each other" in found.what


def test_frames_of_reference_tell_visits_apart(cohort: Any) -> None:
    report = visits(cohort, ("1.2.1", "1.2.2", "1.2.1"))
    assert report.findings == []
    (row,) = report.overlaps
    assert (row["modality_1"], row["modality_2"], row["dice"]) == ("MR", "PET", pytest.approx(1.0))


def test_a_hole_is_counted(cohort: Any) -> None:
    voxels = cohort.region
    core = np.argwhere(ndimage.binary_erosion(voxels == 1, np.ones((3, 3, 3))))
    voxels[tuple(core[len(core) // 2])] = 0
    (found,) = [item for item in cohort.add(mask=cohort.like(voxels)).look().findings if item.check == "holes"]
    assert found.severity == "note" and found.what.startswith("1 hole inside the region, 1 voxel in all")


@pytest.mark.parametrize("kind", ["image", "mask"])
def test_a_header_with_one_orientation_is_written(cohort: Any, kind: str) -> None:
    cohort.add()
    path = cohort.folder / f"a_{kind}.nii.gz"
    raw = bytearray(gzip.decompress(path.read_bytes()))
    (used,) = struct.unpack_from("<f", raw, 324)  # srow_z[3]; the qform has qoffset_z at 276
    struct.pack_into("<f", raw, 276, used + 0.02)
    path.write_bytes(gzip.compress(bytes(raw)))
    report = cohort.look()
    assert [(item.check, item.safe_repair) for item in report.findings] == [("nifti-orientations", "rewrite-header")]
    out = cohort.folder / "mended"
    prepare(out, empty=True)
    (done,) = mend(report, out)
    assert done["repair"] == "rewrite-header"
    new = out / f"{kind}s" / "a.nii.gz"
    written = gzip.decompress(new.read_bytes())
    assert struct.unpack_from("<hh", written, 252) == (0, 1)  # the sform, which was read, and no other
    assert struct.unpack_from("<f", written, 324) == pytest.approx((used,), abs=1e-4)
    before = cohort.intensities if kind == "image" else cohort.region
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(new))), before)
    assert examine(out, cohort.folder / "store").findings == []


def test_a_case_that_cannot_be_examined_costs_no_other_word(cohort: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "HERE", 0)
    cohort.add("a").add("b", mask=cohort.like(cohort.region * 7))
    report = examine(
        cohort.manifest, cohort.folder / "store", workers=1, scheduler="processes", limits=Limits(3000, 0.001)
    )  # nobody is that quick
    assert {(item.case_id, item.check, item.severity) for item in report.findings} == {
        ("a", "crashed", "error"), ("b", "crashed", "error"),
    }  # fmt: skip
    assert all("s" in item.what and item.to_do for item in report.findings) and report.examined == []
