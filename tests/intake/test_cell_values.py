"""Cells of one column, worked by hand."""

from __future__ import annotations

import datetime

import pytest

from radpipe.core.sheet import Unreadable
from radpipe.intake.cell_values import read_column

D = datetime.date


@pytest.mark.parametrize(
    ("cells", "kind", "texts"),
    [
        (["yes", "No", None, "NA"], "yes/no", ["1", "0", "", ""]),
        (["ja", "nein", "unbekannt"], "yes/no", ["1", "0", ""]),
        (["oui", "non"], "yes/no", ["1", "0"]),
        ([True, False, None], "yes/no", ["1", "0", ""]),
        (["Y", 0, "1"], "yes/no", ["1", "0", "1"]),
        ([1, 0, None], "number", ["1", "0", ""]),
        (["yes", "maybe", "no"], "text", ["yes", "maybe", "no"]),
        ([61, 61.5, "70"], "number", ["61", "61.5", "70"]),
        (["3,5", "0,125", "12"], "number", ["3.5", "0.125", "12"]),
        (["1.234,5", "2,25"], "number", ["1234.5", "2.25"]),
        (["1,234.5", "1,234"], "number", ["1234.5", "1234"]),
        (["3,5", "1,234"], "number", ["3.5", "1.234"]),
        (["1.234", "2.5"], "number", ["1.234", "2.5"]),
        (["1e-3", "-2,5"], "number", ["1e-3", "-2.5"]),
        (["T2", "N1, M0", "unknown"], "text", ["T2", "N1, M0", "unknown"]),
        (["none", "chemo"], "text", ["none", "chemo"]),
        ([D(2020, 4, 3), None], "date", ["2020-04-03", ""]),
        (["03.04.2020", "3.4.2020"], "date", ["2020-04-03", "2020-04-03"]),
        (["2020-04-03", "2020/4/3", "2020-04-03 12:30"], "date", ["2020-04-03"] * 3),
        (["25/03/2020", "03/04/2020"], "date", ["2020-03-25", "2020-04-03"]),
        (["03/25/2020", "03/04/2020"], "date", ["2020-03-25", "2020-03-04"]),
        (["12 Mar 2020", "3. März 2020", "4 août 2020", "March 12, 2020"], "date", ["2020-03-12", "2020-03-03", "2020-08-04", "2020-03-12"]),
        (["05/05/2020"], "date", ["2020-05-05"]),
        ([], "text", []),
        ([None, None], "text", ["", ""]),
    ],
)  # fmt: skip
def test_what_a_column_says(cells: list, kind: str, texts: list[str]) -> None:
    column = read_column(cells)
    assert (column.kind, column.texts) == (kind, texts)
    assert [problem for _, problem, _ in column.cells if "stands for no value" not in problem] == []


@pytest.mark.parametrize(
    ("cells", "place", "words", "text"),
    [
        (["03/04/2020"], 0, "day and month, or month and day", ""),
        (["25/03/2020", "03/25/2020", "03/04/2020"], 2, "day and month, or month and day", ""),
        (["03.04.58"], 0, "year of two digits", ""),
        (["12 Mar 58"], 0, "year of two digits", ""),
        (["31.02.2020"], 0, "does not exist", ""),
        ([D(2020, 1, 2), D(2020, 3, 4), "lost"], 2, "no date among dates", "lost"),
        (["1,234"], 0, "a thousand or a fraction", ""),
        (["3,5", "1.234"], 1, "a thousand or a fraction", ""),
        (["3,5", "2.5", "1,234"], 2, "a thousand or a fraction", ""),
        ([61, 62, "about 60"], 2, "no number among numbers", "about 60"),
        ([61, Unreadable("#N/A")], 1, "the cell is #N/A", ""),
        ([61, 62, "k.A."], 2, "'k.A.' stands for no value", ""),
    ],
)
def test_what_is_ambiguous_is_named_and_not_guessed(cells: list, place: int, words: str, text: str) -> None:
    column = read_column(cells)
    assert column.texts[place] == text
    assert [problem for where, problem, _ in column.cells if where == place and words in problem]


def test_day_first_may_be_said() -> None:
    assert read_column(["03/04/2020"], day_first=True).texts == ["2020-04-03"]
    assert read_column(["03/04/2020"], day_first=False).texts == ["2020-03-04"]


def test_a_file_that_parts_cells_by_semicolons_writes_decimal_commas() -> None:
    assert read_column(["1,234"], decimal_comma=True).texts == ["1.234"]
    assert read_column(["1,234", "2.5"], decimal_comma=True).texts == ["1234", "2.5"]
    assert read_column(["1.234"], decimal_comma=True).texts == [""]


def test_dates_that_excel_may_have_swapped() -> None:
    """An English Excel reads 03/04/2020 as 4 March, and leaves 25/03/2020 as text."""
    column = read_column([D(2020, 3, 4), "25/03/2020", D(2020, 3, 25), D(2020, 5, 5)])
    assert column.texts == ["2020-03-04", "2020-03-25", "2020-03-25", "2020-05-05"]
    ((place, problem, done),) = column.cells
    assert (place, done) == (0, "taken as it is")
    assert "swapped" in problem
