"""PyRadiomics' own batch layout: csv, json and txt with Image and Mask columns first, one entry a case, failed cases too.

What PyRadiomics writes, without its faults: columns keep one order whatever case fails, and nothing is taken from an earlier
run by its row number.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from radpipe.io.rows import text_of, to_csv, to_json
from radpipe.stages.tabulate import Measured, make_table

PathFormat = Callable[[str], str]
_HEADERS = {"image_path": "Image", "mask_path": "Mask", "label": "Label", "label_channel": "Label_channel"}


def path_format(kind: str, start: Path) -> PathFormat:
    """How Image and Mask are written: absolute, relative (to ``start``) or basename."""
    formats: dict[str, PathFormat] = {
        "absolute": os.path.abspath, "relative": partial(os.path.relpath, start=start), "basename": os.path.basename,
    }  # fmt: skip
    return formats[kind]


def batch_rows(
    columns: Sequence[str], measured: Sequence[Measured], written: PathFormat, *, skip_nans: bool = False
) -> tuple[list[str], list[dict[str, Any]]]:
    """(columns, one row a case): the cases' own columns, ``diagnostics_*``, features; a failed case has its own columns only."""
    table = make_table(columns, measured)
    done = iter(table.rows)
    rows = []
    for item in measured:
        row = next(done) if item.result is not None else item.case.cells
        row = {_HEADERS.get(name, name): row[name] for name in table.columns if name in row}
        row |= {"Image": written(str(item.case.image)), "Mask": written(str(item.case.mask))}
        rows.append({name: value for name, value in row.items() if not skip_nans or value == value})
    return [_HEADERS.get(name, name) for name in table.columns], rows


def formatted(columns: Sequence[str], rows: Sequence[dict[str, Any]], kind: str) -> str:
    """The whole output as ``csv``, ``json`` or ``txt``; NaN as PyRadiomics writes it."""
    if kind == "csv":
        return to_csv(columns, rows, nan="nan")
    if kind == "json":
        return to_json(rows, nan=float("nan"))
    cells = ((number, name, value) for number, row in enumerate(rows, start=1) for name, value in row.items())
    return "".join(f"Case-{number}_{name}: {text_of(value, 'nan')}\n" for number, name, value in cells)
