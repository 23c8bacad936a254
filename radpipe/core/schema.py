"""What a table's columns are, and the check that both sides run: the writer and the reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from radpipe.errors import SchemaError

_JSON_TYPES = {"string": "string", "int64": "integer", "float64": "number", "bool": "boolean"}


@dataclass(frozen=True)
class Column:
    """dtype : "string", "int64", "float64" or "bool". allowed : the values a string may take; empty means any.
    optional : the table may go without the column."""

    name: str
    dtype: str
    description: str
    unit: str = ""
    nullable: bool = False
    allowed: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class Schema:
    """key : the columns that together name a row once. extra : the dtype of further columns, or "" where none are allowed;
    extra_named : what those further columns are."""

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    extra: str = ""
    extra_named: str = ""


def empty_table(schema: Schema) -> pd.DataFrame:
    """The table with its columns and no row."""
    return pd.DataFrame(
        {column.name: pd.Series(dtype=_pandas_dtype(column.dtype)) for column in schema.columns if not column.optional}
    )


def make_table(schema: Schema, rows: list[dict[str, Any]] | pd.DataFrame) -> pd.DataFrame:
    """Rows -> the table in the schema's dtypes and column order, sorted by key (so that the same rows give the same bytes)."""
    frame = pd.DataFrame(rows) if len(rows) else empty_table(schema)
    columns = [column for column in schema.columns if not column.optional or column.name in frame.columns]
    named = [column.name for column in columns]
    missing = [name for name in named if name not in frame.columns]
    if missing:
        raise SchemaError(f"table {schema.name!r} lacks the columns {', '.join(missing)}.", hint="See data_schema/.")
    frame = frame[[*named, *(name for name in frame.columns if name not in named)]].copy()
    for column in columns:
        try:
            _refuse_rounding(frame[column.name], column.dtype)
            frame[column.name] = frame[column.name].astype(_pandas_dtype(column.dtype))
        except (TypeError, ValueError) as error:
            raise SchemaError(f"table {schema.name!r}, column {column.name!r}: not {column.dtype} ({error}).") from error
    if schema.extra == "float64":
        further = [name for name in frame.columns if name not in named]
        frame = frame.astype(dict.fromkeys(further, "float64"))
    check_table(frame, schema)
    return frame.sort_values(list(schema.key), kind="stable", ignore_index=True)


def _refuse_rounding(values: pd.Series, dtype: str) -> None:
    """ValueError where pandas would make 1 of 1.5, or True of the text "False", without a word."""
    if dtype == "int64" and pd.api.types.is_float_dtype(values.dtype) and not (values % 1 == 0).all():
        raise ValueError(f"{values[values % 1 != 0].iloc[0]!r} is no whole number")
    if dtype == "bool" and not values.isin([True, False]).all():
        raise ValueError(f"{values[~values.isin([True, False])].iloc[0]!r} is neither true nor false")


def check_table(frame: pd.DataFrame, schema: Schema, path: object = "") -> None:
    """SchemaError that names table, column and the first offending row, or nothing."""

    def refuse(problem: str, hint: str = "See data_schema/ for what the table must hold.") -> None:
        raise SchemaError(f"table {schema.name!r}: {problem}", hint=hint, path=path)

    for column in schema.columns:
        if column.name not in frame.columns:
            if column.optional:
                continue
            refuse(f"the column {column.name!r} ({column.description}) is missing.")
        values = frame[column.name]
        if str(values.dtype) != str(_pandas_dtype(column.dtype)):
            refuse(f"the column {column.name!r} holds {values.dtype}, not {column.dtype}.")
        if not column.nullable and values.isna().any():
            refuse(f"the column {column.name!r} is empty in row {int(values.isna().to_numpy().argmax())}.")
        odd = values[~values.isin(list(column.allowed)) & values.notna()] if column.allowed else values.iloc[:0]
        if len(odd):
            refuse(f"the column {column.name!r} holds {odd.iloc[0]!r}; allowed: {', '.join(column.allowed)}.")
    named = {column.name for column in schema.columns}
    further = [name for name in frame.columns if name not in named]
    if further and not schema.extra:
        refuse(f"unknown columns {', '.join(map(str, further))}.")
    repeated = frame.duplicated(list(schema.key))
    if repeated.any():
        row = frame.loc[repeated, list(schema.key)].iloc[0].to_dict()
        refuse(f"two rows have the key {row}.", hint="Every key may stand once.")


def _pandas_dtype(dtype: str) -> Any:
    return pd.StringDtype("pyarrow", na_value=float("nan")) if dtype == "string" else dtype


def json_schema(schema: Schema) -> dict[str, Any]:
    """JSON Schema (2020-12) of one row."""
    properties = {}
    for column in schema.columns:
        entry: dict[str, Any] = {"description": column.description}
        kind = _JSON_TYPES[column.dtype]
        entry["type"] = [kind, "null"] if column.nullable else kind
        if column.unit:
            entry["unit"] = column.unit
        if column.allowed:
            entry["enum"] = [*column.allowed, *([None] if column.nullable else [])]
        properties[column.name] = entry
    further: Any = False
    if schema.extra:
        further = {"description": schema.extra_named}
        if schema.extra == "float64":
            further["type"] = ["number", "null"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": schema.name,
        "description": f"{schema.description} One object is one row; key: {', '.join(schema.key)}.",
        "type": "object",
        "properties": properties,
        "required": [column.name for column in schema.columns if not column.optional],
        "additionalProperties": further,
    }
