"""A table as a person keeps it: cells with the types that the file gives them, and where each stands."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | float | bool | datetime.datetime | datetime.date | datetime.time | None
"""What stands in a cell; text is stripped, None is an empty cell."""


@dataclass(frozen=True)
class Unreadable:
    """A cell without a value that can be used, such as Excel's ``#N/A``. what : as it stands there, or what it is."""

    what: str


@dataclass(frozen=True)
class Sheet:
    """One header, and the rows below it.

    columns : unique names; a header of several lines is joined, the line above first ("Follow-up months").
    rows : as long as columns. numbers : the row of the file each stands in, from 1.
    source : the file, for messages. name : of the sheet; "" for CSV. notes : how the file was read, in words.
    decimal_comma : the file separates cells by semicolons, as programs do where the comma belongs to numbers.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell | Unreadable, ...], ...]
    numbers: tuple[int, ...]
    source: object = ""
    name: str = ""
    notes: tuple[str, ...] = ()
    decimal_comma: bool = False

    def column(self, name: str) -> list[Cell | Unreadable]:
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def take(self, places: Sequence[int]) -> Sheet:
        """These rows, by their place."""
        return Sheet(
            self.columns, tuple(self.rows[k] for k in places), tuple(self.numbers[k] for k in places), self.source, self.name,
            self.notes, self.decimal_comma,
        )  # fmt: skip
