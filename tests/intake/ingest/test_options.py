"""Options of ingest from the command line to the voxels, and the frames of reference that the manifest keeps for doctor."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from radpipe.io.volumes import read_image, read_mask
from radpipe.stages import doctor
from radpipe.stages.doctor import examine

BOX = (1, 4, 2, 6, 3, 8)


def only_row(tools: Any, out: Path) -> dict[str, str]:
    (row,) = tools.rows_of(out / "manifest.csv")
    return row


def test_a_missing_slice_is_refused_or_filled_where_the_user_says_so(
    hospital: Any, tools: Any, command: Any, tmp_path: Path
) -> None:
    ct = hospital.scan("P1")
    hospital.rtstruct(ct, {"GTV": BOX})
    ct.files[2].unlink()
    out = tmp_path / "cohort"
    command(hospital.folder, out, check=3)
    (failure,) = tools.rows_of(out / "failures.csv")
    assert (
        failure["case_id"] == "P1_CT_GTV" and "missing" in failure["problem"] and "or say --uneven resample." in failure["hint"]
    )
    assert tools.rows_of(out / "manifest.csv") == []
    command(hospital.folder, out, "--uneven", "resample", "--redo")
    row = only_row(tools, out)
    image, mask = read_image(out / row["image_path"]), read_mask(out / row["mask_path"])
    stored = ct.voxels.astype(float) - 1024
    assert image.grid.shape == ct.grid.shape
    np.testing.assert_array_equal(image.voxels[[0, 1, 3, 4]], stored[[0, 1, 3, 4]])
    np.testing.assert_allclose(image.voxels[2], (stored[1] + stored[3]) / 2, atol=0.5)  # halfway, rounded
    np.testing.assert_array_equal(mask.voxels, tools.inside(ct.grid, BOX))


# Of a man of 70 kg and 1.75 m. Janmahasatian 2005: BMI 22.857, 9270 x 70 / (6680 + 216 x 22.857) = 55.8571 kg.
# Du Bois 1916: 0.007184 x 70^0.425 x 175^0.725 = 1.8481 m2.
@pytest.mark.parametrize(("kind", "size"), [("lbm", 55857.1), ("bsa", 18481.0)])
def test_suv_by_lean_body_mass_and_body_surface(
    kind: str, size: float, hospital: Any, tools: Any, command: Any, tmp_path: Path
) -> None:
    pet = hospital.scan("P1", "PET", PatientSize="1.75", PatientSex="M")
    hospital.rtstruct(pet, {"GTV": BOX})
    out = tmp_path / "cohort"
    command(hospital.folder, out, "--suv", kind)
    image = read_image(out / only_row(tools, out)["image_path"])
    np.testing.assert_allclose(image.voxels, pet.voxels * 10.0 * size / 350e6, rtol=1e-4)  # Bq/ml over Bq times g, or cm2


def test_a_sheet_with_the_hospitals_ids_joins_pseudonymous_images(
    hospital: Any, tools: Any, command: Any, tmp_path: Path
) -> None:
    for patient in ("R-A", "R-B"):
        hospital.rtstruct(hospital.scan(patient), {"GTV": BOX})
    (tmp_path / "who.csv").write_text("patient_id,pseudonym\n007,R-A\n008,R-B\n")
    (tmp_path / "sheet.csv").write_text("Patient;relapse\n7;ja\n8;nein\n")
    out = tmp_path / "cohort"
    command(
        hospital.folder, out, "--outcomes", tmp_path / "sheet.csv", "--id-column", "Patient", "--pseudonyms", tmp_path / "who.csv"
    )
    assert {row["patient_id"]: row["relapse"] for row in tools.rows_of(out / "manifest.csv")} == {"R-A": "1", "R-B": "0"}
    cells = {
        cell for name in ("manifest", "outcomes_report") for row in tools.rows_of(out / f"{name}.csv") for cell in row.values()
    }
    assert "R-A" in cells and not cells & {"7", "007", "8", "008"}  # beside its pseudonym, an id would undo it


def test_the_manifest_keeps_frames_of_reference_and_doctor_compares_them(
    hospital: Any, tools: Any, command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = hospital.scan("P1")
    hospital.rtstruct(own, {"GTV": BOX})
    odd = hospital.scan("P2")
    path = hospital.rtstruct(odd, {"GTV": BOX})
    moved, pet = hospital.scan("P3", "CT", 1), hospital.scan("P3", "PET", 2, frame="G")
    hospital.rtstruct(moved, {"GTV": BOX})
    hospital.registration("P3", moved.frame, pet.frame, (0.0, 0.0, 0.0))
    # A structure set whose contours name the slices of P2, and which has a frame of reference of its own all the same.
    other = hospital.uid("a frame of its own")
    ds = pydicom.dcmread(path)
    for item in ds.StructureSetROISequence:
        item.ReferencedFrameOfReferenceUID = other
    for item in ds.ReferencedFrameOfReferenceSequence:
        item.FrameOfReferenceUID = other
    ds.save_as(path)
    out = tmp_path / "cohort"
    command(hospital.folder, out)
    rows = {row["case_id"]: row for row in tools.rows_of(out / "manifest.csv")}
    frames = {case: (row["image_frame_of_reference_uid"], row["mask_frame_of_reference_uid"]) for case, row in rows.items()}
    assert frames == {
        "P1_CT_GTV": (own.frame, own.frame), "P2_CT_GTV": (odd.frame, other), "P3_CT_GTV": (moved.frame, moved.frame),
        "P3_PET_GTV": (pet.frame, pet.frame),  # a registration brought the contours there
    }  # fmt: skip
    monkeypatch.setattr(doctor, "HERE", 100)  # within this process
    report = examine(out, tmp_path / "store")
    (found,) = [item for item in report.findings if item.check == "frame-of-reference"]
    assert found.case_id == "P2_CT_GTV" and odd.frame in found.what and other in found.what
    same = {row["case_id"]: row["same"] for row in report.geometry if row["attribute"] == "frame of reference"}
    assert same == {case: case != "P2_CT_GTV" for case in rows}


def test_a_series_is_picked_by_its_uid(hospital: Any, tools: Any, command: Any, tmp_path: Path) -> None:
    for number in (1, 2):
        hospital.rtstruct(hospital.scan("P1", number=number), {"GTV": BOX})
    wanted = hospital.scan("P1", number=3)
    hospital.rtstruct(wanted, {"GTV": BOX})
    out = tmp_path / "cohort"
    command(hospital.folder, out, "--series-uid", wanted.uid)
    row = only_row(tools, out)
    np.testing.assert_array_equal(read_image(out / row["image_path"]).voxels, wanted.voxels.astype(int) - 1024)
    why = [
        item["why"] for item in tools.rows_of(out / "ingest.csv") if item["item"] == "image series" and item["status"] == "left"
    ]
    assert why == ["left out by --series-uid"] * 2


@pytest.mark.parametrize("kind", ["image", "mask"])
def test_a_nifti_whose_orientations_disagree_is_refused(
    kind: str, hospital: Any, tools: Any, command: Any, tmp_path: Path
) -> None:
    """The cohort's copy would have one of the two, and doctor could not see any more that there was another."""
    hospital.nifti("good", {1: BOX})
    hospital.nifti("odd", {1: BOX})
    path = hospital.folder / "volumes" / f"odd_CT_{kind}.nii.gz"
    raw = bytearray(gzip.decompress(path.read_bytes()))
    # A qform beside the sform: no rotation of x and y but the half turn of LPS, at the same place but 30 mm along z.
    placed = [struct.unpack_from("<f", raw, at)[0] for at in (292, 308, 324)]
    struct.pack_into("<h", raw, 252, 1)
    struct.pack_into("<f", raw, 76, 1.0)
    struct.pack_into("<ffffff", raw, 256, 0.0, 0.0, 1.0, placed[0], placed[1], placed[2] + 30.0)
    path.write_bytes(gzip.compress(bytes(raw)))
    out = tmp_path / "cohort"
    command(hospital.folder, out, check=3)
    assert [row["case_id"] for row in tools.rows_of(out / "manifest.csv")] == ["good_CT_label_1"]
    (failure,) = tools.rows_of(out / "failures.csv")
    assert failure["file"] == f"volumes/odd_CT_{kind}.nii.gz"
    assert "(sform, qform) put the farthest corner 30 mm (12 voxels) apart" in failure["problem"]


def test_files_whose_modality_nobody_says_are_named(hospital: Any, tools: Any, command: Any, tmp_path: Path) -> None:
    folder = hospital.folder / "volumes"
    for name in "ab":
        hospital.nifti(name, {1: BOX})
        for kind in ("image", "mask"):
            (folder / f"{name}_CT_{kind}.nii.gz").rename(folder / f"{name}_{kind}.nii.gz")
    done = command(hospital.folder, tmp_path / "cohort", check=3)
    assert "neither its name nor its folder says whether it is CT, PET or MR. Say --modality" in done.stderr
    assert "2 could not be used" in done.stderr and "0 cases" in done.stdout and "next:" not in done.stdout
    command(hospital.folder, tmp_path / "cohort", "-m", "MR", "--redo")
    assert {row["modality"] for row in tools.rows_of(tmp_path / "cohort" / "manifest.csv")} == {"MR"}
