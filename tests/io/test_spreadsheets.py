"""Sheets as people keep them: real workbooks of openpyxl's, real CSV files."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radpipe.core.sheet import Unreadable
from radpipe.errors import CohortError, FileProblem
from radpipe.io.spreadsheets import read_pseudonyms, read_sheet


def workbook(path: Path, *rows: list[Any], merge: tuple[str, ...] = (), **more: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Data"
    for row in rows:
        sheet.append(row)
    for area in merge:
        sheet.merge_cells(area)
    for name, others in more.items():
        extra = book.create_sheet(name)
        for row in others:
            extra.append(row)
    book.save(path)
    return path


def text(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


def test_a_plain_workbook(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ["ID", "Age", "Relapse"], ["007", 61.5, True], ["008", 70, None])
    sheet = read_sheet(path, "ID")
    assert sheet.columns == ("ID", "Age", "Relapse")
    assert sheet.rows == (("007", 61.5, True), ("008", 70, None))
    assert sheet.numbers == (2, 3)
    assert (sheet.name, sheet.notes) == ("Data", ())


def test_the_id_column_is_found_whatever_its_case_and_spaces(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ["Patient\n ID ", "x"], ["a", 1])
    assert read_sheet(path, "patient id").columns == ("Patient ID", "x")


def test_titles_empty_rows_and_a_footer_do_not_disturb(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx", ["Sarcoma cohort, export of June"], [], ["ID", "months"], ["a", 3], [], ["b", 4], merge=("A1:B1",)
    )
    sheet = read_sheet(path, "ID")
    assert sheet.rows == (("a", 3), ("b", 4))
    assert sheet.numbers == (4, 6)
    assert sheet.notes == ("header in row 3",)


def test_merged_group_names_are_joined_to_the_names_below(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        ["ID", "Follow-up", None, "Tumour", None, "Note"],
        [None, "months", "relapse", "grade", "size", None],
        ["a", 12, "yes", 2, 3.5, "x"],
        merge=("A1:A2", "B1:C1", "D1:E1", "F1:F2"),
    )
    sheet = read_sheet(path, "ID")
    assert sheet.columns == ("ID", "Follow-up months", "Follow-up relapse", "Tumour grade", "Tumour size", "Note")
    assert sheet.rows == (("a", 12, "yes", 2, 3.5, "x"),)


def test_group_names_above_the_row_of_the_ids(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        ["Cohort 2"],
        [None, "CT", None, "PET"],
        ["ID", "date", "kV", "date"],
        ["a", 1, 2, 3],
        merge=("B2:C2",),
    )
    assert read_sheet(path, "ID").columns == ("ID", "CT date", "CT kV", "PET date")


def test_a_header_of_two_lines_without_merged_cells(tmp_path: Path) -> None:
    path = text(tmp_path / "a.csv", ",Outcome,,Tumour\nID,relapse,months,grade\na,1,2,3\n")
    assert read_sheet(path, "ID").columns == ("ID", "Outcome relapse", "Outcome months", "Tumour grade")


def test_the_name_of_the_ids_over_two_lines(tmp_path: Path) -> None:
    path = text(tmp_path / "a.csv", "Patient,Age\nID,years\na,61\n")
    sheet = read_sheet(path, "Patient ID")
    assert sheet.columns == ("Patient ID", "Age years")
    assert sheet.rows == (("a", "61"),)


def test_a_first_patient_of_words_is_no_header(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ["ID", "sex", "relapse"], [None, "female", "yes"], ["b", "male", "no"])
    assert read_sheet(path, "ID").rows == ((None, "female", "yes"), ("b", "male", "no"))


def test_several_sheets(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ["ID", "x"], ["a", 1], Legend=[["x", "what it is"]])
    assert "sheet 'Data' of 'Data', 'Legend'" in read_sheet(path, "ID").notes
    twice = workbook(tmp_path / "b.xlsx", ["ID", "x"], ["a", 1], Later=[["ID", "y"], ["a", 2]])
    with pytest.raises(CohortError, match="in 2 sheets: 'Data', 'Later'"):
        read_sheet(twice, "ID")
    assert read_sheet(twice, "ID", sheet="Later").columns == ("ID", "y")
    with pytest.raises(CohortError, match=r"no sheet 'Latter'. Did you mean 'Later'\? The sheets are: 'Data', 'Later'"):
        read_sheet(twice, "ID", sheet="Latter")


def test_cells_that_hold_no_value(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ["ID", "x", "y", "z"], ["a", "#N/A", "=1+1", 5], ["b", 7, 2, None], merge=("C3:D3",))
    ((_, error, formula, five), (_, _, wide, covered)) = read_sheet(path, "ID").rows
    assert error == Unreadable("#N/A")
    assert formula == Unreadable("a formula that was never computed")
    assert (five, wide, covered) == (5, 2, Unreadable("merged with the cell to its left"))


def test_an_id_shown_with_zeros_keeps_them_and_dates_come_as_dates(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["ID", "surgery", "age"])
    book.active.append([7, datetime.datetime(2020, 4, 3), 61.0])
    book.active["A2"].number_format = "000"
    book.save(tmp_path / "a.xlsx")
    assert read_sheet(tmp_path / "a.xlsx", "ID").rows == (("007", datetime.date(2020, 4, 3), 61),)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("ID;Größe;Note\na;1,5;x, y\n", "utf-8"),
        ("\ufeffID;Größe;Note\r\na;1,5;x, y\r\n", "utf-8"),
        ("ID;Größe;Note\na;1,5;x, y\n", "latin-1"),
        ("ID\tGröße\tNote\na\t1,5\tx, y\n", "utf-16"),
        ('sep=|\nID|Größe|Note\na|1,5|"x, y"\n', "cp1252"),
        ('ID,Größe,Note\n a ,"1,5","x, y"\n\n', "utf-8"),
    ],
)
def test_csv_of_every_office(tmp_path: Path, content: str, encoding: str) -> None:
    sheet = read_sheet(text(tmp_path / "a.csv", content, encoding), "ID")
    assert sheet.columns == ("ID", "Größe", "Note")
    assert sheet.rows == (("a", "1,5", "x, y"),)
    assert sheet.decimal_comma is (";" in content)
    assert bool(sheet.notes) is (encoding in ("latin-1", "cp1252"))


def test_excels_errors_in_german_csv(tmp_path: Path) -> None:
    sheet = read_sheet(text(tmp_path / "a.csv", "ID;x;y\na;#NV;#DIV/0!\n"), "ID")
    assert sheet.rows == (("a", Unreadable("#NV"), Unreadable("#DIV/0!")),)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ("ID,x\na,1,5\n", "row 2 has more cells than the header has names"),
        ("ID,x,x\na,1,2\n", "'x' stands twice"),
        ("Pat,x\na,1\n", "no column 'ID'. There is its first row of text: 'Pat', 'x'"),
        ('ID,x\na,"1\n', "not CSV"),
        ("ID,\0\n", "not a text file"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises((FileProblem, CohortError), match=words):
        read_sheet(text(tmp_path / "a.csv", content), "ID")


def test_files_that_are_no_workbook(tmp_path: Path) -> None:
    whole = workbook(tmp_path / "whole.xlsx", ["ID", "x"], ["a", 1]).read_bytes()
    for name, content, words in [
        ("cut.xlsx", whole[: len(whole) // 2], "not a whole Excel workbook"),
        ("text.xlsx", b"ID,x\na,1\n", "not a whole Excel workbook"),
        ("locked.xlsx.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "protected by a password"),
        ("a.ods", b"something", ".ods is not read"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileProblem, match=words):
            read_sheet(tmp_path / name, "ID")
    with pytest.raises(FileProblem, match="does not exist"):
        read_sheet(tmp_path / "none.xlsx", "ID")
    book = openpyxl.Workbook()
    book.save(tmp_path / "empty.xlsx")
    with pytest.raises(FileProblem, match="empty"):
        read_sheet(tmp_path / "empty.xlsx", "ID")


cell = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12)


@given(rows=st.lists(st.tuples(cell, cell), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_csv_writes_comes_back(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    import csv

    path = tmp_path / "any.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("ID", "x y"), *rows])
    sheet = read_sheet(path, "ID")
    found = [tuple("" if value is None else getattr(value, "what", value) for value in row) for row in sheet.rows]
    wanted = [tuple(value.strip().strip("\ufeff\u200b").strip() for value in row) for row in rows]
    assert found == [row for row in wanted if any(row)]


@given(content=st.binary(max_size=200))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("any.csv", "any.xlsx"):
        (tmp_path / name).write_bytes(content)
        try:
            read_sheet(tmp_path / name, "ID")
        except (FileProblem, CohortError):  # with anything else the test fails
            continue


def test_pseudonyms(tmp_path: Path) -> None:
    assert read_pseudonyms(text(tmp_path / "a.csv", "patient_id,pseudonym\n007,A1\n8,A2\n")) == {"007": "A1", "8": "A2"}
    for content, words in [
        ("patient_id,name\n7,A1\n", "'pseudonym' is missing"),
        ("patient_id,pseudonym\n7,A1\n7,A2\n", "row 3 gives an id a second pseudonym"),
        ("patient_id,pseudonym\n7,A1\n8,A1\n", "share one pseudonym"),
        ("patient_id,pseudonym\n7,\n", "row 2 lacks"),
    ]:
        with pytest.raises(CohortError, match=words):
            read_pseudonyms(text(tmp_path / "b.csv", content))
