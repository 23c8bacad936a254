"""The outcome sheet beside the cases: whose row is whose, and what its cells say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from radpipe.core.sheet import Sheet


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
    pseudonyms : original id -> pseudonym (io.spreadsheets.read_pseudonyms), where the cases bear pseudonyms.
    CohortError where the sheet as a whole cannot be used: no such column, one patient in two rows that differ.
    """
    raise NotImplementedError  # signature first: the join follows
