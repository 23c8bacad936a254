"""Sheets that leave a question open, and the options that answer it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl


def test_a_sheet_by_name_and_the_order_of_day_and_month(hospital: Any, tools: Any, command: Any, tmp_path: Path) -> None:
    ct = hospital.scan("7")
    hospital.rtstruct(ct, {"GTV": (1, 3, 2, 5, 3, 7)})
    book = openpyxl.Workbook()
    for name, seen in (("first", "03/04/2020"), ("second", "05/06/2020")):
        sheet = book.create_sheet(name)
        sheet.append(["ID", "seen"])
        sheet.append([7, seen])
    book.save(tmp_path / "two.xlsx")
    join = (hospital.folder, tmp_path / "cohort", "--outcomes", tmp_path / "two.xlsx", "--id-column", "ID")
    said = command(*join, check=2)
    assert "in 2 sheets: 'first', 'second'" in str(said)
    command(*join, "--sheet", "second")
    (row,) = tools.rows_of(tmp_path / "cohort" / "manifest.csv")
    assert row["seen"] == ""
    (cell,) = tools.rows_of(tmp_path / "cohort" / "outcomes_cells.csv")
    assert cell["problem"] == "may be day and month, or month and day"
    command(*join, "--sheet", "second", "--day-first", "--redo")
    (row,) = tools.rows_of(tmp_path / "cohort" / "manifest.csv")
    assert row["seen"] == "2020-06-05"
    assert not (tmp_path / "cohort" / "outcomes_cells.csv").exists()
