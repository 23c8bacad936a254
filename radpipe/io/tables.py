"""Parquet and CSV <-> DataFrame, checked against the schema both ways; the same rows give the same bytes."""

from __future__ import annotations

import csv as csv_module
import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from radpipe.core.plain_words import plain
from radpipe.core.tables import Schema, check_table, make_table
from radpipe.errors import FileProblem, SchemaError
from radpipe.io.cells import protect, quoted, unprotect
from radpipe.io.files import cannot_read, write_bytes

_ARROW_TYPES = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}
_TEXT = pd.StringDtype("pyarrow", na_value=float("nan"))
_SEPARATORS = (",", ";", "\t")


def write_table(frame: pd.DataFrame, path: Path, schema: Schema, *, csv: bool = False) -> None:
    """``frame`` in the schema's dtypes and order of columns, sorted by its key, to ``path`` (.parquet), atomically.

    csv : also to the same name with .csv, for people; text that a spreadsheet would run as a formula gets an apostrophe.
    SchemaError where the frame does not fit; RunError on a full disk or a missing permission.
    """
    table = make_table(schema, frame)
    named = {column.name: _ARROW_TYPES[column.dtype] for column in schema.columns}
    arrays, fields = [], []
    for name in table.columns:
        kind = named.get(name) or _arrow_type(table[name])
        arrays.append(pa.array(_plain(table[name]), kind, from_pandas=True))
        fields.append(pa.field(str(name), kind))
    # Without pandas' own metadata (it names library versions), and without the Arrow schema that repeats it.
    content = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    buffer = io.BytesIO()
    pq.write_table(content, buffer, compression="zstd", version="2.6", store_schema=False)
    write_bytes(path, buffer.getvalue())
    if csv:
        write_bytes(path.with_suffix(".csv"), to_csv(table).encode())


def read_table(path: Path, schema: Schema) -> pd.DataFrame:
    """The table of ``path`` (.parquet, or .csv as :func:`write_table` writes it) in the schema's dtypes.

    FileProblem where it cannot be read, SchemaError where it does not fit.
    """
    frame = _read_parquet(path) if path.suffix == ".parquet" else _read_csv_table(path, schema)
    for column in schema.columns:
        if column.name in frame.columns and column.dtype == "string":
            frame[column.name] = frame[column.name].astype(_TEXT)
    check_table(frame, schema, path)
    return frame


def to_csv(frame: pd.DataFrame) -> str:
    """CSV text (comma, LF, shortest decimals that read back as the same number), safe to open in a spreadsheet."""
    lines = [",".join(quoted(protect(str(name))) for name in frame.columns)]
    columns = [_written(frame[name]) for name in frame.columns]
    lines += [",".join(cells) for cells in zip(*columns, strict=True)]
    return "\n".join(lines) + "\n"


def _written(values: pd.Series) -> list[str]:
    if pd.api.types.is_float_dtype(values.dtype):
        return ["" if value != value else repr(value) for value in values.tolist()]
    if pd.api.types.is_numeric_dtype(values.dtype):  # whole numbers, True and False
        return [str(value) for value in values.tolist()]
    return ["" if value is None or value != value else quoted(protect(str(value))) for value in values.tolist()]


def read_any_table(path: Path) -> pd.DataFrame:
    """A table of features or predictions, whoever wrote it: .parquet in its own types, anything else as CSV, every cell as text."""
    return _read_parquet(path) if path.suffix == ".parquet" else read_text_table(path)


def read_text_table(path: Path) -> pd.DataFrame:
    """A CSV that a person wrote, every cell as stripped text; the index (named "row") is the line it stands on in the file.

    Comma, semicolon or tab, whichever the first line uses; UTF-8, with or without a byte order mark; empty lines are
    skipped. FileProblem where it is no such table.
    """
    text = _decoded(path)
    first = text.split("\n", 1)[0]
    separator = max(_SEPARATORS, key=first.count)
    reader = csv_module.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append([cell.strip() for cell in cells])
                lines.append(reader.line_num)
    except csv_module.Error as error:
        raise FileProblem(
            f"line {reader.line_num} is not CSV ({error}).", hint="Look for an unclosed quotation mark.", path=path
        ) from error
    if not rows:
        raise FileProblem("the file is empty.", hint="Its first line must name the columns.", path=path)
    header = rows[0]
    while header and not header[-1]:  # spreadsheets leave empty columns at the right
        header = header[:-1]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise FileProblem(f"the column {repeated[0]!r} stands twice.", hint="Give every column its own name.", path=path)
    for line, cells in zip(lines[1:], rows[1:], strict=True):
        if len(cells) < len(header) or any(cells[len(header) :]):
            raise FileProblem(
                f"row {line} has {len(cells)} cells; the first line names {len(header)} columns.",
                hint="Put text that holds the separator between quotation marks.",
                path=path,
            )
    body = [cells[: len(header)] for cells in rows[1:]]
    return pd.DataFrame(body, columns=header, index=pd.Index(lines[1:], name="row", dtype="int64"), dtype=_TEXT)


def _decoded(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise FileProblem(
            f"line {line} is not UTF-8 text.", hint="Save it as 'CSV UTF-8' (in Excel: Save as, CSV UTF-8).", path=path
        ) from error
    if "\0" in text:
        raise FileProblem("this is not a text file.", hint="Give a CSV file.", path=path)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(io.BytesIO(path.read_bytes()))
    except OSError as error:
        raise cannot_read(path, error) from error
    except pa.ArrowException as error:
        raise FileProblem(
            f"this is not a whole Parquet table ({plain(str(error).splitlines()[0])}).",
            hint="Delete it and run the stage that makes it again.",
            path=path,
        ) from error
    return table.to_pandas(types_mapper={pa.string(): _TEXT}.get)


def _read_csv_table(path: Path, schema: Schema) -> pd.DataFrame:
    text = read_text_table(path).reset_index(drop=True)
    text.columns = pd.Index([unprotect(name) for name in text.columns])
    dtypes = {column.name: column.dtype for column in schema.columns}
    try:
        return pd.DataFrame({name: _column_from_text(text[name], dtypes.get(name, schema.extra)) for name in text.columns})
    except ValueError as error:
        raise SchemaError(
            f"table {schema.name!r}: {error}.", hint="See data_schema/ for what it must hold.", path=path
        ) from error


def _column_from_text(cells: pd.Series, kind: str) -> pd.Series:
    """ValueError, naming the column, where a cell is not of the kind."""
    if kind in ("float64", "int64"):
        numbers = pd.to_numeric(cells.where(cells != "", other=None).astype(object), errors="coerce").astype("float64")
        bad = (numbers.isna() & ~cells.str.lower().isin(["", "nan"])).to_numpy(copy=True)
        if kind == "int64":
            bad |= (numbers.isna() | (numbers % 1 != 0)).to_numpy()
        if bad.any():
            raise ValueError(f"the column {cells.name!r} holds {cells[bad].iloc[0]!r}, which is not {kind}")
        return numbers.astype(kind)
    if kind == "bool":
        if not cells.isin(["True", "False"]).all():
            raise ValueError(f"the column {cells.name!r} must hold True or False")
        return (cells == "True").astype("bool")
    return cells.map(unprotect).astype(_TEXT)


def _arrow_type(values: pd.Series) -> pa.DataType:
    """The type of a column the schema does not name: a clinical value or a feature."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return pa.bool_()
    if pd.api.types.is_integer_dtype(values.dtype) and not values.isna().any():
        return pa.int64()
    if pd.api.types.is_numeric_dtype(values.dtype):
        return pa.float64()
    return pa.string()


def _plain(values: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values.dtype) or isinstance(values.dtype, pd.StringDtype):
        return values
    return values.map(lambda cell: cell if cell is None or cell != cell else str(cell))
