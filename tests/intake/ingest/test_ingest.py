"""radpipe ingest on exports whose right answer is known by hand."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radpipe.core.tables import SCHEMAS
from radpipe.io.tables import read_table
from radpipe.io.volumes import read_image, read_mask

GTV, NODE = (1, 4, 2, 6, 3, 8), (2, 3, 7, 9, 1, 4)
EVIL = "../../x"


class Case:
    """An ingested export: what was written, what came out."""

    def __init__(self, out: Path, tools: Any) -> None:
        self.out = out
        self.manifest = {row["case_id"]: row for row in tools.rows_of(out / "manifest.csv")}
        self.items = tools.rows_of(out / "ingest.csv")
        self.files = {row["file"]: row for row in tools.rows_of(out / "ingest_files.csv")}
        self.regions = tools.rows_of(out / "ingest_regions.csv")
        self.failures = tools.rows_of(out / "failures.csv") if (out / "failures.csv").exists() else []

    def mask(self, case_id: str) -> np.ndarray:
        return read_mask(self.out / self.manifest[case_id]["mask_path"]).voxels

    def image(self, case_id: str) -> Any:
        return read_image(self.out / self.manifest[case_id]["image_path"])


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, tools: Any, command: Any) -> Any:
    """Everything that may come in an export, ingested once."""
    folder = tmp_path_factory.mktemp("mixed")
    made = tools.Hospital(folder / "export")
    scans = {}
    ct = scans["P1 CT"] = made.scan("P1", "CT", 2)
    # On the same voxels in the patient, so that the transferred mask is known; the MR lies 4 mm, 6 mm and 3 mm off in its frame.
    scans["P1 PET"] = made.scan("P1", "PET", 3)
    scans["P1 MR"] = made.scan("P1", "MR", 4, frame="G", origin=(-6.0, -6.0, 8.0))
    made.rtstruct(ct, {"GTV": GTV, "Node": NODE, "Forgotten": None})
    made.registration("P1", scans["P1 CT"].frame, scans["P1 MR"].frame, (4.0, 6.0, 3.0))
    made.scan("P1", "MR", 5, frame="H", description="no region")
    second = scans["P2 CT"] = made.scan("P2")
    made.rtstruct(second, {"GTV": GTV}, number=7)
    made.rtstruct(second, {"GTV": NODE}, number=8)
    made.seg(second, "Lesion", GTV)
    made.scan("P2 gone", number=3)
    lost = made.scan("P3")
    made.rtstruct(lost, {"GTV": GTV}, name="lonely")
    for path in lost.files:
        path.unlink()
    gap = made.scan("P4", slices=6)
    made.rtstruct(gap, {"GTV": GTV})
    gap.files[4].unlink()
    weightless = made.scan("P5", "PET", PatientWeight=None)
    made.rtstruct(weightless, {"GTV": GTV})
    single = made.scan("P6", slices=1)
    made.rtstruct(single, {"GTV": (0, 1, 2, 6, 3, 8)})
    scans["evil"] = made.scan(EVIL, number=1)
    made.rtstruct(scans["evil"], {EVIL: GTV, "nul": NODE})
    alien = made.scan("P7")
    made.seg(alien, "Lesion", GTV, frame=made.uid("elsewhere"))
    made.nifti("n1", {1: (1, 3, 2, 5, 2, 6), 3: (4, 5, 1, 3, 1, 3)})
    made.nifti("n2", {})
    (made.folder / "text.dcm").write_text("Dear colleague, " * 30)
    (made.folder / "README.txt").write_text("export of 1.1.2020")
    tools.truncated(ct.files[0], made.folder / "cut.dcm")
    shutil.copyfile(ct.files[1], made.folder / "copy.dcm")
    outside = folder / "outside.dcm"
    shutil.copyfile(second.files[0], outside)
    os.symlink(outside, made.folder / "link.dcm")
    os.symlink(folder, made.folder / "linked_folder")
    done = command(made.folder, folder / "cohort", check=3)
    case = Case(folder / "cohort", tools)
    case.export, case.scans, case.done = made.folder, scans, done  # type: ignore[attr-defined]
    return case


def test_every_good_region_is_a_case(mixed: Any) -> None:
    assert sorted(mixed.manifest) == [
        "P1_CT_GTV", "P1_CT_Node", "P1_MR_GTV", "P1_MR_Node", "P1_PET_GTV", "P1_PET_Node",
        "P2_CT_GTV-1", "P2_CT_GTV-2", "P2_CT_Lesion", "n1_CT_label_1", "n1_CT_label_3", "x_CT_nul", "x_CT_x",
    ]  # fmt: skip
    row = mixed.manifest["P1_PET_GTV"]
    assert row == {
        "case_id": "P1_PET_GTV", "patient_id": "P1", "modality": "PET", "roi": "GTV", "image_path": "images/P1_PET.nii.gz",
        "mask_path": "masks/P1_PET_GTV.nii.gz", "label": "1",
        "image_frame_of_reference_uid": mixed.scans["P1 PET"].frame, "mask_frame_of_reference_uid": mixed.scans["P1 PET"].frame,
    }  # fmt: skip
    assert mixed.manifest["n1_CT_label_1"]["image_frame_of_reference_uid"] == ""
    assert mixed.manifest["x_CT_x"]["patient_id"] == EVIL and mixed.manifest["x_CT_x"]["roi"] == EVIL


def test_masks_are_the_boxes_that_were_drawn(mixed: Any, tools: Any) -> None:
    ct = mixed.scans["P1 CT"].grid
    for case_id, box in {
        "P1_CT_GTV": GTV, "P1_CT_Node": NODE, "P1_PET_GTV": GTV, "P1_MR_GTV": GTV, "P1_MR_Node": NODE, "P2_CT_GTV-1": GTV,
        "P2_CT_GTV-2": NODE, "P2_CT_Lesion": GTV, "x_CT_x": GTV, "x_CT_nul": NODE,
    }.items():  # fmt: skip
        np.testing.assert_array_equal(mixed.mask(case_id), tools.inside(ct, box), err_msg=case_id)
    assert int(mixed.mask("n1_CT_label_1").sum()) == 2 * 3 * 4 and int(mixed.mask("n1_CT_label_3").sum()) == 4


def test_images_are_what_the_scanner_made(mixed: Any, tools: Any) -> None:
    ct, pet, mr = (mixed.image(f"P1_{name}_GTV") for name in ("CT", "PET", "MR"))
    np.testing.assert_array_equal(ct.voxels, mixed.scans["P1 CT"].voxels.astype(int) - 1024)
    suv = mixed.scans["P1 PET"].voxels * 10 * tools.WEIGHT_KG * 1000 / tools.DOSE_BQ
    np.testing.assert_allclose(pet.voxels, suv, rtol=1e-6)
    np.testing.assert_array_equal(mr.voxels, mixed.scans["P1 MR"].voxels)
    assert mr.grid.origin_mm == (-6.0, -6.0, 8.0) and ct.grid == mixed.scans["P1 CT"].grid


def test_every_file_is_accounted_for(mixed: Any) -> None:
    there = {
        path.relative_to(mixed.export).as_posix()
        for path in mixed.export.rglob("*")
        if path.is_file() or path.is_symlink()
    }  # fmt: skip
    assert set(mixed.files) == there
    counts = [(int(row["files"]), int(row["files_used"]), int(row["files_left"])) for row in mixed.items]
    assert all(a == b + c for a, b, c in counts)
    assert sum(a for a, _, _ in counts) == len(there)
    assert sum(b for _, b, _ in counts) == sum(row["status"] == "used" for row in mixed.files.values())
    assert all(row["why"] for row in mixed.items if row["status"] == "left")
    assert {row["case_id"] for row in mixed.regions if row["status"] == "used"} == set(mixed.manifest)


def test_rules_and_pictures_of_transferred_regions(mixed: Any) -> None:
    rules = {row["case_id"]: row for row in mixed.regions}
    assert rules["P1_CT_GTV"]["rule"] == "refers to this series" and rules["P1_CT_GTV"]["overlay"] == ""
    assert rules["P1_PET_GTV"]["rule"] == "transferred: drawn on the CT series 2, in the same frame of reference"
    assert rules["P1_MR_GTV"]["rule"] == "transferred: drawn on the CT series 2, linked by a spatial registration object"
    transferred = {row["overlay"] for row in mixed.regions if row["transferred"] == "yes" and row["status"] == "used"}
    assert transferred == {f"overlays/P1_{m}_{roi}.png" for m in ("PET", "MR") for roi in ("GTV", "Node")}
    assert {path.name for path in (mixed.out / "overlays").iterdir()} == {Path(name).name for name in transferred}
    assert all((mixed.out / name).read_bytes().startswith(b"\x89PNG") for name in transferred)
    assert rules["n1_CT_label_1"]["rule"] == "paired by name with n1_CT_mask.nii.gz"
    assert rules["P1_CT_GTV"]["volume_ml"] == str(3 * 4 * 5 * 12 / 1000)


@pytest.mark.parametrize(
    ("case_id", "words"),
    [
        ("P1_CT_Forgotten", "has no contours"),
        ("P3_RTSTRUCT_9", "the series it refers to is not in the export"),
        ("P4_CT_GTV", "1 slice is missing"),
        ("P5_PET_GTV", "PatientWeight"),
        ("P6_CT_GTV", "one slice"),
        ("P7_SEG_20", "another frame of reference"),
        ("n2_CT", "the mask is empty"),
    ],
)
def test_what_cannot_be_used_is_named_with_case_file_and_way_out(mixed: Any, case_id: str, words: str) -> None:
    (row,) = [row for row in mixed.failures if row["case_id"] == case_id]
    assert words in row["problem"] and row["hint"] and row["file"]
    assert (mixed.export / row["file"]).exists()


def test_damaged_files_are_faults_and_junk_is_not(mixed: Any) -> None:
    about = {row["file"]: row["problem"] for row in mixed.failures if not row["case_id"]}
    assert set(about) == {"text.dcm", "cut.dcm", "link.dcm", "linked_folder"}
    assert "cut off" in about["cut.dcm"] and "link out of the folder" in about["link.dcm"]
    assert mixed.files["README.txt"]["status"] == "left" and mixed.files["copy.dcm"]["why"].startswith("it is a copy of ")
    assert len(mixed.failures) == 4 + 7


def test_nothing_leaves_the_folder_and_nothing_tells_who_it_was(mixed: Any, tools: Any) -> None:
    assert sorted(path.name for path in mixed.out.parent.iterdir()) == ["cohort", "export", "outside.dcm"]
    made = tools.content(mixed.out)
    text = (
        b"\n".join(data for name, data in made.items() if name.endswith(".csv")).decode() + mixed.done.stdout + mixed.done.stderr
    )
    for secret in ("Secret", "Hidden", "ACC77", "19500203", "20200101", str(mixed.export.parent.parent)):
        assert secret not in text.replace(str(mixed.out), "COHORT")
    said = mixed.done.stdout
    assert "2 cases have regions of one name on one image" in said and "NAME-1" in said
    assert said.rstrip().endswith(f"next: radpipe doctor {mixed.out}    then: radpipe init {mixed.out}")


@pytest.mark.slow
def test_no_place_of_a_file_matters(mixed: Any, tools: Any, command: Any, tmp_path: Path) -> None:
    moved = tools.scattered(mixed.export, tmp_path / "export", seed=20261121)
    command(tmp_path / "export", tmp_path / "cohort", check=3)
    ours, theirs = tools.content(mixed.out), tools.content(tmp_path / "cohort")
    tables = {"ingest.csv", "ingest_files.csv", "ingest_regions.csv", "failures.csv"}
    assert {name: data for name, data in theirs.items() if name not in tables} == {
        name: data for name, data in ours.items() if name not in tables
    }

    def sorted_rows(case: Any, place: Any) -> list[Any]:
        return sorted((row["case_id"], row["status"], row["rule"], row["why"], place(row["file"])) for row in case.regions)

    again = Case(tmp_path / "cohort", tools)
    assert sorted_rows(again, lambda file: moved[file]) == sorted_rows(mixed, lambda file: file)
    copies = {"P1/s1/001.dcm", "copy.dcm"}  # either is a copy of the other
    for file, row in again.files.items():
        if moved[file] not in copies:
            assert row["status"] == mixed.files[moved[file]]["status"], file
    assert len(again.failures) == len(mixed.failures)


def test_the_same_command_again_computes_nothing_and_changes_nothing(
    mixed: Any, tools: Any, command: Any, tmp_path: Path
) -> None:
    shutil.copytree(mixed.out, tmp_path / "cohort", symlinks=True)
    before = tools.content(tmp_path / "cohort")
    results = set((tmp_path / "cohort" / "ingest.radpipe").rglob("row.json"))
    assert results
    command(mixed.export, tmp_path / "cohort", check=3)
    assert tools.content(tmp_path / "cohort") == before
    assert set((tmp_path / "cohort" / "ingest.radpipe").rglob("row.json")) == results


# choosing, and names


def test_filters_pick_series_and_still_transfer_from_those_left_out(
    hospital: Any, tools: Any, command: Any, tmp_path: Path
) -> None:
    ct = hospital.scan("P1", "CT", 1, description="Planning")
    hospital.scan("P1", "PET", 2, description="WB corrected")
    hospital.scan("P1", "PET", 3, description="WB uncorrected")
    hospital.rtstruct(ct, {"GTV": GTV})
    out = tmp_path / "cohort"
    said = command(hospital.folder, out, "-m", "PET", "--series-description", "*B corr*").stdout
    case = Case(out, tools)
    assert list(case.manifest) == ["P1_PET_GTV"]
    why = {row["series_description"]: row["why"] for row in case.items}
    assert why["Planning"] == "left out by --modality" and why["WB uncorrected"] == "left out by --series-description"
    assert "1 case has a transferred region" in said
    # other settings: refused, or made anew on purpose; what does not belong any more is gone
    refused = command(hospital.folder, out, check=2)
    assert "made with other settings: --modality (PET then, all now)" in refused.stderr and "--redo" in refused.stderr
    assert list(Case(out, tools).manifest) == ["P1_PET_GTV"]
    command(hospital.folder, out, "--redo", "--transfer", "none")
    assert list(Case(out, tools).manifest) == ["P1_CT_GTV"]
    assert {path.name for path in out.rglob("*.nii.gz") if "ingest.radpipe" not in path.parts} == {
        "P1_CT.nii.gz",
        "P1_CT_GTV.nii.gz",
    }
    assert not (out / "overlays").exists()
    # an edited manifest is not overwritten without a word
    (out / "manifest.csv").write_text((out / "manifest.csv").read_text().replace("label", "label,outcome"))
    refused = command(hospital.folder, out, "--transfer", "none", check=2)
    assert "this manifest was edited" in refused.stderr


def test_the_census_the_alias_file_and_its_use(hospital: Any, tools: Any, command: Any, tmp_path: Path) -> None:
    for patient, names in (("P1", ["GTVp", "Lung_L"]), ("P2", ["GTV_T", "GTV70"]), ("P3", ["GTVp"])):
        scan = hospital.scan(patient)
        hospital.rtstruct(scan, dict(zip(names, (GTV, NODE), strict=False)))
        hospital.scan(patient, "PET", 2)
    out = tmp_path / "cohort"
    said = command(hospital.folder, out, "--list-rois").stdout
    lines = [line.split() for line in said.splitlines()]
    assert ["GTVp", "2", "2", "0.72", "(0.72", "to", "0.72)"] in lines  # 60 voxels of 12 mm3, two patients; PET not counted
    assert ["GTV70", "1", "1", "0.072", "(0.072", "to", "0.072)"] in lines
    assert not (out / "manifest.csv").exists()
    aliases = out / "roi_map.yaml"
    assert '# "GTVp":' in aliases.read_text()
    refused = command(hospital.folder, out, "--roi-map", aliases, check=2)
    assert "says nothing" in refused.stderr
    aliases.write_text("primary: [GTVp, 'GTV_*', GTV70]\n")
    said = command(hospital.folder, out, "--list-rois").stdout
    assert "left as it is" in said and aliases.read_text().startswith("primary")
    done = command(hospital.folder, out, "--roi-map", aliases, check=3)
    case = Case(out, tools)
    assert sorted(case.manifest) == ["P1_CT_primary", "P1_PET_primary", "P3_CT_primary", "P3_PET_primary"]
    assert "not in the region map, and left: Lung_L" in done.stdout
    assert [row["case_id"] for row in case.failures] == ["P2_CT_primary", "P2_PET_primary"]
    assert "'GTV_T', 'GTV70'" in case.failures[0]["problem"] and "--merge-rois" in case.failures[0]["hint"]
    command(hospital.folder, out, "--roi-map", aliases, "--merge-rois", "--redo")
    case = Case(out, tools)
    grid = read_image(out / case.manifest["P2_CT_primary"]["image_path"]).grid
    np.testing.assert_array_equal(case.mask("P2_CT_primary"), tools.inside(grid, GTV) | tools.inside(grid, NODE))
    assert {row["case_id"]: row["rule"] for row in case.regions}["P2_CT_primary"].startswith("2 regions merged")


def test_outcomes_are_joined(hospital: Any, tools: Any, command: Any, tmp_path: Path) -> None:
    for patient in ("007", "008"):
        hospital.rtstruct(hospital.scan(patient), {"GTV": GTV})
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("Patient;relapse;age\n7;ja;61,5\n8;nein;55,0\n9;ja;70,0\n")
    out = tmp_path / "cohort"
    done = command(hospital.folder, out, "--outcomes", sheet, "--id-column", "Patient")
    rows = Case(out, tools).manifest
    assert [(rows[case]["relapse"], float(rows[case]["age"])) for case in ("007_CT_GTV", "008_CT_GTV")] == [
        ("1", 61.5),
        ("0", 55.0),
    ]
    report = {row["sheet_id"]: row["status"] for row in tools.rows_of(out / "outcomes_report.csv")}
    assert report == {"7": "matched", "8": "matched", "9": "unmatched"}
    assert "2 patients matched" in done.stdout
    refused = command(hospital.folder, out, "--outcomes", sheet, check=2)
    assert "--id-column" in refused.stderr


def test_folders_that_would_mix_input_and_output_are_refused(hospital: Any, command: Any, tmp_path: Path) -> None:
    hospital.rtstruct(hospital.scan("P1"), {"GTV": GTV})
    (tmp_path / "link").symlink_to(hospital.folder, target_is_directory=True)
    for folder, out, words in (
        (hospital.folder, hospital.folder / "cohort", "in the export itself"),
        (hospital.folder, tmp_path / "link" / "cohort", "in the export itself"),
        (hospital.folder, hospital.folder, "in the export itself"),
        (hospital.folder / "P1", hospital.folder, "lies in the folder of the cohort"),
    ):
        assert words in command(folder, out, check=2).stderr
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    assert "holds other files ('thesis.txt')" in command(hospital.folder, foreign, check=2).stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "the folder is empty" in command(empty, tmp_path / "cohort", check=2).stderr


def test_an_export_without_any_region_is_a_manifest_without_rows(hospital: Any, tools: Any, command: Any, tmp_path: Path) -> None:
    hospital.scan("P1")
    said = command(hospital.folder, tmp_path / "cohort").stdout
    case = Case(tmp_path / "cohort", tools)
    assert not case.manifest and case.items[0]["why"] == "no region refers to it"
    assert "5 files: no region refers to it" in said and "next:" not in said


def test_de_identified_exports_are_not_told_off(hospital: Any, command: Any, tools: Any, tmp_path: Path) -> None:
    scan = hospital.scan("P1")
    hospital.removed = "NO"
    path = hospital.rtstruct(scan, {"GTV": GTV})
    said = command(hospital.folder, tmp_path / "a").stdout
    # A contouring program that does not say it: the patient is that of files that do, so the id is none that was to be removed.
    assert "1 of 6 DICOM files" in said and "radpipe deidentify" in said and "ids are kept" in said
    assert [row["patient_id"] for row in tools.rows_of(tmp_path / "a" / "manifest.csv")] == ["P1"]
    import pydicom

    ds = pydicom.dcmread(path)
    ds.PatientIdentityRemoved = "YES"
    ds.save_as(path)
    assert "de-identified" not in command(hospital.folder, tmp_path / "b").stdout


def test_what_is_remembered_names_nobody(mixed: Any) -> None:
    remembered = json.loads((mixed.out / "ingest.radpipe" / "made_with.json").read_text())
    assert re.fullmatch(r"[0-9a-f]{12}", remembered["FOLDER"])
    assert not list((mixed.out / "ingest.radpipe").glob("tmp/*"))


@pytest.mark.parametrize("name", ["ingest", "ingest_regions", "ingest_files", "ingest_failures"])
def test_its_tables_are_as_their_schemas_say(mixed: Any, name: str) -> None:
    file = "failures" if name == "ingest_failures" else name
    assert len(read_table(mixed.out / f"{file}.csv", SCHEMAS[name]))


def test_a_segmentation_on_a_coarser_pet_and_a_region_beyond_it(hospital: Any, tools: Any, command: Any, tmp_path: Path) -> None:
    ct = hospital.scan("P1", "CT", 1, slices=8)
    # Voxels of 6 x 3.5 x 3.5 mm from 7 mm off: no centre lies on the border of the box. It ends before the CT's last slices.
    pet = hospital.scan("P1", "PET", 2, slices=2, spacing=(6.0, 3.5, 3.5), origin=(-8.6, -10.7, 7.0))
    hospital.seg(ct, "Lesion", GTV)
    hospital.rtstruct(ct, {"Beyond": (7, 8, 2, 6, 3, 8)})
    out = tmp_path / "cohort"
    command(hospital.folder, out)
    case = Case(out, tools)
    assert sorted(case.manifest) == ["P1_CT_Beyond", "P1_CT_Lesion", "P1_PET_Lesion"]
    z0, z1, y0, y1, x0, x1 = GTV
    corners = ct.grid.world_mm(np.array([[z0 - 0.5, y0 - 0.5, x0 - 0.5], [z1 - 0.5, y1 - 0.5, x1 - 0.5]]))
    centres = pet.grid.world_mm(np.moveaxis(np.indices(pet.grid.shape), 0, -1))
    expected = ((centres > corners[0]) & (centres < corners[1])).all(axis=-1)
    assert 3 < expected.sum() < expected.size
    np.testing.assert_array_equal(case.mask("P1_PET_Lesion"), expected)
    rows = {(row["modality"], row["name"]): row for row in case.regions}
    assert "nearest neighbour" in rows["PET", "Lesion"]["notes"]
    assert rows["PET", "Beyond"]["status"] == "left" and "outside" in rows["PET", "Beyond"]["why"]


def test_registrations_that_disagree_carry_nothing(hospital: Any, tools: Any, command: Any, tmp_path: Path) -> None:
    ct, pet = hospital.scan("P1", "CT", 1), hospital.scan("P1", "PET", 2, frame="G")
    hospital.rtstruct(ct, {"GTV": GTV})
    for shift in ((1.0, 0.0, 0.0), (5.0, 0.0, 0.0)):
        hospital.registration("P1", ct.frame, pet.frame, shift)
    out = tmp_path / "cohort"
    command(hospital.folder, out, check=3)
    case = Case(out, tools)
    assert list(case.manifest) == ["P1_CT_GTV"]
    (failure,) = case.failures
    assert failure["item"] == "registration" and "disagree, by up to 4 mm" in failure["problem"]
    (why,) = [row["why"] for row in case.items if row["modality"] == "PET"]
    assert why == "no region refers to it, and none lies in its frame of reference"


def test_pydicoms_own_files_cause_no_crash(tools: Any, command: Any, tmp_path: Path) -> None:
    import pydicom.data

    export, out = tmp_path / "export", tmp_path / "cohort"
    shutil.copytree(Path(pydicom.data.__file__).parent / "test_files", export)
    os.mkfifo(export / "pipe.dcm")
    (export / os.fsdecode(b"na\xefve.dcm")).touch()
    command(export, out, "--keep-ids", check=3)
    case = Case(out, tools)
    assert not case.manifest
    assert len(case.files) == sum(not path.is_dir() for path in export.rglob("*"))
    about = {row["file"]: row["problem"] for row in case.failures}
    assert "cut off" in about["MR_truncated.dcm"] and "not in the export" in about["rtstruct.dcm"]
    assert not [row for row in case.failures if row["error"] in ("unexpected", "crash", "memory", "timeout")]
