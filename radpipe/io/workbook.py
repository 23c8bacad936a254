"""Sheets of formulas as an .xlsx file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from radpipe.errors import SchemaError
from radpipe.io.files import atomic_write

WIDTHS = {"patient": {1: 48, 2: 24}, "network": {1: 12, 2: 24, 3: 48}}


class Cell(Protocol):
    """value : number or text; with formula, what follows the = sign."""

    @property
    def value(self) -> float | str: ...
    @property
    def formula(self) -> bool: ...


def write_workbook(path: Path, sheets: Mapping[str, Mapping[tuple[int, int], Cell]]) -> None:
    """sheets : name -> (row, column), from 1 -> cell. Text is never taken for a formula, whatever it starts with.

    The file has no values of its own: a spreadsheet program works them out when it opens it. SchemaError for text no cell may hold.
    """
    from openpyxl import Workbook
    from openpyxl.utils import get_column_letter
    from openpyxl.utils.exceptions import IllegalCharacterError

    book = Workbook()
    book.remove(book.active)
    for name, cells in sheets.items():
        sheet = book.create_sheet(name)
        for column, width in WIDTHS.get(name, {}).items():
            sheet.column_dimensions[get_column_letter(column)].width = width
        for (row, column), given in cells.items():
            cell = sheet.cell(row, column)
            try:
                cell.value = f"={given.value}" if given.formula else given.value
            except IllegalCharacterError as error:
                raise SchemaError(
                    f"{given.value!r} has characters that no cell of a spreadsheet may hold.",
                    hint="Rename it, or export python.",
                    path=path,
                ) from error
            if isinstance(given.value, str) and not given.formula:
                cell.data_type = "s"
    book.calculation.fullCalcOnLoad = True
    with atomic_write(path) as temporary:
        book.save(temporary)
