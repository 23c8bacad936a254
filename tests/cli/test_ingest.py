"""radpipe ingest from a terminal, and what comes after it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from radpipe.config import load_workflow
from radpipe.stages.cases import read_cases

INGEST = ("--scheduler", "processes", "-w", 1)


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "sheet.csv"
    path.write_text("id,relapse,age\na,1,50\nb,0,60\nc,1,70\nd,0,80\n")
    return path


def test_a_cohort_and_its_workflow_in_two_commands(lesions, sheet: Path, radpipe, inside, tmp_path: Path) -> None:
    out = tmp_path / "cohort"
    done = radpipe(
        "ingest", lesions.folder, "--out", out, "-m", "CT", "--outcomes", sheet, "--id-column", "id", *INGEST
    )  # fmt: skip
    assert "8 files in the export" in done.stderr and "8 cases of 4 patients: 8 CT" in done.stdout
    with open(out / "manifest.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case_id"], row["relapse"]) for row in rows][:3] == [
        ("a_CT_label_1", "1"), ("a_CT_label_2", "1"), ("b_CT_label_1", "0"),
    ]  # fmt: skip
    assert "image_frame_of_reference_uid" not in rows[0]  # NIfTI keeps none
    assert all((out / row[name]).is_file() for row in rows for name in ("image_path", "mask_path"))
    # what extract and run take
    assert not read_cases(out / "manifest.csv").problems
    status, said, _ = inside("init", out, "--outcome", "relapse", "--out", tmp_path / "study", cwd=tmp_path)
    assert status == 0 and "8 cases (8 CT)" in said
    workflow = load_workflow(tmp_path / "study" / "workflow.yaml")
    assert workflow.cohort.outcome == "relapse" and workflow.cohort.clinical == ()
    text = (tmp_path / "study" / "workflow.yaml").read_text()
    assert '# "age"' in text and 'manifest: "../cohort/manifest.csv"' in text
    assert not (tmp_path / "study" / "manifest.csv").exists()
    status, _, said = inside("init", out, "--out", tmp_path / "other", cwd=tmp_path)
    assert status == 2 and "there is no column 'outcome'" in said and "relapse, age" in said
    status, _, said = inside("init", out, "--outcomes", sheet, "--out", tmp_path / "other", cwd=tmp_path)
    assert status == 2 and "radpipe ingest" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--merge-rois",), "--merge-rois is of a region map"),
        (("--id-column", "id"), "--outcomes and --id-column go together"),
        (("--pseudonyms", "sheet.csv"), "--pseudonyms is of an outcome sheet"),
        (("--roi-map", "sheet.csv"), "sheet.csv: holds no mapping"),
        (("--transfer", "some"), "'some' is not one of"),
        (("--modality", "US"), "'US' is not one of"),
    ],
)
def test_options_that_make_no_sense(options: tuple[str, ...], words: str, lesions, sheet: Path, inside, tmp_path: Path) -> None:
    status, _, said = inside("ingest", lesions.folder, "--out", tmp_path / "cohort", *options, cwd=tmp_path)
    assert status == 2 and words in said
    assert not (tmp_path / "cohort").exists()
