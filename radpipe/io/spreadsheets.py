"""Excel workbooks and CSV files that people keep -> a Sheet: one header, typed cells, and the row each stands in."""

from __future__ import annotations

from pathlib import Path

from radpipe.core.sheet import Sheet


def read_sheet(path: Path, id_column: str, *, sheet: str | None = None) -> Sheet:
    """The sheet with the column ``id_column``, which is how its header is found."""
    raise NotImplementedError  # signature first: the reader follows


def read_pseudonyms(path: Path) -> dict[str, str]:
    """A CSV with the columns ``patient_id`` (the original) and ``pseudonym`` -> original: pseudonym."""
    raise NotImplementedError  # signature first: the reader follows
