"""The five commands of the README, as they stand there: a hospital's export and an Excel sheet in, a report out."""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest

from radpipe.config import load_workflow
from radpipe.core.tables import SCHEMAS
from radpipe.io.tables import read_table

N = 10
HEADING = "## From a hospital export to a report"


def commands(repository: Path) -> list[list[str]]:
    """Those of the first block of code below the heading, without comments."""
    section = (repository / "README.md").read_text(encoding="utf-8").partition(HEADING)[2]
    block = re.search(r"```bash\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return [words for line in block[1].splitlines() if (words := shlex.split(line, comments=True))]


def one_core() -> None:
    """One worker instead of as many as there are cores: starting them is most of the time that ten patients take."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def call(folder: Path, words: list[str], *allowed: int) -> str:
    assert words[0] == "radpipe"
    done = subprocess.run(
        [sys.executable, "-m", "radpipe", *words[1:]], capture_output=True, text=True, cwd=folder, timeout=1800, preexec_fn=one_core
    )  # fmt: skip
    assert done.returncode in (allowed or (0,)), done.stdout + done.stderr
    return done.stdout


def write_export(folder: Path, hospital: Any) -> None:
    """Ten patients with a CT, a PET of the same frame of reference, and a structure set on the CT; some things of no use beside it."""
    for k in range(1, N + 1):
        patient = f"{k:03d}"
        ct = hospital.scan(patient, "CT", 2, slices=8)
        hospital.scan(patient, "PET", 3, slices=8)
        tall, wide = 4 + k % 2 * 2, 3 + (k - 1) // 2  # no two lesions alike, or the doctor takes them for copies
        hospital.rtstruct(ct, {"GTVp": (2, 6, 2, 2 + tall, 2, 2 + wide)})
    (folder / "readme.txt").write_text("exported")


def write_sheet(path: Path) -> None:
    """As a clinic keeps it: a title, a header of two lines with merged cells, ids without their zeros, words, a name."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Sarcoma patients, state of June"])
    sheet.append(["Patient ID", "Name", "Baseline", None, "Outcome", None])
    sheet.append([None, None, "age", "grade", "relapse", "months"])
    for k in range(1, N + 1):
        sheet.append([k, f"Doe {k}", f"{40 + k},5", 2 + k % 2, "ja" if k % 2 else "nein", 3 * k if k != 4 else "#N/A"])
    for area in ("A2:A3", "B2:B3", "C2:D2", "E2:F2"):
        sheet.merge_cells(area)
    book.save(path)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A folder with export/ and outcomes.xlsx, in which all commands but the last were given."""
    folder = tmp_path_factory.mktemp("desk")
    where = repository / "tests" / "intake" / "ingest" / "conftest.py"
    spec = importlib.util.spec_from_file_location("hospital_of_the_ingest_tests", where)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its data classes look themselves up there
    spec.loader.exec_module(module)
    write_export(folder / "export", module.Hospital(folder / "export"))
    write_sheet(folder / "outcomes.xlsx")
    ingest, doctor, init, dry_run, run = commands(repository)
    assert (ingest[1], doctor[1], init[1], dry_run[1], run[1]) == ("ingest", "doctor", "init", "run", "run")
    assert dry_run == [*run, "--dry-run"]
    said = call(folder, ingest)
    assert "10 patients matched (10 by leading-zeros)" in said
    call(folder, doctor)
    call(folder, init)
    said = call(folder, dry_run)
    assert "10 rows of patients, rule largest" in said
    return folder


def test_the_export_becomes_a_cohort(desk: Path) -> None:
    with open(desk / "cohort" / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * N
    first = {row["modality"]: row for row in rows if row["patient_id"] == "001"}
    assert sorted(first) == ["CT", "PET"]
    assert {row["roi"] for row in rows} == {"GTVp"}
    assert first["CT"]["Baseline age"] == "41.5"
    assert first["CT"]["Outcome relapse"] == "1"
    assert "Doe" not in str(rows)
    (fourth,) = (row for row in rows if row["patient_id"] == "004" and row["modality"] == "CT")
    assert fourth["Outcome months"] == ""


def test_every_table_on_the_way_keeps_to_its_schema(desk: Path) -> None:
    cohort, seen = desk / "cohort", desk / "doctor" / "cohort"
    for name, path in {
        "ingest": cohort / "ingest.csv", "ingest_regions": cohort / "ingest_regions.csv", "ingest_files": cohort / "ingest_files.csv",
        "outcome_ids": cohort / "outcomes_report.csv", "outcome_cells": cohort / "outcomes_cells.csv",
        "doctor_findings": seen / "findings.csv", "doctor_geometry": seen / "geometry.csv", "doctor_regions": seen / "regions.csv",
        "doctor_overlaps": seen / "overlaps.csv", "doctor_discretisation": seen / "discretisation.csv",
    }.items():  # fmt: skip
        table = read_table(path, SCHEMAS[name])  # SchemaError where it does not fit
        assert len(table) or name == "doctor_findings", name
    cells = read_table(cohort / "outcomes_cells.csv", SCHEMAS["outcome_cells"])
    assert list(cells[["row", "column", "problem"]].iloc[0]) == [7, "Outcome months", "the cell is #N/A"]


def test_the_workflow_that_is_written_makes_one_row_a_patient(desk: Path, repository: Path) -> None:
    workflow = load_workflow(next(desk.glob("*/workflow.yaml")))
    assert workflow.cohort.outcome == "Outcome relapse"
    assert workflow.patients is not None
    assert workflow.patients.blocks == ("CT", "PET")
    assert workflow.features_of("PET").parameters.setting.binWidth == 0.25
    assert workflow.features_of("CT").parameters.setting.binWidth == 25


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_and_the_run_ends_with_a_report(desk: Path, repository: Path) -> None:
    *_, run = commands(repository)
    call(desk, run)
    out = desk / run[-1]
    assert (out / "report.html").is_file()
    rows = pd.read_parquet(out / "patient_features.parquet")
    assert list(rows["patient_id"]) == [f"{k:03d}" for k in range(1, N + 1)]
    assert np.isfinite(rows["PET__original_glcm_JointEntropy"]).all()
    tested = pd.read_parquet(out / "predictions.parquet").query("role == 'test'")
    assert tested.groupby("model")["case_id"].nunique().eq(N).all()
