"""Excel workbooks and CSV files that people keep -> a Sheet: one header, typed cells, and the row each stands in."""

from __future__ import annotations

import csv
import datetime
import io
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from radpipe.core.registry import nearest
from radpipe.core.sheet import Cell, Sheet, Unreadable
from radpipe.errors import CohortError, FileProblem
from radpipe.io.files import cannot_read

_SEPARATORS = (";", ",", "\t", "|")
_SEARCHED = 50  # rows in which the header is looked for
_LARGEST = 300_000_000  # bytes of an unpacked workbook; a sheet of outcomes has thousands
# Excel's errors, in English and as German and French Excel write them into a CSV.
_ERRORS = re.compile(
    r"#(N/A|NV|DIV/0!?|REF!|BEZUG!|VALUE!|WERT!|VALEUR!|NAME\?|NOM\?|NUM!|ZAHL!|NOMBRE!|NULL!|NUL!|SPILL!|CALC!|GETTING_DATA)",
    re.IGNORECASE,
)
_ZEROS = re.compile(r"0{2,}")
_NUMBER = re.compile(r"[+-]?[\d.,]+([eE][+-]?\d+)?%?")
_OLD = b"\xd0\xcf\x11\xe0"
Row = list[Cell | Unreadable]


def read_sheet(path: Path, id_column: str, *, sheet: str | None = None) -> Sheet:
    """The sheet with the column ``id_column``, which is how its header is found.

    .xlsx and .xlsm: values as last computed; merged cells count for every cell they cover; where several sheets have the column,
    one must be named. CSV: comma, semicolon, tab or bar; UTF-8, UTF-16 or Windows-1252. Titles and empty rows above the header
    are skipped, a header of several lines is joined.
    FileProblem where the file is no such table, CohortError where no sheet has the column, or several have it.
    """
    path = Path(path)
    try:
        head = path.open("rb").read(8)
    except OSError as error:
        raise cannot_read(path, error) from error
    if head.startswith(b"PK") or path.suffix.lower() in (".xlsx", ".xlsm"):
        return _workbook(path, id_column, sheet)
    if head.startswith(_OLD) or path.suffix.lower() in (".xls", ".xlsb", ".ods"):
        raise FileProblem(
            "this is an old Excel file, or one that is protected by a password."
            if head.startswith(_OLD)
            else f"{path.suffix} is not read.",
            hint="Save it as .xlsx without a password, or as CSV UTF-8.",
            path=path,
        )
    if sheet is not None:
        raise CohortError(f"there is no sheet {sheet!r}: a CSV file has one.", hint="Leave the sheet out.", path=path)
    return _csv(path, id_column)


def read_pseudonyms(path: Path) -> dict[str, str]:
    """A CSV with the columns ``patient_id`` (the original) and ``pseudonym`` -> original: pseudonym.

    CohortError where one id has two pseudonyms, or two share one.
    """
    table = read_sheet(Path(path), "patient_id")
    if "pseudonym" not in table.columns:
        near = nearest("pseudonym", table.columns)
        raise CohortError(f"the column 'pseudonym' is missing.{near}", hint="Name it so.", path=path)
    found: dict[str, str] = {}
    for number, original, pseudonym in zip(table.numbers, table.column("patient_id"), table.column("pseudonym"), strict=True):
        if not isinstance(original, str | int) or not isinstance(pseudonym, str | int):
            raise CohortError(f"row {number} lacks the id or its pseudonym.", hint="Fill in both as text.", path=path)
        if found.setdefault(str(original), str(pseudonym)) != str(pseudonym):
            raise CohortError(f"row {number} gives an id a second pseudonym.", hint="One pseudonym an id.", path=path)
    if len(set(found.values())) < len(found):
        raise CohortError("two ids share one pseudonym.", hint="Every id needs a pseudonym of its own.", path=path)
    return found


@dataclass
class _Grid:
    """A sheet as it lies: rows of equal length, the number of each, and merged ranges (first and last row, first and last column,
    as places)."""

    rows: list[Row]
    numbers: list[int]
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)

    def wide(self, row: int, column: int) -> tuple[int, int] | None:
        """First and last column of the range over several columns that covers the cell."""
        return next((m[2:] for m in self.merged if m[0] <= row <= m[1] and m[2] <= column <= m[3] and m[2] < m[3]), None)

    def lowest(self, row: int, column: int) -> int:
        """The last row of the range that covers the cell."""
        return next((m[1] for m in self.merged if m[0] <= row <= m[1] and m[2] <= column <= m[3]), row)

    def text(self, row: int, column: int) -> str:
        cell = self.rows[row][column]
        return _spaced(cell) if isinstance(cell, str) else "" if cell is None or isinstance(cell, Unreadable) else str(cell)


# workbooks


def _workbook(path: Path, id_column: str, sheet: str | None) -> Sheet:
    values, formulas = _load(path)
    try:
        there = [name for name in values.sheetnames if _has_cells(values[name])]
        if not there:
            raise FileProblem("the workbook is empty.", hint="Give the sheet with the outcomes.", path=path)
        listed = ", ".join(repr(name) + ("" if values[name].sheet_state == "visible" else " (hidden)") for name in there)
        if sheet is not None:
            if sheet not in there:
                raise CohortError(
                    f"there is no sheet {sheet!r}.{nearest(sheet, there)} The sheets are: {listed}.", hint="Name one of them.", path=path
                )  # fmt: skip
            wanted = [sheet]
        else:
            wanted = [name for name in there if values[name].sheet_state == "visible"] or there
        grids = {name: _sheet_grid(values[name], formulas[name]) for name in wanted}
    finally:
        values.close()
        formulas.close()
    found = {name: block for name, grid in grids.items() if (block := _find_header(grid, id_column)) is not None}
    if not found:
        raise _no_such_column(path, id_column, grids)
    if len(found) > 1:
        raise CohortError(
            f"the column {id_column!r} is in {len(found)} sheets: {', '.join(map(repr, found))}.",
            hint="Name the sheet that holds the outcomes.",
            path=path,
        )
    ((name, block),) = found.items()
    notes = (f"sheet {name!r} of {listed}",) if len(there) > 1 else ()
    return _read(grids[name], block, path, name, notes)


def _load(path: Path) -> tuple[Any, Any]:
    """The workbook with its values, and again with its formulas."""
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(path) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > _LARGEST:
                raise FileProblem(
                    "the workbook unpacks to more than 300 MB.", hint="Copy the outcomes into a workbook of their own.", path=path
                )
        return load_workbook(path, data_only=True, keep_links=False), load_workbook(path, keep_links=False)
    except OSError as error:
        if error.errno:
            raise cannot_read(path, error) from error
        raise _damaged(path, error) from error
    except FileProblem:
        raise
    except Exception as error:  # openpyxl and zipfile raise KeyError, ValueError, BadZipFile, ParseError, ... for damaged files
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> FileProblem:
    return FileProblem(
        f"this is not a whole Excel workbook ({type(error).__name__}).",
        hint="Open it in Excel and save it as .xlsx again.",
        path=path,
    )


def _has_cells(sheet: Any) -> bool:
    # A sheet of charts has no cells.
    return hasattr(sheet, "iter_rows") and any(
        value not in (None, "") for row in sheet.iter_rows(values_only=True) for value in row
    )


def _sheet_grid(sheet: Any, formulas: Any) -> _Grid:
    rows = [
        [_value(cell, formula) for cell, formula in zip(row, twin, strict=True)]
        for row, twin in zip(sheet.iter_rows(), formulas.iter_rows(), strict=True)
    ]
    merged = []
    for area in sheet.merged_cells.ranges:
        first, last, left, right = area.min_row - 1, area.max_row - 1, area.min_col - 1, area.max_col - 1
        if last >= len(rows) or right >= len(rows[0]):
            continue
        merged.append((first, last, left, right))
        for row in range(first, last + 1):
            for column in range(left, right + 1):
                rows[row][column] = rows[first][left]
    return _Grid(rows, list(range(1, len(rows) + 1)), merged)


def _value(cell: Any, formula: Any) -> Cell | Unreadable:
    value = cell.value
    if cell.data_type == "e":
        return Unreadable(str(value))
    if value is None and formula.data_type == "f":
        return Unreadable("a formula that was never computed")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        # 7 shown as 007: what the person sees is the id.
        if _ZEROS.fullmatch(cell.number_format or "") and value == int(value) and value >= 0:
            return f"{int(value):0{len(cell.number_format)}d}"
        return int(value) if float(value).is_integer() and abs(value) < 1e15 else value
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date()
    if isinstance(value, datetime.timedelta):
        return str(value)
    return value  # type: ignore[no-any-return]


# CSV


def _csv(path: Path, id_column: str) -> Sheet:
    text, notes = _decoded(path)
    lines = text.split("\n", 1)
    said = re.fullmatch(r"sep=(.)", lines[0].strip().strip('"'), re.IGNORECASE)  # Excel's own first line
    separators = (said[1],) if said else _SEPARATORS
    grids: dict[str, _Grid] = {}
    problem: csv.Error | None = None
    for separator in separators:
        try:
            grid = _csv_grid(text, separator, skip=bool(said))
        except csv.Error as error:
            problem = error
            continue
        grids[separator] = grid
    found = {separator: block for separator, grid in grids.items() if (block := _find_header(grid, id_column)) is not None}
    if not found and problem is not None:
        raise FileProblem(f"this is not CSV ({problem}).", hint="Look for an unclosed quotation mark.", path=path)
    if not any(cell is not None for grid in grids.values() for row in grid.rows for cell in row):
        raise FileProblem("the file is empty.", hint="Give the table with the outcomes.", path=path)
    if not found:
        widest = max(
            grids, key=lambda separator: max((sum(cell is not None for cell in row) for row in grids[separator].rows), default=0)
        )
        raise _no_such_column(path, id_column, {"": grids[widest]})
    best = max(found, key=lambda separator: sum(bool(name) for name in found[separator].names))
    return _read(grids[best], found[best], path, "", notes, decimal_comma=best == ";")


def _csv_grid(text: str, separator: str, *, skip: bool) -> _Grid:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[Row] = []
    numbers: list[int] = []
    for cells in reader:
        if skip and reader.line_num == 1:
            continue
        rows.append([Unreadable(cell.strip()) if _ERRORS.fullmatch(cell.strip()) else _text(cell) for cell in cells])
        numbers.append(reader.line_num)
    width = max(map(len, rows), default=0)
    return _Grid([row + [None] * (width - len(row)) for row in rows], numbers)


def _decoded(path: Path) -> tuple[str, tuple[str, ...]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from error
    notes: tuple[str, ...] = ()
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        # Five bytes have no letter in Windows-1252; Latin-1 takes them all.
        try:
            text = raw.decode("cp1252")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        notes = ("is not UTF-8; read as Windows-1252 (Western European)",)
    if "\0" in text:
        raise FileProblem("this is not a text file.", hint="Give an .xlsx workbook or a CSV file.", path=path)
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


# the header


@dataclass(frozen=True)
class _Block:
    """The lines of a header, by place; the name of every column ("" where it has none); the place of the ids."""

    first: int
    last: int
    names: tuple[str, ...]
    ids: int


def _find_header(grid: _Grid, id_column: str) -> _Block | None:
    """Where the column stands: in a cell of its own, or spread over two or three lines (Patient / ID)."""
    wanted = _folded(id_column)
    top = range(min(_SEARCHED, len(grid.rows)))
    for exact in (True, False):
        for row in top:
            for column in range(len(grid.rows[row])):
                text = grid.text(row, column)
                if text and (text == _spaced(id_column) if exact else _folded(text) == wanted):
                    return _block(grid, row, grid.lowest(row, column), column)
    for height in (2, 3):
        for row in top:
            for column in range(len(grid.rows[row]) if row + height <= len(grid.rows) else 0):
                parts = [grid.text(row + step, column) for step in range(height)]
                if all(parts) and _folded(" ".join(parts)) == wanted:
                    return _block(grid, row, row + height - 1, column)
    return None


def _block(grid: _Grid, first: int, last: int, ids: int) -> _Block:
    """Widened by group names above and by lines below that name what a group holds."""
    lines = {row: [grid.text(row, column) for column in range(len(grid.rows[row]))] for row in range(first, last + 1)}
    while last + 1 < len(grid.rows) and _names_parts(grid, last, ids):
        last += 1
        lines[last] = [grid.text(last, column) for column in range(len(grid.rows[last]))]
        if first + 1 == last:
            lines[first] = _groups(grid, first, ids)
    while first > 0 and _is_group_row(grid, first - 1, ids):
        first -= 1
        lines[first] = _groups(grid, first, ids)
    names = []
    for column in range(len(grid.rows[last])):
        parts: list[str] = []
        for row in range(first, last + 1):
            part = lines[row][column]
            if part and part not in parts:
                parts.append(part)
        names.append(" ".join(parts))
    return _Block(first, last, tuple(names), ids)


def _names_parts(grid: _Grid, above: int, ids: int) -> bool:
    """Whether the row below is a further line of the header: no id, text only, and it names what stands under a group or a gap."""
    row = above + 1
    cells = grid.rows[row]
    texts = [column for column in range(len(cells)) if isinstance(cells[column], str)]
    only_text = all(cell is None or (isinstance(cell, str) and not _NUMBER.fullmatch(cell)) for cell in cells)
    if cells[ids] is not None or not texts or not only_text:
        return False
    return any(not grid.text(above, column) or grid.wide(above, column) for column in texts)


def _is_group_row(grid: _Grid, row: int, ids: int) -> bool:
    """Whether the row above the header names groups of columns; a title stands over the first column, or over all of them."""
    cells = grid.rows[row]
    texts = [column for column in range(len(cells)) if cells[column] is not None]
    return bool(texts) and cells[ids] is None and texts[0] > 0 and all(isinstance(cells[column], str) for column in texts)


def _groups(grid: _Grid, row: int, ids: int) -> list[str]:
    """The group's name over each of its columns: a merged range says how far it goes, else it goes to the next name."""
    found, current, end = [], "", -1
    for column in range(len(grid.rows[row])):
        text = grid.text(row, column)
        if text:
            wide = grid.wide(row, column)
            current, end = text, wide[1] if wide else column if grid.merged else len(grid.rows[row])
        found.append(current if column <= end and column != ids else text)
    return found


def _read(grid: _Grid, block: _Block, path: Path, name: str, notes: tuple[str, ...], *, decimal_comma: bool = False) -> Sheet:
    body = range(block.last + 1, len(grid.rows))
    filled = [row for row in body if any(cell is not None for cell in grid.rows[row])]
    columns = [column for column, title in enumerate(block.names) if title]
    nameless = [
        column
        for column, title in enumerate(block.names)
        if not title and any(grid.rows[row][column] is not None for row in filled)
    ]
    if nameless and not name and not grid.merged and any(column >= max(columns) for column in nameless):
        row = next(row for row in filled if any(grid.rows[row][column] is not None for column in nameless))
        raise FileProblem(
            f"row {grid.numbers[row]} has more cells than the header has names ({len(columns)}).",
            hint="Put text and numbers that hold the separator between quotation marks, and name every column.", path=path,
        )  # fmt: skip
    if nameless:
        notes = (
            *notes,
            f"left out because the header does not name them: column {', '.join(_letters(column) for column in nameless)}",
        )
    titles = [block.names[column] for column in columns]
    repeated = sorted({title for title in titles if titles.count(title) > 1})
    if repeated:
        raise FileProblem(f"the column {repeated[0]!r} stands twice.", hint="Give every column its own name.", path=path)
    if block.last > block.first:
        notes = (*notes, f"header in rows {grid.numbers[block.first]} to {grid.numbers[block.last]}, names joined")
    elif block.first > 0:
        notes = (*notes, f"header in row {grid.numbers[block.first]}")
    rows = tuple(tuple(_apart(grid, row, column) for column in columns) for row in filled)
    return Sheet(tuple(titles), rows, tuple(grid.numbers[row] for row in filled), path, name, notes, decimal_comma)


def _apart(grid: _Grid, row: int, column: int) -> Cell | Unreadable:
    """A cell of the body; one value over several columns cannot be the value of each."""
    wide = grid.wide(row, column)
    cell = grid.rows[row][column]
    return Unreadable("merged with the cell to its left") if wide and column > wide[0] and cell is not None else cell


def _no_such_column(path: Path, id_column: str, grids: dict[str, _Grid]) -> CohortError:
    seen, names = [], []
    for name, grid in grids.items():
        row = next((row for row in grid.rows if sum(isinstance(cell, str) for cell in row) > 1), None)
        row = row or next((row for row in grid.rows if any(cell is not None for cell in row)), [])
        own = [_spaced(cell) for cell in row if isinstance(cell, str)]
        names += own
        seen.append(f"sheet {name!r}: {_limited(own)}" if name else f"its first row of text: {_limited(own)}")
    return CohortError(
        f"there is no column {id_column!r}.{nearest(id_column, names)} There is {'; '.join(seen)}.",
        hint="Name the column of patient ids.",
        path=path,
    )


def _limited(names: list[str], most: int = 20) -> str:
    return ", ".join(map(repr, names[:most])) + (", ..." if len(names) > most else "") if names else "nothing"


def _text(value: str) -> str | None:
    return value.strip().strip("\ufeff\u200b").strip() or None


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _folded(text: str) -> str:
    return _spaced(text).casefold()


def _letters(place: int) -> str:
    from openpyxl.utils import get_column_letter

    return str(get_column_letter(place + 1))
