"""radpipe parity: a table that PyRadiomics wrote (committed), replayed; and what it says where tables do not belong together."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[1] / "reference"
sys.path.insert(0, str(REFERENCE))
from small_volumes import write_small_volumes  # noqa: E402

LAYOUTS = json.loads((REFERENCE / "compat_layouts.json").read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The old table as it came from PyRadiomics, without the case that failed there; and the cohort it was made from."""
    write_small_volumes(tmp_path)
    (tmp_path / "old.csv").write_text(
        "".join(line for line in LAYOUTS["csv"].splitlines(keepends=True) if not line.startswith("three"))
    )
    (tmp_path / "cohort.csv").write_text("".join(LAYOUTS["batch"].splitlines(keepends=True)[:3]))
    return tmp_path


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_pyradiomics_own_table_is_the_same(folder: Path, radpipe_here) -> None:
    """Settings, image types and features are taken from the table itself."""
    done = radpipe_here("parity", "old.csv", "cohort.csv", "-o", "out.csv", "-w", 1, cwd=folder)
    entries = rows_of(folder / "out.csv")
    features = [name for name in rows_of(folder / "old.csv")[0] if name.startswith(("original_", "wavelet-"))]
    assert [entry["feature"] for entry in entries if entry["case_id"] == "two"] == features
    assert {entry["verdict"] for entry in entries} == {
        "same"
    } and f"{len(entries)} of {len(entries)} values are the same" in done.stdout
    assert max(abs(float(entry["difference"])) for entry in entries) > 0  # they are compared, not copied


def test_what_differs_is_named(folder: Path, radpipe_here) -> None:
    """A changed value, a feature radpipe no longer computes, an edited mask; ids as the only thing in common."""

    def change(row: dict[str, str]) -> None:
        row["Image"] = "C:\\elsewhere\\" + row["ID"] + ".nrrd"
        row["original_glcm_Contrast"] = str(float(row["original_glcm_Contrast"]) * 1.001)
        row["original_glcm_Dissimilarity"] = "1.0"
        row["diagnostics_Mask-original_Hash"] = "0" * 40

    rows = rows_of(folder / "old.csv")
    for row in rows:
        change(row)
    write(folder / "old.csv", rows)
    done = radpipe_here("parity", "old.csv", "cohort.csv", "-o", "out.csv", "-w", 1, check=1, cwd=folder)
    assert "original_glcm_Contrast" in done.stdout and "0.000999" in done.stdout
    assert "case one: the mask is not the one of the old table" in done.stdout
    assert "no longer computed: original_glcm_Dissimilarity" in done.stdout
    verdicts = {(entry["case_id"], entry["feature"]): entry["verdict"] for entry in rows_of(folder / "out.csv")}
    assert verdicts["one", "original_glcm_Contrast"] == "differs" and verdicts["two", "original_glcm_JointEnergy"] == "same"
    assert verdicts["two", "diagnostics_Mask-original_Hash"] == "input differs"


def test_other_settings_and_cases_without_a_partner(folder: Path, radpipe_here) -> None:
    (folder / "other.yaml").write_text("setting: {binWidth: 9}\nfeatureClass: {glcm: [Contrast], firstorder: [Mean]}\n")
    (folder / "cohort.csv").write_text("ID,Image,Mask,Label\none,image.nrrd,mask.nrrd,1\nfour,image.nrrd,layers.nrrd,1\n")
    done = radpipe_here("parity", "old.csv", "cohort.csv", "-p", "other.yaml", "-q", "-w", 1, check=3, cwd=folder)
    assert (
        "case four (row 3) has no row in the old table (four)" in done.stderr and "the old row two is of no case" in done.stderr
    )
    assert "original_glcm_Contrast" in done.stdout and "are in the old table only" in done.stdout


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ("ID,Image,Mask\none,image.nrrd,mask.nrrd\n", "has no column named <imageType>_<class>_<Feature>"),
        ("ID,Image,Mask,original_firstorder_Mean\none,image.nrrd,mask.nrrd,1\n", "does not tell its settings"),
        ("ID,Image,Mask,original_firstorder_Mean,diagnostics_Configuration_Settings,diagnostics_Configuration_EnabledImageTypes\n"
         "one,image.nrrd,mask.nrrd,1,{'binWidth': 5},{'Original': {}}\ntwo,image.nrrd,mask.nrrd,1,{'binWidth': 6},{'Original': {}}\n",
         "binWidth is 5 and 6"),
        ("ID,Image,Mask,original_firstorder_Mean,diagnostics_Configuration_Settings,diagnostics_Configuration_EnabledImageTypes\n"
         "nobody,image.nrrd,mask.nrrd,1,{'binWidth': 5},{'Original': {}}\n", "no case is in both tables"),
        ("ID,Image,Mask,original_firstorder_Mean,diagnostics_Configuration_Settings,diagnostics_Configuration_EnabledImageTypes\n"
         "one,image.nrrd,mask.nrrd,1,__import__('os').system('true'),{'Original': {}}\n", "cannot be read"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_replayed(folder: Path, inside, old: str, words: str) -> None:
    (folder / "old.csv").write_text(old)
    status, _, err = inside("parity", "old.csv", "cohort.csv", cwd=folder)
    assert status == 2 and words in err


def test_an_old_table_without_diagnostics(folder: Path, radpipe_here) -> None:
    """The names of the files tell which rows belong together where there are no ids."""
    rows = [
        {name: cell for name, cell in row.items() if not name.startswith("diagnostics_") and name not in ("ID", "Site")}
        for row in rows_of(folder / "old.csv")
    ]
    write(folder / "old.csv", rows[::-1])
    done = radpipe_here("parity", "old.csv", "cohort.csv", "-p", "Params.yaml", "-q", "-w", 1, cwd=folder)
    assert "0 differ, 0 are in the old table only, 0 in the new one only" in done.stdout
