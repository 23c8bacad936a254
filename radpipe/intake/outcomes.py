"""The outcome sheet beside the cases: whose row is whose, and what its cells say."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from radpipe.core.registry import nearest
from radpipe.core.sheet import Cell, Sheet, Unreadable
from radpipe.errors import CohortError
from radpipe.intake.cell_values import read_column

# Columns that say who somebody is; they are taken only where they are named.
_PERSONAL = re.compile(
    r"((first|last|sur|family|given|full|patient'?s?)[\s_]*name|name|vorname|nachname|familienname|nom|prenom|prénom"
    r"|birth[\s_-]*dates?|dates?[\s_]*of[\s_]*birth|dob|birthday|geburtsdatum|geb\.?([\s_-]*dat\.?(um)?)?|date[\s_]*de[\s_]*naissance"
    r"|address|adresse|street|stra(ß|ss)e|phone|telephone|telefon|tel\.?|e-?mail|ssn|insurance.*|versicher.*|nhs([\s_]*(number|no\.?))?)",
    re.IGNORECASE,
)
# How an id was found in the sheet, from the surest rule to the boldest.
RULES = {
    "exact": "The ids are the same.",
    "spelling": "The ids differ in upper and lower case, spaces or signs between letters and digits only, and no other id does.",
    "leading-zeros": "The ids differ in leading zeros only, which spreadsheets drop, and no other id does.",
}
_LOST = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Joined:
    """frame : the cases with the sheet's columns, all text, "" where nothing is known. columns : those that were added.

    ids : rows of the table OUTCOME_IDS (matched, unmatched on either side, ambiguous). cells : rows of OUTCOME_CELLS, every
    cell that could not be taken as it stands. notes : lines for the terminal.
    """

    frame: pd.DataFrame
    columns: tuple[str, ...]
    ids: list[dict[str, Any]]
    cells: list[dict[str, Any]]
    notes: list[str]


def join_outcomes(
    cases: pd.DataFrame,
    table: Sheet,
    id_column: str,
    *,
    cases_column: str = "patient_id",
    columns: Sequence[str] | None = None,
    day_first: bool | None = None,
    pseudonyms: Mapping[str, str] | None = None,
) -> Joined:
    """The cases with their patients' outcomes.

    cases : one row a case (text), with ``cases_column``. table : io.spreadsheets.read_sheet(path, id_column).
    columns : those of the sheet to take; by default all but those that name a person.
    day_first : how 03/04/2020 is read where the column itself does not tell; None leaves such cells empty and names them.
    pseudonyms : original id -> pseudonym (io.spreadsheets.read_pseudonyms), where the cases bear pseudonyms; then no id of the
    sheet is handed back, for beside its pseudonym it would tell who is who.
    An id is matched by the first of :data:`RULES` that holds for just one id on either side; all else is named, never guessed.
    CohortError where the sheet as a whole cannot be used: no such column, one patient in two rows that differ.
    """
    own = _own_name(table, id_column)
    taken, notes = _chosen(table, own, columns)
    sheet, ids, bad = _rows_by_id(table, own, taken)
    people = list(dict.fromkeys(str(name) for name in cases[cases_column]))
    if pseudonyms is None:
        matches = match_ids(people, ids)
    else:
        matches = _through(pseudonyms, people, ids)
    cells: list[dict[str, Any]] = []
    joined: dict[str, list[str]] = {}
    of_row = {match.place: match.person for match in matches if match.status == "matched"}
    for name in taken:
        column = read_column(sheet.column(name), decimal_comma=sheet.decimal_comma, day_first=day_first)
        joined[name] = column.texts
        notes += [f"column {name!r}: {note}" for note in column.notes]
        for place, problem, done in column.cells:
            if place in of_row:
                cells.append(
                    {"row": sheet.numbers[place], "column": name, "patient_id": of_row[place], "problem": problem, "done": done}
                )
    place_of = {person: place for place, person in of_row.items()}
    frame = cases.copy()
    added = []
    for name in taken:
        new = name if name not in cases.columns else f"outcome_{name}"
        if new != name:
            notes.append(f"column {name!r} is called {new!r}: the cases have a column of that name")
        added.append(new)
        frame[new] = [joined[name][place_of[str(p)]] if str(p) in place_of else "" for p in cases[cases_column]]
    shown = pseudonyms is None
    rows = [_told(match, sheet, ids, shown=shown) for match in matches] + [
        {"patient_id": "", "sheet_id": "", "row": row, "status": "unmatched", "rule": "", "meaning": why} for row, why in bad
    ]
    return Joined(frame, tuple(added), rows, cells, [*table.notes, *_counted(rows, cells), *notes])


def check_sheet(table: Sheet, id_column: str, *, columns: Sequence[str] | None = None) -> None:
    """What :func:`join_outcomes` would refuse in the sheet as a whole, before there are cases. CohortError, or nothing."""
    own = _own_name(table, id_column)
    taken, _ = _chosen(table, own, columns)
    _rows_by_id(table, own, taken)


# whose row is whose


@dataclass(frozen=True)
class Match:
    """person : id of the cases, "" for a row of nobody's. place : row of the sheet, -1 for a person without one."""

    person: str
    place: int
    status: str
    rule: str = ""
    meaning: str = ""


def match_ids(people: Sequence[str], ids: Sequence[Cell]) -> list[Match]:
    """One Match a person, and one for every row of the sheet that is nobody's.

    people : unique ids of the cases. ids : of the sheet's rows, unique; numbers where Excel holds numbers.
    """
    texts = [_id_text(cell) for cell in ids]
    kept_zeros = any(re.match(r"0\d", text) for text in texts)
    by_exact = {_clean(text): place for place, text in enumerate(texts)}
    loose_people, loose_rows = _grouped(people, _loose), _grouped(texts, _loose)
    plain_people, plain_rows = _grouped(people, _spelled), _grouped(texts, _spelled)
    found: list[Match] = []
    used: set[int] = set()
    doubtful: set[int] = set()
    for person in people:
        others = [people[k] for k in loose_people[_loose(person)] if people[k] != person]
        rows = loose_rows.get(_loose(person), [])
        exact = by_exact.get(_clean(person))
        if exact is not None:
            lost = [name for name in others if name.isdigit() and person.isdigit() and _clean(name) not in by_exact]
            if lost and not kept_zeros:
                found.append(
                    Match(person, exact, "ambiguous", meaning=f"{person} may be {_join(lost)} without its leading zeros.")
                )
                doubtful.add(exact)
                continue
            found.append(Match(person, exact, "matched", "exact", RULES["exact"]))
            used.add(exact)
            continue
        near = plain_rows.get(_spelled(person), [])
        sure = not others or not _spelled(person).isdigit()  # zeros between letters are not a spreadsheet's to drop
        if len(near) == 1 and len(plain_people[_spelled(person)]) == 1 and sure:
            found.append(Match(person, near[0], "matched", "spelling", RULES["spelling"]))
            used.add(near[0])
        elif len(rows) == 1 and len(others) == 0:
            found.append(Match(person, rows[0], "matched", "leading-zeros", RULES["leading-zeros"]))
            used.add(rows[0])
        elif rows:
            listed = _join([texts[k] for k in rows])
            also = f", and so may {_join(others)}" if others else ""
            found.append(Match(person, -1, "ambiguous", meaning=f"{person} may be {listed} of the sheet{also}."))
            doubtful.update(rows)
        else:
            found.append(Match(person, -1, "unmatched", meaning="The sheet has no row for this patient."))
    placed = {match.place for match in found if match.status == "ambiguous"}
    for place, text in enumerate(texts):
        if place in used or place in placed:
            continue
        if place in doubtful or loose_people.get(_loose(text)):
            like = _join([people[k] for k in loose_people[_loose(text)]])
            found.append(Match("", place, "ambiguous", meaning=f"The row's id is like that of {like}, but not surely the same."))
        else:
            found.append(Match("", place, "unmatched", meaning="No case has this id."))
    return found


def _through(pseudonyms: Mapping[str, str], people: Sequence[str], ids: Sequence[Cell]) -> list[Match]:
    """The same, by way of the original ids."""
    here = set(people)
    found = []
    # All originals take part: who is not among the cases may still be the one a row is about.
    for match in match_ids(list(pseudonyms), ids):
        person = pseudonyms[match.person] if match.person else ""
        if person and person not in here:
            if match.place >= 0:
                found.append(
                    Match("", match.place, "unmatched", meaning="The patient is in the pseudonym table, not among the cases.")
                )
            continue
        meaning = match.meaning
        if match.status == "ambiguous":
            meaning = "The original id is like more than one, or not surely the same; look the row up in the sheet."
        found.append(Match(person, match.place, match.status, match.rule, meaning))
    unknown = [person for person in people if person not in set(pseudonyms.values())]
    return found + [Match(person, -1, "unmatched", meaning="The pseudonym table does not have it.") for person in unknown]


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())


def _spelled(text: str) -> str:
    """Without case, spaces and signs: STS_001, sts-001 and sts001 are one. Between two digits the border stays: 1-23 is not 12-3."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[^\w|]|_", "", re.sub(r"(?<=\d)[\W_]+(?=\d)", "|", folded))


def _loose(text: str) -> str:
    """And without the zeros that lead a run of digits."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", _spelled(text))


def _grouped(names: Sequence[str], key: Any) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        found[key(name)].append(place)
    return dict(found)


def _id_text(cell: Cell) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return _clean(str(cell))


# the sheet


def _own_name(table: Sheet, id_column: str) -> str:
    """The column as the header writes it."""
    folded = " ".join(id_column.split()).casefold()
    exact = [name for name in table.columns if name == id_column]
    alike = exact or [name for name in table.columns if name.casefold() == folded]
    if len(alike) != 1:
        raise CohortError(
            f"there is no column {id_column!r}.{nearest(id_column, table.columns)} The columns are: {', '.join(table.columns)}.",
            hint="Name the column of patient ids.",
            path=table.source,
        )
    return alike[0]


def _chosen(table: Sheet, own: str, columns: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """The columns to take, and what is said of those that are left."""
    there = [name for name in table.columns if name != own]
    if columns is not None:
        for name in columns:
            if name not in there:
                raise CohortError(
                    f"there is no column {name!r}.{nearest(name, there)} The columns are: {', '.join(there)}.",
                    hint="Name columns as the header does.", path=table.source,
                )  # fmt: skip
        return list(dict.fromkeys(columns)), []
    personal = [name for name in there if _PERSONAL.fullmatch(name.strip())]
    notes = [f"left out because it says who somebody is: column {_join(personal)}; name it to take it"] if personal else []
    return [name for name in there if name not in personal], notes


def _rows_by_id(table: Sheet, own: str, taken: Sequence[str]) -> tuple[Sheet, list[Cell], list[tuple[int, str]]]:
    """The sheet with one row an id, those ids, and (row, why) of rows without a usable one."""
    place_of_id = table.columns.index(own)
    kept: dict[str, int] = {}
    bad: list[tuple[int, str]] = []
    quarrels: list[str] = []
    compared = [table.columns.index(name) for name in taken]
    for place, row in enumerate(table.rows):
        cell = row[place_of_id]
        if why := _no_id(cell):
            bad.append((table.numbers[place], why))
            continue
        text = _id_text(cell)  # type: ignore[arg-type]
        first = kept.setdefault(text, place)
        differing = [table.columns[k] for k in compared if table.rows[first][k] != row[k]]
        if differing:
            quarrels.append(
                f"{text} in rows {table.numbers[first]} and {table.numbers[place]}, which differ in {_join(differing)}"
            )
    if quarrels:
        listed = "".join(f"\n  - {quarrel}" for quarrel in quarrels)
        raise CohortError(
            f"one patient has two rows:{listed}\n",
            hint="Keep one row a patient; radpipe cannot know which is right.",
            path=table.source,
        )
    if not kept:
        raise CohortError(f"the column {own!r} holds no id.", hint="Name the column of patient ids.", path=table.source)
    places = sorted(kept.values())
    ids = [table.rows[place][place_of_id] for place in places]
    return table.take(places), ids, bad  # type: ignore[return-value]


def _no_id(cell: Cell | Unreadable) -> str:
    if isinstance(cell, Unreadable):
        return f"The cell of the id is {cell.what}."
    if cell is None:
        return "The row has no id."
    if isinstance(cell, bool | datetime.date | datetime.time):
        return "A spreadsheet made a date or a truth value of the id: format the column as text and enter it again."
    if (isinstance(cell, float) and not cell.is_integer()) or (isinstance(cell, str) and _LOST.fullmatch(cell)):
        return "A spreadsheet made a rounded number of the id: format the column as text and enter it again."
    if isinstance(cell, int | float) and abs(cell) >= 1e15:
        return "The id has more digits than a spreadsheet keeps: format the column as text and enter it again."
    return ""


# what is said of it


def _told(match: Match, sheet: Sheet, ids: Sequence[Cell], *, shown: bool) -> dict[str, Any]:
    there = match.place >= 0
    return {
        "patient_id": match.person,
        "sheet_id": _id_text(ids[match.place]) if there and shown else "",
        "row": sheet.numbers[match.place] if there else -1,
        "status": match.status,
        "rule": match.rule,
        "meaning": match.meaning,
    }


def _counted(rows: list[dict[str, Any]], cells: list[dict[str, Any]]) -> list[str]:
    def count(found: Iterable[dict[str, Any]]) -> int:
        return sum(1 for _ in found)

    matched = [row for row in rows if row["status"] == "matched"]
    by_rule = [f"{n} by {rule}" for rule in RULES if (n := count(r for r in matched if r["rule"] == rule)) and rule != "exact"]
    words = [_many(len(matched), "patient") + " matched" + (f" ({', '.join(by_rule)})" if by_rule else "")]
    without = count(r for r in rows if r["status"] == "unmatched" and r["patient_id"])
    nobody = count(r for r in rows if r["status"] == "unmatched" and not r["patient_id"])
    doubtful = count(r for r in rows if r["status"] == "ambiguous")
    words += [f"{_many(without, 'patient')} without a row"] if without else []
    words += [f"{_many(nobody, 'row')} of nobody's"] if nobody else []
    words += [f"{doubtful} ambiguous"] if doubtful else []
    return [", ".join(words), *([f"{_many(len(cells), 'cell')} could not be taken as written"] if cells else [])]


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _join(names: Sequence[str]) -> str:
    shown = [repr(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
