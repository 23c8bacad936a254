"""What the cells of one column mean: yes and no, dates, numbers with decimal commas. Nothing ambiguous is guessed."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from radpipe.core.sheet import Cell, Unreadable

YES = frozenset({"yes", "y", "true", "ja", "j", "wahr", "oui", "o", "vrai", "si", "sí", "sì", "vero", "sim"})
NO = frozenset({"no", "n", "false", "nein", "falsch", "non", "faux", "falso", "nao", "não"})
MISSING = frozenset({"", "na", "n/a", "nan", "null", "-", "--", "–", "—", "?", "."})
# Words that say the same beside numbers, dates and yes or no; in a column of categories they may be one.
UNKNOWN = frozenset(
    {
        "unknown", "not known", "missing", "not available", "n.a.", "n.k.", "nk", "k.a.", "keine angabe", "unbekannt", "inconnu", "inconnue",
        "non connu", "nd",
    }
)  # fmt: skip
_MONTHS = {
    1: "jan january januar jän jänner janvier janv", 2: "feb february februar février fevrier févr fevr",
    3: "mar march mär märz maerz mrz mars", 4: "apr april avril avr", 5: "may mai", 6: "jun june juni juin",
    7: "jul july juli juillet juil", 8: "aug august août aout", 9: "sep sept september septembre",
    10: "oct october okt oktober octobre", 11: "nov november novembre", 12: "dec december dez dezember décembre decembre déc",
}  # fmt: skip
_MONTH_OF = {word: month for month, words in _MONTHS.items() for word in words.split()}
_TIME = r"(?:[ T]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_ISO = re.compile(rf"(\d{{4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}}){_TIME}")
_NUMERIC_DATE = re.compile(rf"(\d{{1,2}})([./-])(\d{{1,2}})\2(\d{{4}}|\d{{2}}){_TIME}")
_WORDED = re.compile(r"(\d{1,2})[.\s/-]+([^\W\d]+)\.?[\s,/-]+(\d{4}|\d{2})")
_WORDED_US = re.compile(r"([^\W\d]+)\.?\s+(\d{1,2}),?\s+(\d{4})")

_PLAIN = re.compile(r"[+-]?(\d+|\d*\.\d+|\d+\.)([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_THREES = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")  # 1.234 or 1,234: a thousand or a fraction
_COMMA_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_DOT_THOUSANDS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?")


@dataclass(frozen=True)
class Column:
    """texts : one a row; "" where nothing is known. kind : "number", "date", "yes/no" or "text".

    cells : (place, problem, what was done) of every cell that could not be taken as it stands. notes : how the column was read.
    """

    texts: list[str]
    kind: str
    cells: list[tuple[int, str, str]]
    notes: list[str]


def read_column(cells: Sequence[Cell | Unreadable], *, decimal_comma: bool = False, day_first: bool | None = None) -> Column:
    """The cells as text that reads back the same everywhere: 0 and 1, numbers with a point, ISO dates, or the text as it is.

    A column has the kind that all its cells have, unknown ones aside. Where all but a few are numbers or dates, those few stay as
    they are and are named. decimal_comma : the file's own hint how 1,234 is meant. day_first : how 03/04/2020 is meant.
    """
    values = [""] * len(cells)
    problems: list[tuple[int, str, str]] = []
    there: dict[int, Cell] = {}
    unknown: dict[int, str] = {}
    for place, cell in enumerate(cells):
        if isinstance(cell, Unreadable):
            problems.append((place, f"the cell is {cell.what}", "left empty"))
        elif cell is None or (isinstance(cell, str) and cell.casefold() in MISSING):
            continue
        elif isinstance(cell, str) and cell.casefold() in UNKNOWN:
            unknown[place] = cell
        else:
            there[place] = cell
    for read in (_yes_no, _dates, _numbers):
        found = read(there, decimal_comma, day_first)
        if found is not None:
            for place, text in found.values.items():
                values[place] = text
            told = [(place, f"{word!r} stands for no value", "left empty") for place, word in unknown.items()]
            return Column(values, found.kind, sorted([*problems, *found.problems, *told]), found.notes)
    for place, cell in there.items():
        values[place] = _as_text(cell)
    for place, word in unknown.items():
        values[place] = word
    return Column(values, "text", sorted(problems), [])


@dataclass
class _Found:
    kind: str
    values: dict[int, str]
    problems: list[tuple[int, str, str]]
    notes: list[str]


def _as_text(cell: Cell) -> str:
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ", timespec="minutes")
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    if isinstance(cell, float):
        return repr(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    return str(cell)


# yes and no


def _yes_no(there: dict[int, Cell], decimal_comma: bool, day_first: bool | None) -> _Found | None:
    words = [cell for cell in there.values() if isinstance(cell, bool) or (isinstance(cell, str) and not cell.isdigit())]
    if not words:
        return None
    values = {place: _truth(cell) for place, cell in there.items()}
    if None in values.values():
        return None
    used = sorted({str(cell).casefold() for cell in words})
    return _Found("yes/no", {k: str(v) for k, v in values.items()}, [], [f"{', '.join(used)} read as 1 for yes, 0 for no"])


def _truth(cell: Cell) -> str | None:
    word = str(cell).casefold() if not isinstance(cell, float) or not cell.is_integer() else str(int(cell))
    return "1" if word in YES or word == "1" else "0" if word in NO or word == "0" else None


# dates


def _dates(there: dict[int, Cell], decimal_comma: bool, day_first: bool | None) -> _Found | None:
    typed = {place: cell for place, cell in there.items() if isinstance(cell, datetime.date)}
    texts = {place: cell for place, cell in there.items() if isinstance(cell, str) and _like_date(cell)}
    others = {place: cell for place, cell in there.items() if place not in typed and place not in texts}
    if (not typed and not texts) or len(others) > (len(typed) + len(texts)) / 2:
        return None
    order, notes = _order(texts.values(), day_first)
    values = {place: _as_text(cell) for place, cell in (*typed.items(), *others.items())}
    problems = [(place, "is no date among dates", "left as it is") for place in others]
    for place, text in texts.items():
        day, problem = _date(text, order)
        values[place] = day
        if problem:
            problems.append((place, problem, "left empty"))
    slashed = [text for text in texts.values() if (found := _NUMERIC_DATE.fullmatch(text)) and found[2] != "."]
    if typed and slashed:
        # An English Excel takes 03/04/2020 for 4 March and leaves 25/03/2020 as text.
        for place, cell in typed.items():
            if isinstance(cell, datetime.date) and cell.day <= 12 and cell.day != cell.month:
                problems.append(
                    (
                        place,
                        "is a date of Excel's beside dates as text: Excel may have swapped its day and month",
                        "taken as it is",
                    )
                )
    return _Found("date", values, problems, ["dates written as year-month-day", *notes])


def _like_date(text: str) -> bool:
    if _ISO.fullmatch(text) or _NUMERIC_DATE.fullmatch(text):
        return True
    worded = _WORDED.fullmatch(text)
    american = _WORDED_US.fullmatch(text)
    return bool((worded and worded[2].casefold() in _MONTH_OF) or (american and american[1].casefold() in _MONTH_OF))


def _order(texts: Iterable[str], day_first: bool | None) -> tuple[bool | None, list[str]]:
    """Whether the day comes first in 03/04/2020: what was said, else what the column's other dates show, else None."""
    if day_first is not None:
        return day_first, [f"dates like 03/04/2020 read {'day' if day_first else 'month'} first, as was said"]
    shown = set()
    for text in texts:
        found = _NUMERIC_DATE.fullmatch(text)
        if found and found[2] != ".":
            first, second = int(found[1]), int(found[3])
            if first > 12 >= second:
                shown.add(True)
            elif second > 12 >= first:
                shown.add(False)
    if len(shown) != 1:
        return None, []
    (order,) = shown
    return order, [f"dates read {'day' if order else 'month'} first, because others of the column can only be read so"]


def _date(text: str, order: bool | None) -> tuple[str, str]:
    """(ISO date, "") or ("", what is wrong)."""
    if found := _ISO.fullmatch(text):
        return _iso(int(found[1]), int(found[2]), int(found[3]))
    if found := _WORDED.fullmatch(text):
        if len(found[3]) == 2:
            return "", "has a year of two digits"
        return _iso(int(found[3]), _MONTH_OF[found[2].casefold()], int(found[1]))
    if found := _WORDED_US.fullmatch(text):
        return _iso(int(found[3]), _MONTH_OF[found[1].casefold()], int(found[2]))
    numeric = _NUMERIC_DATE.fullmatch(text)
    if numeric is None:
        return "", "is no date"
    first, second, year = int(numeric[1]), int(numeric[3]), numeric[4]
    if len(year) == 2:
        return "", "has a year of two digits"
    if numeric[2] == "." or first == second:  # dots are written day first wherever they are written
        return _iso(int(year), second, first)
    if first > 12 or second > 12:
        return _iso(int(year), second, first) if first > 12 else _iso(int(year), first, second)
    if order is None:
        return "", "may be day and month, or month and day"
    return _iso(int(year), second, first) if order else _iso(int(year), first, second)


def _iso(year: int, month: int, day: int) -> tuple[str, str]:
    try:
        return datetime.date(year, month, day).isoformat(), ""
    except ValueError:
        return "", "is a day that does not exist"


# numbers


def _numbers(there: dict[int, Cell], decimal_comma: bool, day_first: bool | None) -> _Found | None:
    texts = {place: cell.replace("\u00a0", "").replace(" ", "") for place, cell in there.items() if isinstance(cell, str)}
    like = {place: text for place, text in texts.items() if _like_number(text)}
    others = [
        place
        for place, cell in there.items()
        if place not in like and (isinstance(cell, str | bool) or not isinstance(cell, int | float))
    ]
    numbers = len(there) - len(others)
    if not numbers or len(others) >= numbers:
        return None
    read, how = _style(list(like.values()), decimal_comma)
    values: dict[int, str] = {}
    problems: list[tuple[int, str, str]] = []
    for place, cell in there.items():
        if place in like:
            values[place] = read(like[place])
            if not values[place]:
                problems.append((place, "may be a thousand or a fraction", "left empty"))
        else:
            values[place] = _as_text(cell)
    problems += [(place, "is no number among numbers", "left as it is") for place in others]
    return _Found("number", values, problems, how)


def _like_number(text: str) -> bool:
    return any(shape.fullmatch(text) for shape in (_PLAIN, _COMMA, _COMMA_THOUSANDS, _DOT_THOUSANDS))


def _style(texts: list[str], decimal_comma: bool) -> tuple[Callable[[str], str], list[str]]:
    """How a number is read that might be read two ways: as the column's other numbers show, else as the file hints."""
    commas = any(_only_comma(text) for text in texts)
    points = any(_only_point(text) for text in texts)
    threes_with_comma = any(_THREES.fullmatch(text) and "," in text for text in texts)
    notes = []
    if commas or (decimal_comma and threes_with_comma and not points):
        notes.append("decimal commas read as points")

    def read(text: str) -> str:
        if _only_comma(text):
            return text.replace(".", "").replace(",", ".")
        if _only_point(text):
            return text.replace(",", "")
        if not _THREES.fullmatch(text):
            return text  # a whole number
        if "," in text:
            if commas != points:
                return text.replace(",", ".") if commas else text.replace(",", "")
            return text.replace(",", ".") if decimal_comma and not points else ""
        if commas or (decimal_comma and not points):  # 1.234 where the comma is the decimal sign: a thousand, or from elsewhere
            return ""
        return text  # a point is a decimal point unless the column says otherwise

    return read, notes


def _only_comma(text: str) -> bool:
    """Has a comma that can only be the decimal one."""
    if _DOT_THOUSANDS.fullmatch(text) and "," in text:
        return True
    if text.count(".") > 1 and _DOT_THOUSANDS.fullmatch(text):
        return True
    return bool(_COMMA.fullmatch(text)) and not _THREES.fullmatch(text)


def _only_point(text: str) -> bool:
    """Has a point that can only be the decimal one, or commas that can only part thousands."""
    if _COMMA_THOUSANDS.fullmatch(text) and ("." in text or text.count(",") > 1):
        return True
    return "." in text and bool(_PLAIN.fullmatch(text)) and not _THREES.fullmatch(text)
