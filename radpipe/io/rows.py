"""Rows (mappings of column -> value) to CSV, JSON or Parquet, whole or not at all. No pandas, so that a single case needs none.

The same rows give the same bytes. A value is text, a whole number, a float (NaN: no value), None, or a tuple, list or
mapping of these; the latter become text in CSV and Parquet, as Python writes them.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from radpipe.errors import ConfigError
from radpipe.io.cells import protect, quoted
from radpipe.io.files import write_bytes

Rows = Sequence[Mapping[str, Any]]
SUFFIXES = (".csv", ".parquet", ".json")


def check_suffix(path: Path) -> None:
    """ConfigError unless rows can be written to a file of that name."""
    if path.suffix.lower() not in SUFFIXES:
        named = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
        raise ConfigError(
            f"the name of the output {named}; tables are written as {', '.join(SUFFIXES)}.", hint="Name it FILE.csv.", path=path
        )


def write_rows(path: Path, columns: Sequence[str], rows: Rows) -> None:
    """The rows in the format that the name asks for; cells that a row lacks stay empty. RunError where the disk refuses."""
    check_suffix(path)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        content = to_csv(columns, rows).encode()
    elif suffix == ".json":
        content = to_json([{name: row[name] for name in columns if name in row} for row in rows]).encode()
    else:
        content = _parquet(columns, rows)
    write_bytes(path, content)


def to_csv(columns: Sequence[str], rows: Rows, *, nan: str = "") -> str:
    """CSV text (comma, LF, shortest decimals that read back as the same number), safe to open in a spreadsheet."""
    lines = [",".join(quoted(protect(name)) for name in columns)]
    lines += [",".join(quoted(_cell(row.get(name), nan)) for name in columns) for row in rows]
    return "\n".join(lines) + "\n"


def to_json(rows: Rows, *, nan: Any = None) -> str:
    """A list of objects; NaN and infinities as ``nan``, which by default is null, for JSON knows neither."""
    return (
        json.dumps([{name: _plain(value, nan) for name, value in row.items()} for row in rows], indent=2, ensure_ascii=False)
        + "\n"
    )


def text_of(value: Any, nan: str = "") -> str:
    """A value as it stands in a cell, before anything is done against spreadsheets."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return nan if value is not None else ""
    return value if isinstance(value, str) else str(value)


def _cell(value: Any, nan: str) -> str:
    text = text_of(value, nan)
    return protect(text) if isinstance(value, str) else text


def _plain(value: Any, nan: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return nan
    if isinstance(value, Mapping):
        return {str(name): _plain(entry, nan) for name, entry in value.items()}
    return [_plain(entry, nan) for entry in value] if isinstance(value, list | tuple) else value


def _parquet(columns: Sequence[str], rows: Rows) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays, fields = [], []
    for name in columns:
        values = [row.get(name) for row in rows]
        there = [value for value in values if value is not None]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in there)
        if there and numbers and all(isinstance(value, int) for value in there):
            kind = pa.int64()
        elif there and numbers:
            kind = pa.float64()
        else:
            kind = pa.string()
            values = [None if value is None else text_of(value) for value in values]
        arrays.append(pa.array(values, kind))
        fields.append(pa.field(name, kind))
    buffer = io.BytesIO()
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    pq.write_table(table, buffer, compression="zstd", version="2.6", store_schema=False)
    return buffer.getvalue()
