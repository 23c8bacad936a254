"""Whose row is whose: ids as hospitals and spreadsheets write them, in real files."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from radpipe.core.tables import SCHEMAS, make_table
from radpipe.errors import CohortError
from radpipe.intake.outcomes import Joined, join_outcomes
from radpipe.io.spreadsheets import read_sheet


def workbook(path: Path, *rows: list[Any]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def cases(*patients: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"case_id": [f"{p}_{k}" for k, p in enumerate(patients)], "patient_id": patients, "modality": "PET"}, dtype="string"
    )


def join(path: Path, patients: list[str], **options: Any) -> Joined:
    joined = join_outcomes(cases(*patients), read_sheet(path, "ID"), "ID", **options)
    assert list(joined.frame["patient_id"]) == patients
    for name, rows in (("outcome_ids", joined.ids), ("outcome_cells", joined.cells)):
        make_table(SCHEMAS[name], rows)  # the report fits its schema
    return joined


def matched(joined: Joined) -> dict[str, tuple[str, str]]:
    return {row["patient_id"]: (row["sheet_id"], row["rule"]) for row in joined.ids if row["status"] == "matched"}


def others(joined: Joined, status: str) -> list[tuple[str, str]]:
    return sorted((row["patient_id"], row["sheet_id"]) for row in joined.ids if row["status"] == status)


def test_a_sheet_joins(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ["ID", "Relapse", "age"], ["P1", "ja", 61.5], ["P2", "nein", None], ["P9", "ja", 50])
    joined = join(path, ["P1", "P1", "P2", "P3"])
    assert joined.columns == ("Relapse", "age")
    assert joined.frame["Relapse"].tolist() == ["1", "1", "0", ""]
    assert joined.frame["age"].tolist() == ["61.5", "61.5", "", ""]
    assert matched(joined) == {"P1": ("P1", "exact"), "P2": ("P2", "exact")}
    assert others(joined, "unmatched") == [("", "P9"), ("P3", "")]
    assert joined.notes[0] == "2 patients matched, 1 patient without a row, 1 row of nobody's"


@pytest.mark.parametrize("ids", [["STS_001", "STS_002"], ["sts001 ", "sts 002"], ["STS-001", "STS.002"], ["STS_1", "sts-2"]])
def test_ids_written_otherwise(tmp_path: Path, ids: list[str]) -> None:
    joined = join(workbook(tmp_path / "a.xlsx", ["ID", "x"], [ids[0], 1], [ids[1], 2]), ["STS_001", "STS_002"])
    assert joined.frame["x"].tolist() == ["1", "2"]
    rule = "exact" if ids[0] == "STS_001" else "leading-zeros" if ids[0] == "STS_1" else "spelling"
    assert matched(joined) == {"STS_001": (ids[0].strip(), rule), "STS_002": (ids[1].strip(), rule)}


def test_zeros_that_excel_dropped_come_back(tmp_path: Path) -> None:
    joined = join(workbook(tmp_path / "a.xlsx", ["ID", "x"], [7, "a"], [12, "b"]), ["007", "012"])
    assert matched(joined) == {"007": ("7", "leading-zeros"), "012": ("12", "leading-zeros")}
    assert "2 by leading-zeros" in joined.notes[0]


def test_7_is_not_taken_where_007_is_there_too(tmp_path: Path) -> None:
    """The row's 7 may be patient 7, or 007 whose zeros Excel dropped."""
    joined = join(workbook(tmp_path / "a.xlsx", ["ID", "x"], [7, "a"], [9, "b"]), ["007", "7", "9"])
    assert matched(joined) == {"9": ("9", "exact")}
    assert others(joined, "ambiguous") == [("007", ""), ("7", "7")]
    assert joined.frame["x"].tolist() == ["", "", "b"]


def test_7_is_taken_where_the_sheet_kept_its_zeros(tmp_path: Path) -> None:
    joined = join(workbook(tmp_path / "a.xlsx", ["ID", "x"], ["7", "a"], ["007", "b"]), ["007", "7"])
    assert matched(joined) == {"7": ("7", "exact"), "007": ("007", "exact")}
    assert joined.frame["x"].tolist() == ["b", "a"]


def test_two_rows_that_may_be_one_patient(tmp_path: Path) -> None:
    joined = join(workbook(tmp_path / "a.xlsx", ["ID", "x"], ["sts001", 1], ["STS-001", 2], ["STS_2", 3]), ["STS_001", "STS_2"])
    assert matched(joined) == {"STS_2": ("STS_2", "exact")}
    assert others(joined, "ambiguous") == [("", "STS-001"), ("", "sts001"), ("STS_001", "")]
    joined = join(workbook(tmp_path / "b.xlsx", ["ID", "x"], ["sts001", 1], ["STS_001", 2]), ["STS_001"])
    assert joined.frame["x"].tolist() == ["2"]
    assert others(joined, "ambiguous") == [("", "sts001")]


def test_digits_do_not_run_together(tmp_path: Path) -> None:
    joined = join(workbook(tmp_path / "a.xlsx", ["ID", "x"], ["12-3", 1]), ["1-23", "123"])
    assert matched(joined) == {}
    assert others(joined, "ambiguous") == []


def test_two_rows_of_one_patient(tmp_path: Path) -> None:
    same = workbook(tmp_path / "a.xlsx", ["ID", "x", "y"], ["a", 1, None], ["a", 1, None], ["b", 2, 3])
    assert matched(join(same, ["a", "b"])) == {"a": ("a", "exact"), "b": ("b", "exact")}
    other = workbook(tmp_path / "b.xlsx", ["ID", "x", "y"], ["a", 1, 5], ["a", 1, 6], ["b", 2, 3], ["b", 4, 4])
    with pytest.raises(
        CohortError, match=r"(?s)a in rows 2 and 3, which differ in 'y'.*b in rows 4 and 5, which differ in 'x' and 'y'"
    ):
        join(other, ["a", "b"])
    # What is not taken may differ.
    assert join(other, ["a", "b"], columns=[]).columns == ()


def test_ids_that_a_spreadsheet_spoilt(tmp_path: Path) -> None:
    spoilt = [datetime.date(2020, 1, 2), "1,2346E+15", None, "#N/A", 1234567890123456789]
    path = workbook(tmp_path / "a.xlsx", ["ID", "x"], *([cell, k] for k, cell in enumerate(spoilt)), ["b", 6])
    joined = join(path, ["a", "b"])
    assert matched(joined) == {"b": ("b", "exact")}
    said = {row["row"]: row["meaning"] for row in joined.ids if not row["patient_id"]}
    assert sorted(said) == [2, 3, 4, 5, 6]
    assert "made a date" in said[2]
    assert "rounded number" in said[3]
    assert "has no id" in said[4]
    assert "#N/A" in said[5]
    assert "more digits" in said[6]


def test_cells_that_could_not_be_taken_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ID;seen;size;grade\na;03/04/2020;3,5;2\nb;05/06/2020;1.234;#NV\nz;07/08/2020;1;1\n", encoding="latin-1")
    joined = join(path, ["a", "b"])
    assert joined.frame["seen"].tolist() == ["", ""]
    assert joined.frame["size"].tolist() == ["3.5", ""]
    assert [(row["row"], row["column"], row["patient_id"]) for row in joined.cells] == [
        (2, "seen", "a"), (3, "seen", "b"), (3, "size", "b"), (3, "grade", "b")
    ]  # fmt: skip
    assert "03/04/2020" not in str(joined.cells)  # the row and column say where; a date is not copied about
    assert join(path, ["a", "b"], day_first=True).frame["seen"].tolist() == ["2020-04-03", "2020-06-05"]


def test_columns_that_name_a_person_are_taken_only_where_they_are_asked_for(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ["ID", "Last name", "Date of birth", "sex"], ["a", "Doe", "01.02.1950", "f"])
    joined = join(path, ["a"])
    assert joined.columns == ("sex",)
    assert any("'Last name' and 'Date of birth'" in note for note in joined.notes)
    assert "Doe" not in str(joined)
    assert join(path, ["a"], columns=["Date of birth"]).frame["Date of birth"].tolist() == ["1950-02-01"]
    with pytest.raises(CohortError, match=r"no column 'sez'. Did you mean 'sex'"):
        join(path, ["a"], columns=["sez"])


def test_a_column_of_the_cases_is_not_overwritten(tmp_path: Path) -> None:
    joined = join(workbook(tmp_path / "a.xlsx", ["ID", "modality"], ["a", "surgery"]), ["a"])
    assert joined.columns == ("outcome_modality",)
    assert joined.frame[["modality", "outcome_modality"]].to_numpy().tolist() == [["PET", "surgery"]]


def test_a_wrong_column_of_ids(tmp_path: Path) -> None:
    sheet = read_sheet(workbook(tmp_path / "a.xlsx", ["ID", "x"], ["a", 1]), "ID")
    with pytest.raises(CohortError, match="no column 'Pat'"):
        join_outcomes(cases("a"), sheet, "Pat")
    with pytest.raises(CohortError, match="holds no id"):
        join_outcomes(cases("a"), read_sheet(workbook(tmp_path / "b.xlsx", ["ID", "x"], [None, 1]), "ID"), "ID")


def test_through_pseudonyms(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ["ID", "x"], [7, "a"], [8, "b"], [9, "c"], [10, "d"])
    joined = join(path, ["R-A", "R-B", "R-X"], pseudonyms={"007": "R-A", "008": "R-B", "009": "R-C"})
    assert joined.frame["x"].tolist() == ["a", "b", ""]
    assert [(row["patient_id"], row["row"], row["status"], row["rule"]) for row in joined.ids] == [
        ("R-A", 2, "matched", "leading-zeros"), ("R-B", 3, "matched", "leading-zeros"), ("", 4, "unmatched", ""),
        ("", 5, "unmatched", ""), ("R-X", -1, "unmatched", ""),
    ]  # fmt: skip
    # Beside its pseudonym the original id would undo the de-identification.
    assert {row["sheet_id"] for row in joined.ids} == {""}
    assert not any("007" in row["meaning"] for row in joined.ids)


def test_a_pseudonym_whose_patient_is_not_here_is_not_lent_to_another(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ["ID", "x"], [7, "a"])
    joined = join(path, ["R-A"], pseudonyms={"007": "R-A", "7": "R-B"})
    assert joined.frame["x"].tolist() == [""]
    assert [(row["patient_id"], row["status"]) for row in joined.ids if row["patient_id"]] == [("R-A", "ambiguous")]
    assert "007" not in str(joined.ids)
